"""Running one action of an agent: within its time, in a process group of its own, with what it prints kept.

What counts is that the agent itself exits: what it started in the background may hold its output open, or is the service.
Everything that it starts carries the component's mark, so that it is found when it has to be ended.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from holdfast.components import ending, marking, output, procfs, spawning
from holdfast.components.cgroups import Cgroup, Cgroups
from holdfast.components.environment import Refused
from holdfast.components.hooks import Hook
from holdfast.components.marking import Mark
from holdfast.components.orphans import Orphans, become_subreaper
from holdfast.components.procfs import Identity
from holdfast.components.records import Folder
from holdfast.components.settling import settled
from holdfast.components.spawning import Site, Spawned
from holdfast.config.resource_agents import path_of
from holdfast.model.ids import ComponentId
from holdfast.model.policy import OcfAgent, ProcessSpec, SecretFrom
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.ocf import outcomes
from holdfast.ocf.outcomes import Outcome

T = TypeVar("T")

HOOK = "ocf"  # in the mark: what carries it is no main process of a component
_REAP_EVERY = 0.1  # seconds: a dead daemon still answers `kill -0` until it is reaped, and agents ask so
_LOOKED_AT = 65_536  # bytes of output, for reasons


class Running:
    """How actions are run in one state directory."""

    def __init__(self, directory: Path, threads: ThreadPoolExecutor, *, use_cgroups: bool) -> None:
        self._directory = directory
        self._threads = threads
        self.instance = marking.read_instance(directory)
        # Named apart from those of processes, which would take what runs in them for a component's main process.
        self._cgroups = Cgroups.find(f"{self.instance}-ocf") if use_cgroups else Cgroups(self.instance, None)
        self.recorded_cgroups: dict[ComponentId, str] = {}  # an agent that ran elsewhere had another place
        self._orphans = Orphans(f"{self.instance}-ocf")
        self._waited_for: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        become_subreaper()

    def folder(self, component: ComponentId) -> Folder:
        """Return where the component's files are."""
        return Folder(self._directory, component)

    def cgroup(self, component: ComponentId) -> Cgroup | None:
        """Return the control group of all that the agent starts, if there may be one."""
        return self._cgroups.of(component, self.recorded_cgroups.get(component, ""))

    async def run(
        self,
        mark: Mark,
        agent: OcfAgent,
        action: str,
        variables: Mapping[str, str | SecretFrom],
        *,
        within: Duration,
        not_after: Instant | None = None,
    ) -> Outcome:
        """Run one action and return how it ended."""
        folder = self.folder(mark.component)
        spec = ProcessSpec(command=(str(path_of(agent.provider_agent)), action), env=dict(variables))
        site = Site(self.instance, folder, self.cgroup(mark.component), not_after)
        before = output.size(folder.output)
        try:
            code, hidden = await self._await(partial(spawning.spawn, spec, spec.command, mark, site), within)
        except Refused as refusal:
            return Outcome(action, None, fault=str(refusal), is_unbegun=True)
        said = await self.in_thread(partial(_read, folder.output, before))
        reason = outcomes.reason_in(said, output.last_lines(folder.output, before) if code != 0 else "")
        for secret in hidden:
            reason = reason.replace(secret, "***")
        if code is None:
            return outcomes.late(action, within, reason)
        if code < 0:
            return Outcome(action, None, reason, f"was ended by signal {-code}")
        return Outcome(action, code, reason)

    async def end_rest(self, component: ComponentId) -> frozenset[Identity]:
        """Kill everything that the component's agent started; return what survives that."""
        ended = await self.in_thread(
            partial(ending.end_all, component, self.instance, self.cgroup(component))
        )
        self._orphans.know_killed(ended.killed)
        return ended.survivors

    async def processes(self, component: ComponentId) -> frozenset[Identity]:
        """Return what of it runs: by its control group where it has one, as looking for marks reads all of /proc."""
        cgroup = self.cgroup(component)
        if cgroup is not None:
            stats = (procfs.read_stat(pid) for pid in cgroup.pids())
            return frozenset(stat.identity for stat in stats if stat is not None and not stat.is_gone)
        return await self.in_thread(partial(ending.leftovers, component, self.instance, None))

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run what blocks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Stop reaping."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _await(
        self, spawn: Callable[[], Spawned], within: Duration
    ) -> tuple[int | None, tuple[str, ...]]:
        """Start it and await its exit code; return that, None when it was late, and its secrets."""
        loop = asyncio.get_running_loop()
        beginning = loop.run_in_executor(self._threads, spawn)
        cancelled = await settled(beginning)
        identity, hidden = beginning.result()
        self._orphans.know_session(identity.pid)
        self._waited_for.add(identity.pid)
        if self._timer is None:
            self._timer = loop.call_later(_REAP_EVERY, self._reap)
        hook = Hook(identity)
        try:
            if cancelled is not None:
                raise cancelled
            return await hook.wait(within / SECOND), hidden
        finally:
            hook.end()
            self._waited_for.discard(identity.pid)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_REAP_EVERY, self._reap)
        self._orphans.reap(loop.time(), lambda pid: pid in self._waited_for)


def _read(path: Path, since: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(since)
            return file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError:
        return ""
