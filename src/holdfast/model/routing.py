"""Where a service's traffic should go, and where it does go."""

from enum import StrEnum

from holdfast.model.ids import MemberName
from holdfast.model.value import Value


class Lane(StrEnum):
    """What the balancer should do with one member."""

    IN = "in"  # takes new requests
    DRAIN = "drain"  # keeps its sessions, takes no new ones
    DOWN = "down"  # takes nothing; the balancer's own checks may bring it back if holdfast dies
    OUT = "out"  # takes nothing, sessions are cut, and only holdfast brings it back


class Routing(Value, frozen=True):
    """The traffic of one service.

    `active` names the member that gets everything while it is usable (active-standby, singleton);
    None spreads the traffic over all members that are IN.
    """

    active: MemberName | None
    lanes: dict[MemberName, Lane]
    readers: dict[MemberName, Lane] = {}  # of those who read only; empty if nobody listens for them
