"""Resource agents on several hosts: their scores in the reports, their attributes and notices from host to host, their peers' roles.

Agents compare themselves across hosts by what they write down (`attribute_sharing`) and are told of each other's changes (`notices`). What they give as
score decides who of them should be primary; that they give one at all, whether one may.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from holdfast.agent.cluster.attribute_sharing import AttributeSharing
from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.notices import Notices
from holdfast.agent.log import Level, Line
from holdfast.loop.cluster.whereabouts import host_of
from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, HostName, ServiceName, component_id
from holdfast.model.policy import OcfAgent, ServicePolicy
from holdfast.model.standing import Role, Status
from holdfast.model.value import replace
from holdfast.ocf.adapter import OcfAgents
from holdfast.ocf.attributes import PROMOTED, UNPROMOTED
from holdfast.ocf.variables import Notice
from holdfast.ports.coordination import Change, Entry, Snapshot, UnavailableError, UnknownError

_AGAIN_S = 0.2
_LOOK_EVERY_S = 0.1
_NEEDED_EVERY_S = 1.0


def look_after_agents(clustering: Clustering, agents: OcfAgents, say: Callable[[Line], None]) -> None:
    """Have what resource agents of this host say carried to the other hosts, and the other way round."""
    care = AgentsCare(clustering, agents, lambda text: say(Line(Level.WARN, "ocf", "sharing", text)))
    others = clustering.supplemented
    clustering.supplemented = lambda reports: care.supplemented(others(reports))
    clustering.more_works = (*clustering.more_works, ("resource agents", care.run))


class AgentsCare:
    """What of this host's resource agents concerns other hosts."""

    def __init__(self, clustering: Clustering, agents: OcfAgents, tell: Callable[[str], None]) -> None:
        self._clustering = clustering
        self._agents = agents
        coordinator, root = clustering.coordinator, clustering.book.root
        state = clustering.turning.state
        self._sharing = AttributeSharing(coordinator, root, lambda: agents.replica, tell)
        self._notices = Notices(coordinator, root, state.me, state.life, agents.peers.hear)
        self._written = asyncio.Event()
        self._scores: dict[ComponentId, tuple[int | None, str]] = {}
        agents.peers.tell_elsewhere = self._tell
        agents.attributes.on_acted = self._written.set

    def supplemented(self, reports: dict[ComponentId, MemberReport]) -> dict[ComponentId, MemberReport]:
        """Return the reports of this host's members with what their agents want."""
        found = dict(reports)
        for id_, (score, why) in self._scores.items():
            if (report := found.get(id_)) is None:
                continue
            # A score that is missing is no reason to take the role from who has it; one that forbids it is.
            leaving = why if report.role is Role.PRIMARY and score is not None else ""
            found[id_] = replace(
                report, score=score, unfit=report.unfit or why, leaving=report.leaving or leaving
            )
        return found

    async def run(self) -> None:
        """Carry, hear and tell until cancelled, from when the file first names an agent that knows roles."""
        while not any(map(_has_roles, self._clustering.turning.state.policy.services.values())):  # noqa: ASYNC110 - once a second, and for most for ever
            await asyncio.sleep(_NEEDED_EVERY_S)
        try:
            async with asyncio.TaskGroup() as works:
                works.create_task(self._watch())
                works.create_task(self._carry())
                works.create_task(self._look())
        finally:
            await self._notices.close()

    # --- to others ------------------------------------------------------------------------------------

    async def _tell(self, service: ServiceName, notice: Notice) -> None:
        await self._sharing.carry()  # first what it is about: who is told looks it up at once
        # Who is just starting is told too: it may have looked for its primary a moment before there was one.
        to = self._hosts_elsewhere(service)
        await self._notices.tell(
            service, notice, to, awaited=to & self._agents.peers.elsewhere(service).keys()
        )

    def _hosts_elsewhere(self, name: ServiceName) -> frozenset[HostName]:
        state = self._clustering.turning.state
        service = state.policy.services.get(name)
        if service is None or state.view is None:
            return frozenset()
        hosts = {host_of(state, service, member.name) for member in service.members}
        return frozenset(host for host in hosts if host in state.view.hosts) - {state.me}

    async def _carry(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            self._look_at_scores()
            if not await self._sharing.carry():
                await asyncio.sleep(_AGAIN_S)
                self._written.set()

    def _look_at_scores(self) -> None:
        found = {}
        for id_ in self._scored():
            score, why = self._agents.score_of(id_), self._agents.why_unscored(id_)
            if score is not None or why:
                found[id_] = score, why
        if found != self._scores:
            self._scores = found
            self._clustering.refresh()

    def _scored(self) -> list[ComponentId]:
        services = self._clustering.turning.state.policy.services.values()
        return [id_ for service in services if _has_roles(service) for id_ in service.components]

    # --- from others ----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        root, is_first = f"{self._clustering.book.root}/agents", True
        while True:
            try:
                async with aclosing(self._clustering.coordinator.watch(root)) as seen:  # type: ignore[type-var]  # drivers' watches are generators
                    async for sighting in seen:
                        match sighting:
                            case Snapshot(entries=entries):
                                self._see_all(entries, is_first=is_first)
                                is_first = False
                            case Change(kind="put", entry=entry):
                                self._sharing.see(entry)
                                self._notices.see(entry)
                                self._written.set()
                            case _:
                                pass  # nothing new; we delete nothing, and what others delete is still known
            except (UnavailableError, UnknownError):
                pass
            await asyncio.sleep(_AGAIN_S)

    def _see_all(self, entries: dict[str, Entry], *, is_first: bool) -> None:
        self._sharing.see_all(entries)
        for entry in entries.values():
            self._notices.see(entry, is_old=is_first)
        self._written.set()

    async def _look(self) -> None:
        """Tell agents which hosts are there, and as what their peers run, whenever that changes."""
        told: dict[ServiceName, dict[HostName, str]] = {}
        while True:
            state = self._clustering.turning.state
            if state.view is not None:
                present = frozenset(state.view.hosts) | {state.me}
                if present != self._agents.peers.present:
                    self._agents.peers.present = present
                    self._sharing.hide(frozenset(state.policy.hosts) - present)
                    told.clear()
                    self._written.set()
            for name, service in state.policy.services.items():
                if _has_roles(service) and (roles := self._roles(service)) != told.get(name):
                    told[name] = roles
                    self._agents.peers.know(name, roles)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _roles(self, service: ServicePolicy) -> dict[HostName, str]:
        state, found = self._clustering.turning.state, {}
        for member in service.members:
            host = host_of(state, service, member.name)
            report = self._clustering.elsewhere.get(component_id(service.name, member.name))
            if host is not None and report is not None and report.status in (Status.UP, Status.SUSPECT):
                found[host] = PROMOTED if report.role is Role.PRIMARY else UNPROMOTED
        return found


def _has_roles(service: ServicePolicy) -> bool:
    return any(
        isinstance(member.run.managed, OcfAgent) and member.run.managed.is_promotable
        for member in service.members
    )
