"""What /proc says about processes, and which process is meant.

A pid alone names nothing: the kernel gives it to somebody else as soon as its process is gone. A process is
named by its pid and its start time, and it is signalled through a pidfd that was opened before the start time
was compared. Then the signal reaches the one that was meant, or nobody.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from holdfast.model.ids import Incarnation

EXITING = 0x4  # PF_EXITING, in the kernel's include/linux/sched.h
_KERNEL_THREAD = 0x200000  # PF_KTHREAD, there


class Identity(NamedTuple):
    """One process under this boot."""

    pid: int
    ticks: int  # when it started, in clock ticks since boot

    @property
    def incarnation(self) -> Incarnation:
        """Return it as the model writes it."""
        return f"{self.pid}:{self.ticks}"

    @property
    def is_running(self) -> bool:
        """Tell whether this very process still runs. A zombie does not: it holds nothing but its number."""
        stat = read_stat(self.pid)
        return stat is not None and stat.ticks == self.ticks and not stat.is_gone


class Stat(NamedTuple):
    """What /proc/PID/stat says, as far as we use it."""

    pid: int
    state: str
    parent: int
    session: int
    flags: int
    threads: int
    ticks: int

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Return what `line` says. The name in it may hold blanks and parentheses: count from the last one."""
        end = line.rindex(b")")
        fields = line[end + 2 :].split(b" ", 20)
        return cls(
            pid=int(line[: line.index(b" ")]),
            state=fields[0].decode("ascii"),
            parent=int(fields[1]),
            session=int(fields[3]),
            flags=int(fields[6]),
            threads=int(fields[17]),
            ticks=int(fields[19]),
        )

    @property
    def identity(self) -> Identity:
        """Return which process this is about."""
        return Identity(self.pid, self.ticks)

    @property
    def is_gone(self) -> bool:
        """Tell whether it ended and only waits to be reaped.

        A first thread that ended while others go on looks like a zombie too: the number of threads tells.
        """
        return self.state in "ZX" and self.threads <= 1

    @property
    def is_stopped(self) -> bool:
        """Tell whether a signal stopped it. State `t` is a debugger at work, and is nobody's business."""
        return self.state == "T"

    @property
    def is_dying(self) -> bool:
        """Tell whether the kernel began to end it.

        A killed process with much memory keeps its sockets open until that memory is torn down, about 0.1 s
        per GiB, and clients wait in front of them.
        """
        return self.flags & EXITING != 0 and _all_threads_exit(self.pid)


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def pids() -> Iterator[int]:
    """Yield the pid of every process that we may see."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times faster than Path.iterdir, and called often
        if name.isdecimal():
            yield int(name)


def read_stat(pid: int) -> Stat | None:
    """Return what /proc says about `pid`, None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return Stat.parse(file.read(1024))
    except (FileNotFoundError, ProcessLookupError):
        return None


def read_environment(pid: int) -> bytes | None:
    """Return the environment that `pid` was started with; None if we may not read it or it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return file.readall()
    except OSError:
        return None


def is_becoming(pid: int) -> bool:
    """Tell whether the kernel is just putting a new program in place: the old environment is gone, the new one not there.

    On a busy machine this lasts for milliseconds. A program that was given no variables at all looks otherwise.
    """
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    stat, environment_end = Stat.parse(line), line.split()[-2]
    return environment_end == b"0" and not stat.is_gone and not stat.flags & (_KERNEL_THREAD | EXITING)


def open_pidfd(identity: Identity) -> int | None:
    """Return a descriptor of this very process, None if it is gone (a zombie may still be opened)."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    stat = read_stat(identity.pid)
    if stat is None or stat.ticks != identity.ticks:
        os.close(pidfd)
        return None
    return pidfd


def send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process behind `pidfd`. One that is gone already needs none."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return  # not permitted: it took another identity; who waits for its end will say that it did not come


def family(main: Identity) -> frozenset[Identity]:
    """Return everything in the session of `main` and everything that descends from it, without itself.

    Only true while `main` is there: once its number is free, a session of that number may be a stranger's.
    """
    stats = {stat.pid: stat for stat in map(read_stat, pids()) if stat is not None}
    if main.pid not in stats or stats[main.pid].ticks != main.ticks:
        return frozenset()
    inside = {stat.pid for stat in stats.values() if stat.session == main.pid} | {main.pid}
    grew = True
    while grew:
        more = {stat.pid for stat in stats.values() if stat.parent in inside} - inside
        inside |= more
        grew = bool(more)
    inside -= {main.pid, os.getpid()}
    return frozenset(stats[pid].identity for pid in inside)


def _all_threads_exit(pid: int) -> bool:
    # The flag is per thread: a first thread that ended alone must not pass for the whole process.
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - as above
        for thread in threads:
            with open(f"/proc/{pid}/task/{thread}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - as above
                if not Stat.parse(file.read(1024)).flags & EXITING:
                    return False
    except (FileNotFoundError, ProcessLookupError):
        return False  # it changes under our eyes: the next look tells
    return True
