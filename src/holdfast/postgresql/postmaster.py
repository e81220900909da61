"""The processes of a data directory: its postmaster, and whatever a killed one left behind.

A postmaster is named by its pid file, but a pid file can be stale and its pid somebody else's by now. So what counts
is /proc: each process of PostgreSQL runs this program in the data directory. Backends of a postmaster that was killed
still hold shared memory, and may still serve their clients; a new postmaster refuses to start beside them. Marks in
the environment do not find them: PostgreSQL writes its process titles over it.
"""

import asyncio
import os
import signal
import time
from enum import StrEnum
from pathlib import Path

from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql.instance import Instance

_LOOK_AGAIN = 5 * MILLISECOND


class Process(Value, frozen=True):
    """One process of the data directory: a number alone may name another one later."""

    pid: int
    ticks: int  # when it started, in clock ticks since boot
    state: str  # as the kernel says: R, S, D, T, Z, ...
    parent: int

    @property
    def is_stopped(self) -> bool:
        """Tell whether a signal stopped it."""
        return self.state == "T"


class Phase(StrEnum):
    """What the postmaster wrote of itself into its pid file: the same word in each language."""

    STARTING = "starting"
    STOPPING = "stopping"
    READY = "ready"
    STANDBY = "standby"  # recovering, and not open for reading yet, or not at all
    NONE = ""


class PidFile(Value, frozen=True):
    """What postmaster.pid says."""

    pid: int
    port: int = 0
    phase: Phase = Phase.NONE


class Look(Value, frozen=True):
    """What runs in a data directory."""

    postmaster: Process | None = None
    others: tuple[Process, ...] = ()  # children, and orphans of an earlier postmaster
    phase: Phase = Phase.NONE
    is_stale: bool = False  # there is a pid file, and its postmaster is gone

    @property
    def everything(self) -> tuple[Process, ...]:
        """Return all processes, postmaster first: stopped or killed, it starts no more."""
        return self.others if self.postmaster is None else (self.postmaster, *self.others)

    @property
    def orphans(self) -> tuple[Process, ...]:
        """Return what belongs to no running postmaster: it has to end before a new one can start."""
        if self.postmaster is None:
            return self.others
        return tuple(other for other in self.others if other.parent != self.postmaster.pid)

    @property
    def is_frozen(self) -> bool:
        """Tell whether all is stopped by a signal."""
        return bool(self.everything) and all(process.is_stopped for process in self.everything)


def read_pid_file(instance: Instance) -> PidFile | None:
    """Return what postmaster.pid says, None if there is none, or nothing in it that can be read."""
    try:
        lines = (instance.folder / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    if not lines or not lines[0].strip().lstrip("-").isdecimal():
        return None
    port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdecimal() else 0
    word = lines[7].strip() if len(lines) > 7 else ""
    # A negative pid is a single-user server's.
    return PidFile(abs(int(lines[0])), port, Phase(word) if word in set(Phase) else Phase.NONE)


def look(instance: Instance) -> Look:
    """Return what runs in the data directory now. It reads /proc once: some milliseconds on a busy host."""
    found = {process.pid: process for process in _processes(instance)}
    file = read_pid_file(instance)
    # The postmaster is the one whose parent is none of them. Orphans have that in common with it: the file decides.
    if file is not None and file.pid in found:
        others = tuple(process for pid, process in sorted(found.items()) if pid != file.pid)
        return Look(found[file.pid], others, file.phase)
    return Look(None, tuple(found[pid] for pid in sorted(found)), is_stale=file is not None)


def _processes(instance: Instance) -> list[Process]:
    try:
        wanted = os.stat(instance.data)  # noqa: PTH116 - compared by device and inode, as below
    except OSError:
        return []
    names = os.listdir("/proc")  # noqa: PTH208 - ten times faster than Path.iterdir, and called often
    pids = (int(name) for name in names if name.isdecimal() and _runs_in(name, wanted))
    return [process for process in map(_read, pids) if process is not None]


def _runs_in(pid: str, wanted: os.stat_result) -> bool:
    try:
        there = os.stat(f"/proc/{pid}/cwd")  # noqa: PTH116 - as above
        if (there.st_dev, there.st_ino) != (wanted.st_dev, wanted.st_ino):
            return False
        # An administrator's shell in the data directory is nobody's business. A replaced program says " (deleted)".
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")  # noqa: PTH115 - as above
    except OSError:
        return False
    return program.rpartition("/")[2] in {"postgres", "postmaster"}


def _read(pid: int) -> Process | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in it may hold blanks and parentheses: count from the last one.
    fields = line[line.rindex(b")") + 2 :].split()
    state = fields[0].decode("ascii")
    return None if state in "ZX" else Process(pid, int(fields[19]), state, int(fields[1]))


def runs(pid: int) -> bool:
    """Tell whether `pid` runs; a zombie does not. Only for what was just started: a number may be somebody else's later."""
    return _read(pid) is not None


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this very process; tell whether it was there. A recycled pid is not hit."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = _read(process.pid)
        if now is None or now.ticks != process.ticks:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True


async def kill_everything(instance: Instance, within: Duration = 5 * SECOND) -> tuple[Process, ...]:
    """Kill all that runs in the data directory, again and again until a look finds nothing; return what survived.

    The postmaster comes first, so that it starts no more. What survives SIGKILL sleeps in the kernel (state D).
    """
    end = time.monotonic_ns() + within
    while left := look(instance).everything:
        for process in left:
            send(process, signal.SIGKILL)
        if not await _until_ended(left, end):
            return look(instance).everything
    return ()


async def until_gone(instance: Instance, within: Duration) -> bool:
    """Await that nothing runs in the data directory; tell whether it came to that."""
    end = time.monotonic_ns() + within
    while left := look(instance).everything:
        if not await _until_ended(left, end):
            return False
    return True


async def _until_ended(processes: tuple[Process, ...], end: int) -> bool:
    """Await that these processes ended. Asking for each costs a hundredth of a look at all that runs on the host."""
    while any(is_running(process) for process in processes):
        if time.monotonic_ns() >= end:
            return False
        await asyncio.sleep(_LOOK_AGAIN / SECOND)
    return True


def is_running(process: Process) -> bool:
    """Tell whether this very process runs."""
    now = _read(process.pid)
    return now is not None and now.ticks == process.ticks


def remove_stale_pid_file(instance: Instance) -> bool:
    """Remove a pid file whose postmaster is gone; tell whether there was one.

    PostgreSQL does it by itself, except where the pid is now another process of the same user: then it refuses to
    start, for ever. We know better, as we looked at what that process is.
    """
    if not look(instance).is_stale:
        return False
    (instance.folder / "postmaster.pid").unlink(missing_ok=True)
    return True
