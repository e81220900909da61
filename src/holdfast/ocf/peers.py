"""Members that one agent runs in several roles: what each may know of the others, and what they are told of each other.

On several hosts a member goes by the name of its host, as agents expect; on a single one by its own. Before something is done to a member
its peers are told, and it waits for them, but not long: who does not answer may be what made it necessary. Afterwards they are told
without anybody waiting: a primary that was promoted serves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from holdfast.config.resource_agents import UnknownAgentError, metadata_of
from holdfast.model.events import Ending
from holdfast.model.ids import ComponentId, ServiceName, member_of, service_of
from holdfast.model.policy import OcfAgent, Policy
from holdfast.model.time import SECOND, Duration
from holdfast.model.value import replace
from holdfast.ocf import variables
from holdfast.ocf.attributes import PROMOTED, UNPROMOTED, Attributes
from holdfast.ocf.resource import Resource
from holdfast.ocf.variables import Notice, Whereabouts
from holdfast.ports.components import Result

_BELIEVED_S = 5.0  # how long a notice is believed about a role; by then its host has reported it
_ROLE_AFTER = {"start": UNPROMOTED, "promote": PROMOTED, "demote": UNPROMOTED, "stop": ""}


class Peers:
    """Who there is, by service."""

    def __init__(
        self,
        resources: Mapping[ComponentId, Resource],
        attributes: Attributes,
        policy: Callable[[], Policy],
        host: str,
    ) -> None:
        # Tells the members of a service on other hosts, and waits a moment for those who are told before; None: there are none.
        self.tell_elsewhere: Callable[[ServiceName, Notice], Awaitable[None]] | None = None
        self.present: frozenset[str] | None = None  # the hosts that are there; None: all
        self._elsewhere: dict[ServiceName, dict[str, str]] = {}  # roles on other hosts, as they report them
        self._announced: dict[
            tuple[ServiceName, str], tuple[str, float]
        ] = {}  # roles, as notices said sooner, and until when that counts
        self._notices: dict[ComponentId, Notice] = {}  # what was said before the change that is under way
        self._telling: set[asyncio.Task[None]] = set()
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
        # In one order on all hosts: agents are told of their peers by number, too.
        return Whereabouts(name, host, tuple(sorted({*filter(None, others), host})))

    def of(self, service: ServiceName) -> list[Resource]:
        """Return the members here that may be told something."""
        return [
            r for id_, r in self._resources.items() if service_of(id_) == service and r.agent.is_promotable
        ]

    def roles(self, service: ServiceName) -> dict[str, str]:
        """Return as what the service runs, by the names that agents know."""
        here = {resource.where.host: resource.role for resource in self.of(service) if resource.role}
        return self.elsewhere(service) | here

    def elsewhere(self, service: ServiceName) -> dict[str, str]:
        """Return as what the service runs on other hosts."""
        now = asyncio.get_running_loop().time()
        said = {
            host: role
            for (name, host), (role, until) in self._announced.items()
            if name == service and now < until
        }
        return {host: role for host, role in (self._elsewhere.get(service, {}) | said).items() if role}

    def know(self, service: ServiceName, roles: dict[str, str]) -> None:
        """Learn as what the service runs on other hosts, by host, in the words of agents."""
        self._elsewhere[service] = roles
        for host in [
            host
            for (name, host), (role, _) in self._announced.items()
            if name == service and roles.get(host, "") == role
        ]:
            del self._announced[service, host]
        self.tell(service)

    def tell(self, service: ServiceName) -> None:
        """Write down what agents may ask about their peers."""
        members = self.of(service)
        if members:
            names = {host for resource in self._resources.values() for host in resource.where.hosts}
            hosts = {host: self.present is None or host in self.present for host in names}
            self._attributes.tell_hosts(dict(sorted(hosts.items())))
            self._attributes.tell_roles(members[0].where.resource, self.roles(service))

    def unended_primary(self, resource: Resource) -> ComponentId | None:
        """Return another member here that was primary, failed, and is not proven stopped."""
        for other in self.of(service_of(resource.component)):
            if (
                other is not resource
                and other.is_reported_gone
                and other.record.is_begun
                and other.may_be_primary
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
        """Tell the members what is about to be done to one of them ("pre"), or was done. The caller holds `alone` and its turn."""
        if not resource.agent.is_promotable or not await _is_notified(resource.agent):
            return
        notice = self._notice(resource, kind, operation)
        telling = self._tell_all(resource, notice)
        task = asyncio.create_task(telling, name=f"notices of {resource.component}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        if kind == "pre":
            await asyncio.wait([task], timeout=resource.agent.notify_timeout / SECOND)

    async def hear(self, service: ServiceName, notice: Notice) -> None:
        """Tell the members here what happens to one on another host."""
        if notice.kind == "post":
            until = asyncio.get_running_loop().time() + _BELIEVED_S
            self._announced[service, notice.host] = _ROLE_AFTER[notice.operation], until
            self.tell(service)
        await asyncio.gather(*(one.be_told(notice) for one in self.of(service) if one.is_live))

    async def close(self) -> None:
        """Tell nobody anything more."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _notice(self, resource: Resource, kind: str, operation: str) -> Notice:
        # Who ran as what is told as it was before the change, afterwards too: so Pacemaker does, and agents count on it.
        said = self._notices.pop(resource.component, None)
        if kind == "post" and said is not None and said.operation == operation:
            return replace(said, kind=kind)
        before = dict(self.roles(service_of(resource.component)))
        if operation == "start":
            before.pop(resource.where.host, None)
        notice = Notice(kind, operation, resource.where.host, *variables.roles_before(before))
        self._notices[resource.component] = notice
        return notice

    async def _tell_all(self, resource: Resource, notice: Notice) -> None:
        service = service_of(resource.component)
        is_begun = (notice.kind, notice.operation) != ("pre", "start")
        here = [one for one in self.of(service) if one.is_live and (is_begun or one is not resource)]
        telling: list[Awaitable[None]] = [one.be_told(notice) for one in here]
        if self.tell_elsewhere is not None:
            telling.append(self.tell_elsewhere(service, notice))
        await asyncio.gather(*telling)


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
        told = await asyncio.to_thread(metadata_of, agent.provider_agent)
    except UnknownAgentError:
        return False
    return told.is_notified
