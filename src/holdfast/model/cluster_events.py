"""What happens to the cluster loop (in the past tense), and what it orders (in the imperative).

Orders go to the coordinator and to fence devices. What a member does is decided by its host's own loop.
"""

from typing import TypeAlias

from holdfast.model.beats import Beat
from holdfast.model.cluster import Assignment, ClusterView, Entitlement, MemberReport
from holdfast.model.events import Ending
from holdfast.model.ids import ComponentId, Epoch, HostName, MemberName, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Tagged


class SessionOpened(Tagged, frozen=True):
    """The coordinator gave us a session."""

    until: Instant  # it is surely alive until then, if never renewed
    budget: Duration  # how long one renewal carries


class SessionRenewed(Tagged, frozen=True):
    """The session was renewed."""

    until: Instant


class SessionEnded(Tagged, frozen=True):
    """The session is over: the engine said so, or it could not be renewed before its deadline."""

    why: str


class ViewSeen(Tagged, frozen=True):
    """What stands in the coordinator."""

    view: ClusterView


class BeatHeard(Tagged, frozen=True):
    """A heartbeat of another host came, and its sender is who it says."""

    beat: Beat
    at: Instant  # when it came, which may be a while before it is turned


class MembersReported(Tagged, frozen=True):
    """How the members here are, as this host's own loop sees them."""

    members: dict[ComponentId, MemberReport]
    entitlements: dict[ServiceName, Entitlement] | None  # what that loop knew of leases then
    problem: str = ""
    is_leaving: bool = False  # everything here is being stopped for good: give up what is no longer served


class PolicyGiven(Tagged, frozen=True):
    """The whole file, as all hosts have it."""

    policy: Policy


class Elected(Tagged, frozen=True):
    """This host leads, for as long as its session lasts."""

    epoch: Epoch


class Deposed(Tagged, frozen=True):
    """This host leads no longer."""


class OrderFinished(Tagged, frozen=True):
    """An order was carried out, refused, or nobody knows."""

    order: int
    ending: Ending
    text: str = ""
    epoch: Epoch = 0  # TakeLease: of the lease


class TimePassed(Tagged, frozen=True):
    """A deadline of the cluster loop is due, or the regular look. `late`: by how much it came later than asked."""

    late: Duration = 0


ClusterEvent: TypeAlias = (
    SessionOpened
    | SessionRenewed
    | SessionEnded
    | ViewSeen
    | BeatHeard
    | MembersReported
    | PolicyGiven
    | Elected
    | Deposed
    | OrderFinished
    | TimePassed
)


class TakeLease(Tagged, frozen=True):
    """Take a free lease, if nobody has had it since `after`."""

    service: ServiceName
    member: MemberName
    after: Epoch
    why: str
    id: int = 0
    above: Epoch = 0  # the new epoch is above this one too: the coordinator may have gone back


class AdoptLease(Tagged, frozen=True):
    """Bind a lease that is ours, from an earlier session or life of this agent, to the present session."""

    service: ServiceName
    member: MemberName
    epoch: Epoch
    why: str
    id: int = 0


class GiveLease(Tagged, frozen=True):
    """Give a lease up: its member proved that it no longer serves."""

    service: ServiceName
    epoch: Epoch
    why: str
    id: int = 0


class BreakLease(Tagged, frozen=True):
    """Free the lease of a host that is proven to be off."""

    service: ServiceName
    epoch: Epoch
    why: str
    id: int = 0


class Assign(Tagged, frozen=True):
    """Write what the leader wants of one service."""

    assignment: Assignment
    why: str
    id: int = 0


class DropWish(Tagged, frozen=True):
    """An operator's wish is fulfilled, or cannot be."""

    service: ServiceName
    wish: str  # its id
    why: str
    id: int = 0


class FenceHost(Tagged, frozen=True):
    """Make sure that a host is off."""

    host: HostName
    why: str
    id: int = 0


Order: TypeAlias = TakeLease | AdoptLease | GiveLease | BreakLease | Assign | DropWish | FenceHost


def subject_of_order(order: Order) -> str:
    """Return what the order is about: one at a time is under way about each."""
    match order:
        case TakeLease() | AdoptLease() | GiveLease() | BreakLease():
            return f"lease {order.service}"
        case Assign():
            return f"assignment {order.assignment.service}"
        case DropWish():
            return f"wish {order.service}"
        case FenceHost():
            return f"host {order.host}"
