"""Reaping what our components left behind and what fell to us as the nearest living ancestor.

A process whose parent died goes to the nearest "child subreaper" above it, otherwise to PID 1. Some PID 1 reap
late or never (containers), and then a dead process still answers `kill -0`, which many a stop script waits for. So
the agent is the subreaper and reaps, under one condition: it must never take an exit status that somebody else in
this program waits for, such as the runner of a probe. Reaped at once is only what is known to be a component's:
by its session, its control group, or because we killed it. Anything else only after it was a zombie for a time in which nobody asked.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from holdfast.components import procfs
from holdfast.components.procfs import Identity, Stat

_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, in the kernel's include/uapi/linux/prctl.h
_NOT_YET_KNOWN = 5.0  # seconds from a start to when it is on our books
_NOBODY_ASKS = 30.0  # seconds; who waits for a child is told within milliseconds


def become_subreaper() -> None:
    """Let orphans below us come to us. Where the kernel refuses, they go to PID 1 as ever."""
    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Orphans:
    """Our zombie children that nobody waits for."""

    def __init__(self, instance: str) -> None:
        self._group = f"/holdfast-{instance}:"
        self._sessions: set[int] = set()  # led by processes that we started; few, as numbers are used again
        self._killed: set[Identity] = set()
        self._first_seen: dict[Identity, float] = {}

    def know_session(self, pid: int) -> None:
        """Remember that `pid` led a session of ours."""
        self._sessions.add(pid)

    def know_killed(self, processes: frozenset[Identity]) -> None:
        """Remember what we killed, so that it is known when it falls to us."""
        self._killed |= processes

    def reap(self, now: float, is_waited_for: Callable[[int], bool]) -> None:
        """Reap what has no owner. `is_waited_for`: the main processes, whose exit we read elsewhere."""
        if not _has_zombie():
            self._first_seen.clear()
            self._killed.clear()
            return
        zombies = {}
        for pid in _children():
            stat = procfs.read_stat(pid)
            if stat is None or not stat.is_gone or is_waited_for(pid):
                continue
            first_seen = self._first_seen.get(stat.identity, now)
            if now - first_seen >= self._patience(stat):
                _take(pid)
            else:
                zombies[stat.identity] = first_seen
        self._first_seen = zombies

    def _patience(self, zombie: Stat) -> float:
        if zombie.identity in self._killed:
            return 0.0
        if zombie.session not in self._sessions and not self._is_in_our_group(zombie.pid):
            return _NOBODY_ASKS
        # One that leads its session may be a process that we start in this very moment, ended at once.
        return _NOT_YET_KNOWN if zombie.pid == zombie.session else 0.0

    def _is_in_our_group(self, pid: int) -> bool:
        try:
            return self._group in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return False


def _has_zombie() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _children() -> list[int]:
    pids: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            pids += map(int, (thread / "children").read_text(encoding="ascii").split())
        except OSError:
            continue  # that thread ended
    return pids


def _take(pid: int) -> None:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return
