"""What the tests of the guard share: a place with a guard, components that LocalProcesses started, an agent to be killed."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from holdfast.components import procfs
from holdfast.components.guarding import Guarding, GuardStatus, facts_of
from holdfast.guard import messages, remembering, understudy
from holdfast.guard.command import command
from holdfast.guard.facts import Facts
from holdfast.model.time import SECOND, Duration, Instant
from tests.contract.components.stage import COMPONENT, Stage, read_arguments, runs, until

LONG = 600 * SECOND
PROGRAMS = Path(__file__).parent


def now() -> Instant:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Watch:
    """A state directory, and whatever guards it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.directory = stage.directory
        self.told: list[str] = []

    @contextlib.asynccontextmanager
    async def guarding(self, within: Duration = 20 * SECOND) -> AsyncIterator[Guarding]:
        """Lend a client; the bound is generous, as a guard may have to start on a busy machine."""
        guarding = Guarding(self.directory, within=within, tell=self.told.append)
        try:
            yield guarding
        finally:
            await guarding.close()

    def facts(self, component: str = COMPONENT) -> Facts:
        facts = facts_of(self.directory, component)
        assert isinstance(facts, Facts), facts
        return facts

    def start(self, *prefix: str, watchdog: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a guard by hand, as systemd would; return it when it is on watch, or stands by."""
        device = "" if watchdog is None else str(watchdog)
        arguments, environment = command(str(self.directory), watchdog=device)
        guard = subprocess.Popen(
            [*prefix, *arguments], env=environment, stderr=subprocess.PIPE, start_new_session=True, bufsize=0
        )
        assert guard.stderr is not None
        line = guard.stderr.readline()
        assert b"watches over" in line or b"stands by" in line, line
        return guard

    def guards(self) -> list[int]:
        """Return the pids of all guards of this directory, those that stand by included."""
        return self._running_with(b"\0--directory\0" + os.fsencode(self.directory) + b"\0")

    def understudies(self, first: int) -> list[int]:
        """Return the pids of the guards that stand by for `first` and hear it: they have a hold of it.

        A child that is not there yet has the arguments of its parent, and none at all for a moment after.
        """
        mark = b"\0" + os.fsencode(understudy.OF) + b"\0" + str(first).encode() + b"\0"
        return [pid for pid in self._running_with(mark) if _has_pidfd(pid)]

    def _running_with(self, mark: bytes) -> list[int]:
        return [pid for pid in procfs.pids() if mark in read_arguments(pid) and runs(pid)]

    def memory(self) -> Path:
        return Path(f"{remembering.place_of(str(self.directory))[0]}.json")

    def ask(self, packet: bytes) -> bytes:
        """Send raw bytes, return the raw answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(20)
            folder = os.open(self.directory, os.O_PATH)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{messages.SOCKET}")
            finally:
                os.close(folder)
            connection.send(packet)
            return connection.recv(1 << 20)

    def clear(self) -> None:
        """End all guards and remove what they keep outside of the directory."""
        self.kill_all()
        remove_files(self.directory)

    def kill_all(self) -> None:
        """Kill all guards, their understudies too."""
        looks_in_vain = 0
        while looks_in_vain < 3:  # one that was just born has no arguments for a moment
            pids = self.guards()
            looks_in_vain = 0 if pids else looks_in_vain + 1
            for pid in pids:
                with contextlib.suppress(
                    ProcessLookupError
                ):  # one ended another: an understudy, or who has one
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _has_pidfd(pid: int) -> bool:
    try:
        return any("pidfd" in str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it went, or closed one while we looked
        return False


def remove_files(directory: Path) -> None:
    """Remove what the guards of `directory` leave outside of it."""
    place, _ = remembering.place_of(str(directory))
    for suffix in (".json", ".json.new", ".lock", ".log"):
        Path(place + suffix).unlink(missing_ok=True)


@contextlib.contextmanager
def watched(stage: Stage) -> Iterator[Watch]:
    """Lend a watch and clear it."""
    watch = Watch(stage)
    try:
        yield watch
    finally:
        watch.clear()


async def status_of(guarding: Guarding) -> GuardStatus:
    status = await guarding.status()
    assert isinstance(status, GuardStatus), status
    return status


async def until_status(guarding: Guarding, condition: Callable[[GuardStatus], bool]) -> GuardStatus:
    """Ask until the guard's answer is as wanted; return it."""
    async with asyncio.timeout(20):
        while not condition(status := await status_of(guarding)):  # noqa: ASYNC110 - it asks another program
            await asyncio.sleep(0.01)
        return status


async def nothing_overdue(guarding: Guarding) -> GuardStatus:
    """Await the end of every ending."""
    return await until_status(
        guarding, lambda status: not any(each.is_overdue for each in status.armed.values())
    )


def read_field(pid: int, name: str) -> int:
    """Return one number of what the kernel says about a process's memory, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def kill(guard: subprocess.Popen[bytes]) -> None:
    """Kill a guard that was started by hand. What it says is not awaited to its end: its understudy may say more."""
    guard.kill()
    guard.wait(20)
    assert guard.stderr is not None
    guard.stderr.close()


class GuardedAgent:
    """An agent in a process of its own: it starts a component, arms it, and extends its deadline for as long as it can."""

    def __init__(self, watch: Watch, command: tuple[str, ...]) -> None:
        cgroups = "yes" if watch.stage.use_cgroups else "no"
        program = [sys.executable, str(PROGRAMS / "guarded_agent.py"), str(watch.directory), cgroups]
        self._process = subprocess.Popen([*program, *command], stdout=subprocess.PIPE)

    def line(self) -> str:
        """Return the next thing it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def send(self, number: int) -> None:
        """Freeze it or kill it."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it for good."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def gone(*pids: int) -> None:
    """Await the end of these processes."""
    await until(lambda: not any(runs(pid) for pid in pids))
