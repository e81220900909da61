"""Members that one agent runs in several roles: what each may know of the others, and what they are told of each other.

On several hosts a member goes by the name of its host, as agents expect; on a single one by its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from holdfast.config.resource_agents import UnknownAgentError, metadata_of
from holdfast.model.events import Ending
from holdfast.model.ids import ComponentId, ServiceName, member_of, service_of
from holdfast.model.policy import OcfAgent, Policy
from holdfast.model.time import Duration
from holdfast.ocf import variables
from holdfast.ocf.attributes import Attributes
from holdfast.ocf.resource import Resource
from holdfast.ocf.variables import Notice, Whereabouts
from holdfast.ports.components import Result


class Peers:
    """Who there is, by service."""

    def __init__(
        self,
        resources: Mapping[ComponentId, Resource],
        attributes: Attributes,
        policy: Callable[[], Policy],
        host: str,
    ) -> None:
        self.elsewhere: dict[ServiceName, dict[str, str]] = {}  # roles on other hosts, as we were told
        self._resources = resources
        self._attributes = attributes
        self._policy = policy
        self._host = host
        self._one: dict[ServiceName, asyncio.Lock] = {}

    def whereabouts(self, component: ComponentId, agent: OcfAgent) -> Whereabouts:
        """Return who a component is for its agent."""
        name, member = service_of(component), member_of(component)
        service = self._policy().services.get(name)
        host = self._host or member
        if service is None or not agent.is_promotable:
            # No peers: one name for each, as many agents name files in shared folders after it.
            return Whereabouts(f"{name}-{member}", host, (host,))
        others = (other.on if self._host else other.name for other in service.everywhere)
        return Whereabouts(name, host, tuple(dict.fromkeys(filter(None, (*others, host)))))

    def of(self, service: ServiceName) -> list[Resource]:
        """Return the members here that may be told something."""
        return [
            r for id_, r in self._resources.items() if service_of(id_) == service and r.agent.is_promotable
        ]

    def roles(self, service: ServiceName) -> dict[str, str]:
        """Return as what the service runs, by the names that agents know."""
        here = {resource.where.host: resource.role for resource in self.of(service) if resource.role}
        return self.elsewhere.get(service, {}) | here

    def tell(self, service: ServiceName) -> None:
        """Write down what agents may ask about their peers."""
        members = self.of(service)
        if members:
            hosts = {host: True for resource in self._resources.values() for host in resource.where.hosts}
            self._attributes.tell_hosts(dict(sorted(hosts.items())))
            self._attributes.tell_roles(members[0].where.resource, self.roles(service))

    def unended_primary(self, resource: Resource) -> ComponentId | None:
        """Return another member here that was primary, failed, and is not proven stopped."""
        for other in self.of(service_of(resource.component)):
            if (
                other is not resource
                and other.is_reported_gone
                and other.record.is_begun
                and other.is_primary
            ):
                return other.component
        return None

    @contextlib.asynccontextmanager
    async def alone(self, resource: Resource, *, in_order: bool = True) -> AsyncIterator[None]:
        """Let no other member of the service change meanwhile, as notices name one change at a time."""
        if not resource.agent.is_promotable or not in_order:
            yield
            return
        async with self._one.setdefault(service_of(resource.component), asyncio.Lock()):
            yield

    async def notify(self, resource: Resource, kind: str, operation: str) -> None:
        """Tell the members here what is about to be done to one of them, or was done. The caller holds `alone` and its turn."""
        if not resource.agent.is_promotable or not await _is_notified(resource.agent):
            return
        before = dict(self.roles(service_of(resource.component)))
        if operation == "start":
            before.pop(resource.where.host, None)
        notice = Notice(kind, operation, resource.where.host, *variables.roles_before(before))
        for other in self.of(service_of(resource.component)):
            if not other.is_live or (other is resource and (kind, operation) == ("pre", "start")):
                continue
            # What comes of it is the agent's business: its monitor tells, as nobody could undo what was done.
            async with contextlib.nullcontext() if other is resource else other.turn:
                await other.act("notify", other.agent.monitor_timeout, notice=notice)


async def change_role(resource: Resource, peers: Peers, action: str, within: Duration) -> Result:
    """Promote or demote, with notices before and after; DONE when the monitor says so too."""
    await peers.notify(resource, "pre", action)
    outcome = await resource.act(action, within)
    if outcome.code != 0:
        ending = Ending.UNKNOWN if outcome.code is None and not outcome.is_unbegun else Ending.FAILED
        resource.wanted_now.set()
        return Result(ending, str(outcome))
    seen = await resource.monitor()
    if seen.is_promoted != (action == "promote") or not seen.runs:
        resource.wanted_now.set()
        return Result(Ending.FAILED, f"{action} ended well, and yet {seen}")
    await peers.notify(resource, "post", action)
    return Result(Ending.DONE)


async def _is_notified(agent: OcfAgent) -> bool:
    try:
        told = await asyncio.to_thread(partial(metadata_of, agent.provider_agent))
    except UnknownAgentError:
        return False
    return told.is_notified
