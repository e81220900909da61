"""Sending a service's traffic where it should go.

Contract (tests/contract/test_traffic_contract.py): what `route` confirmed is what `look` shows; a refused or
unparsed answer is an error, never silence; when holdfast dies the balancer goes on with its own checks.
"""

from collections.abc import Callable
from typing import Protocol

from holdfast.model.events import MemberTraffic
from holdfast.model.ids import MemberName, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.routing import Routing
from holdfast.model.value import Value
from holdfast.ports.components import Result


class ServiceTraffic(Value, frozen=True):
    """What the balancer does with one service."""

    service: ServiceName
    active: MemberName | None
    members: dict[MemberName, MemberTraffic]
    readers: dict[MemberName, MemberTraffic] = {}  # of its read-only listener, if it has one


class Traffic(Protocol):
    """The balancer of this host."""

    async def configure(self, policy: Policy) -> Result:
        """Write and check the balancer's configuration; have a running balancer take it over.

        FAILED leaves the old configuration in force and says what the balancer refused.
        """

    async def route(self, service: ServiceName, routing: Routing) -> Result:
        """Send the service's traffic so; DONE when the balancer confirmed each change."""

    async def look(self) -> tuple[ServiceTraffic, ...] | None:
        """Return what the balancer does with every service; None: it does not answer."""

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` when the balancer changed something by itself (its own checks)."""

    async def release(self) -> None:
        """Leave the balancer able to fail over alone: what only holdfast could bring back may come back by checks."""

    async def close(self) -> None:
        """Let go of the balancer; it goes on running."""
