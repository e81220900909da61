"""What the tests of components share: a stage with a real directory, agents that come and go, ears."""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from holdfast.components import ending, marking, procfs
from holdfast.components.by_kind import ComponentsByKind
from holdfast.components.cgroups import Cgroups
from holdfast.components.local import LocalProcesses
from holdfast.components.records import Folder, Record
from holdfast.model.events import Ending, Exit
from holdfast.model.ids import ComponentId, Epoch, Incarnation
from holdfast.model.policy import OcfAgent, Policy, ProcessSpec
from holdfast.model.time import SECOND, Duration
from holdfast.model.value import replace
from holdfast.ocf.adapter import OcfAgents
from holdfast.ports.components import Components, Result

T = TypeVar("T")

COMPONENT = "orders/a"
FOREVER = ("sleep", "1000")
PROGRAMS = Path(__file__).parent


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.exits: list[tuple[ComponentId, Incarnation, Exit]] = []
        self.stops: list[tuple[Incarnation, bool]] = []
        self.dying: list[Incarnation] = []

    def on_exit(self, component: ComponentId, incarnation: Incarnation, how: Exit) -> None:
        self.exits.append((component, incarnation, how))

    def on_stopped(self, component: ComponentId, incarnation: Incarnation, is_stopped: bool) -> None:  # noqa: ARG002 - the port's
        self.stops.append((incarnation, is_stopped))

    def on_dying(self, component: ComponentId, incarnation: Incarnation) -> None:  # noqa: ARG002 - the port's
        self.dying.append(incarnation)


class Agent:
    """One agent's hold on the processes."""

    def __init__(self, processes: Components) -> None:
        self.processes = processes
        self.ears = Ears()
        processes.watch(self.ears)

    async def start(
        self,
        spec: ProcessSpec,
        component: ComponentId = COMPONENT,
        *,
        epoch: Epoch = 1,
        is_primary: bool = False,
    ) -> Incarnation:
        result = await self.processes.start(component, spec, epoch, is_primary=is_primary)
        assert result.ending is Ending.DONE, result.error
        assert result.incarnation is not None
        return result.incarnation

    async def stop(self, spec: ProcessSpec, *, at_once: bool = False) -> Result:
        return await self.processes.stop(COMPONENT, spec, at_once=at_once)

    async def exit(self) -> Exit:
        await until(lambda: bool(self.ears.exits))
        return self.ears.exits[0][2]


class Stage:
    """A directory in which agents run, with control groups or without."""

    def __init__(self, directory: Path, *, use_cgroups: bool, is_by_kind: bool = False) -> None:
        self.directory = directory
        self.use_cgroups = use_cgroups
        self.is_by_kind = is_by_kind
        self.instance = marking.read_instance(directory)
        self.cgroups = Cgroups.find(self.instance)
        self.folder = Folder(directory, COMPONENT)

    @contextlib.asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        processes: Components = LocalProcesses(self.directory, use_cgroups=self.use_cgroups)
        if self.is_by_kind:
            agents = OcfAgents(self.directory, lambda: Policy("test", {}), use_cgroups=self.use_cgroups)
            processes = ComponentsByKind(self.directory, processes, {OcfAgent: agents})
        try:
            yield Agent(processes)
        finally:
            await processes.close()

    def marked(self) -> list[int]:
        return sorted(found.identity.pid for found in marking.find(self.instance))

    def record(self) -> Record:
        record = self.folder.read(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        assert record is not None
        return record

    def output(self) -> str:
        return self.folder.output.read_text(encoding="utf-8") if self.folder.output.exists() else ""

    def clear(self) -> None:
        """End everything, whatever a test left."""
        components = {found.mark.component for found in marking.find(self.instance)}
        groups = dict(self.cgroups.occupied())
        for component in components | set(groups):
            ending.end_all(component, self.instance, groups.get(component))
        for group in groups.values():
            group.remove()


@contextlib.contextmanager
def staged(directory: Path, *, use_cgroups: bool, is_by_kind: bool = False) -> Iterator[Stage]:
    """Lend a stage and clear it. `is_by_kind`: processes are one kind of several, as for the agent."""
    stage = Stage(directory, use_cgroups=use_cgroups, is_by_kind=is_by_kind)
    if use_cgroups and stage.cgroups.of(COMPONENT) is None:
        pytest.skip("this host does not let us make control groups")
    try:
        yield stage
    finally:
        stage.clear()


def shell(script: str, **changes: Any) -> ProcessSpec:
    """Return a component that runs a shell script."""
    return replace(ProcessSpec(command=("sh", "-c", script), stop_grace=5 * SECOND), **changes)


def program(*arguments: str | int, grace: Duration = 5 * SECOND) -> ProcessSpec:
    """Return a component that runs the test's own program."""
    command = (sys.executable, "-S", str(PROGRAMS / "program.py"), *map(str, arguments))
    return ProcessSpec(command=command, stop_grace=grace)


async def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    """Await a condition with a generous bound."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - it looks at the world, which sets no Event
            await asyncio.sleep(0.005)


def run(body: Coroutine[Any, Any, T]) -> T:
    """Run one test's story."""
    return asyncio.run(body)


def pid_of(incarnation: Incarnation) -> int:
    """Return the pid in an incarnation."""
    return int(incarnation.partition(":")[0])


def runs(pid: int) -> bool:
    """Tell whether `pid` runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] not in b"ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class DyingAgent:
    """An agent in a process of its own, that is killed in the midst of its work."""

    def __init__(self, stage: Stage) -> None:
        command = [sys.executable, str(PROGRAMS / "dying_agent.py"), str(stage.directory)]
        self._process = subprocess.Popen(
            [*command, "yes" if stage.use_cgroups else "no"], stdout=subprocess.PIPE
        )
        self._mark = os.fsencode(stage.directory)

    def line(self) -> str:
        """Return the next thing it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def kill(self) -> None:
        """Kill it; what it just forked may not have become its program yet."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def has_unfinished_child(self) -> bool:
        """Tell whether something still runs that looks like it."""
        return any(self._mark in read_arguments(pid) for pid in procfs.pids())


class Stranger:
    """A process that has nothing to do with us."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(FOREVER, start_new_session=True)
        stat = procfs.read_stat(self._process.pid)
        assert stat is not None
        self.identity = stat.identity

    def end(self) -> bool:
        """End it, and tell whether it was still there."""
        was_there = self._process.poll() is None
        self._process.kill()
        self._process.wait()
        return was_there


def read_arguments(pid: int) -> bytes:
    """Return the command line of `pid`."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def end_child(pid: int) -> None:
    """Reap a child of this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def give_up_orphans() -> None:
    """Let orphans go to PID 1, as those of an agent that died do."""
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
