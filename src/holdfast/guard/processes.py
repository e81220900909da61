"""What /proc says about processes, as far as the guard needs it.

`components/procfs.py` reads the same and more. The guard keeps this copy because it may import nothing of holdfast but its
own room: what it needs at a deadline must not change, grow or break with the rest.
"""

import os
import signal
from collections.abc import Callable

Identity = tuple[int, int]  # pid, and when it started in clock ticks since boot


class Stat:
    """What /proc/PID/stat says."""

    __slots__ = ("is_gone", "parent", "pid", "session", "ticks")

    def __init__(self, line: bytes) -> None:
        end = line.rindex(b")")  # the name before it may hold blanks and parentheses
        fields = line[end + 2 :].split(b" ", 20)
        self.pid = int(line[: line.index(b" ")])
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.ticks = int(fields[19])
        # A first thread that ended while others go on looks like a zombie too: the number of threads tells.
        self.is_gone = fields[0] in b"ZX" and int(fields[17]) <= 1

    @property
    def identity(self) -> Identity:
        """Return which process this is about."""
        return self.pid, self.ticks


def pids() -> list[int]:
    """Return the pid of every process but ourselves."""
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != own]


def read_stat(pid: int) -> Stat | None:
    """Return what /proc says about `pid`, None if there is no such process."""
    line = _read(f"/proc/{pid}/stat")
    return Stat(line) if line else None


def read_environment(pid: int) -> bytes:
    """Return the environment that `pid` was started with, between zero bytes; empty if it is gone or may not be read."""
    return b"\0" + _read(f"/proc/{pid}/environ")


def is_running(identity: Identity) -> bool:
    """Tell whether this very process runs. A zombie does not: it holds nothing but its number."""
    stat = read_stat(identity[0])
    return stat is not None and stat.ticks == identity[1] and not stat.is_gone


def members(cgroup: str) -> set[int]:
    """Return the pids in the control group; none if there is no such group."""
    return set(map(int, _read(f"{cgroup}/cgroup.procs").split())) if cgroup else set()


def kill_members(cgroup: str) -> None:
    """Kill all of the control group at once, those that fork meanwhile included, where the kernel can (Linux 5.14)."""
    try:
        descriptor = os.open(f"{cgroup}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # then each process is killed by itself
    try:
        os.write(descriptor, b"1")
    except OSError:
        return
    finally:
        os.close(descriptor)


def send(pid: int, number: int, is_meant: Callable[[], bool]) -> bool:
    """Send a signal to `pid` if `is_meant` says so, and tell whether it was sent.

    It is asked after the process was taken hold of. If the number passed to another meanwhile, what was looked at is the
    other, and the signal goes to the one that is gone: nobody is hit by mistake.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_meant():
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False  # gone, or not permitted: the next look tells
    finally:
        os.close(pidfd)
    return True


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:
        return b""  # it ended under our eyes
    finally:
        os.close(descriptor)
    return b"".join(parts)
