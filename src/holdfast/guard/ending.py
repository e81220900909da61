"""Ending everything of a component whose deadline passed.

Its own control group, where it has one, is killed in one step. Else its main process and that one's group are stopped
first: what is stopped neither serves nor forks, and its family can still be read. Then all that is found is killed,
by family, mark and group, and looked for again until two looks in a row find nothing: twice, because a process that is
just becoming another program shows no environment for a moment.

What the component holds that is no process is taken back by its commands, begun after the first look, and it is over only with them.

What survives SIGKILL (it waits for a disk, or is not ours to kill) is never given up: it may be a primary. It is tried
again and again, and meanwhile the watchdog is not fed.
"""

import os
import signal
from collections.abc import Iterable

from holdfast.guard import processes
from holdfast.guard.commands import Commands
from holdfast.guard.facts import Facts
from holdfast.guard.processes import Identity, Stat

_MILLISECOND = 1_000_000
LOOK_AGAIN = 10 * _MILLISECOND
LOOK_AGAIN_MAX = 1000 * _MILLISECOND  # each look that finds something doubles the pause up to here
_LOOKS_IN_VAIN = 2


class Ending:
    """One component on its way out."""

    def __init__(self, component: str, facts: Facts, now: int) -> None:
        self.component = component
        self.began = now
        self.look_at = now  # when the next look is due
        self.killed: set[Identity] = set()
        self.left: set[Identity] = set()  # what the last look found
        self._commands = Commands(facts.commands, facts.variables)
        self._facts = facts
        self._marks = tuple(b"\0" + os.fsencode(mark) + b"\0" for mark in facts.marks)
        self._family: set[Identity] = set()
        self._looks_in_vain = 0
        self._pause = LOOK_AGAIN

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left of it."""
        return self._looks_in_vain >= _LOOKS_IN_VAIN and self._commands.is_over

    @property
    def trouble(self) -> str:
        """Return what keeps it from being over, for people."""
        if self.left:
            return f"pid {', '.join(str(pid) for pid, _ in sorted(self.left))} survives SIGKILL"
        return self._commands.trouble or "its commands have not ended yet"

    def strike(self) -> None:
        """Keep it from serving, in some microseconds."""
        main = self._facts.pid, self._facts.ticks
        if self._facts.cgroup:
            processes.kill_members(self._facts.cgroup)
            # A cgroup is left by nobody but root: who was in it needs no family to be found. Others are stopped below.
        is_main = processes.send(main[0], signal.SIGSTOP, lambda: processes.is_running(main))
        stat = processes.read_stat(main[0])
        # While a leader is there, even stopped or dying, the number of its group is its own.
        if is_main and stat is not None and stat.identity == main and stat.session == stat.pid:
            try:
                os.killpg(main[0], signal.SIGSTOP)
            except OSError:
                return  # all of it was killed with its control group

    def is_marked(self, environment: bytes) -> bool:
        """Tell whether a process with this environment belongs to it."""
        return bool(self._marks) and all(mark in environment for mark in self._marks)

    def kill_family(self, stats: dict[int, Stat]) -> None:
        """Begin a look: kill its main process and all that came from it, as far as /proc tells."""
        if self._facts.cgroup:
            processes.kill_members(self._facts.cgroup)
        main = self._facts.pid, self._facts.ticks
        self._family |= _family(main, stats) | {main}
        self.left = {identity for identity in self._family if processes.is_running(identity)}
        for identity in self.left:
            self._kill(identity)

    def kill_rest(self, stats: dict[int, Stat], marked: set[Identity], now: int) -> None:
        """End a look: kill what carries its mark (`marked`) and what else is in its control group."""
        inside = processes.members(self._facts.cgroup)
        rest = marked | {stats[pid].identity for pid in inside if pid in stats and not stats[pid].is_gone}
        for identity in rest - self.left:
            self._kill(identity)
        self.left |= rest
        is_in_vain = not self.left and inside <= stats.keys()
        self._looks_in_vain = self._looks_in_vain + 1 if is_in_vain else 0
        self._commands.go_on(now)
        if is_in_vain and self._commands.is_over:
            self._pause = LOOK_AGAIN  # it is over as soon as it can be: what is started next is not to be met
        self.look_at = now + self._pause
        if self.left or not self._commands.is_over:
            self._pause = min(2 * self._pause, LOOK_AGAIN_MAX)

    def _kill(self, identity: Identity) -> None:
        pid, ticks = identity
        if processes.send(pid, signal.SIGKILL, lambda: processes.is_running((pid, ticks))):
            self.killed.add(identity)


def look_for(endings: Iterable[Ending], now: int) -> None:
    """Let all of them look, over one reading of /proc: after a frozen agent many deadlines pass at once."""
    stats = {pid: stat for pid in processes.pids() if (stat := processes.read_stat(pid)) is not None}
    marked: dict[Ending, set[Identity]] = {ending: set() for ending in endings}
    for ending in marked:
        ending.kill_family(stats)  # before anything else is read: a busy host has thousands of environments
    for pid, stat in stats.items():
        environment = b"" if stat.is_gone else processes.read_environment(pid)
        for ending, found in marked.items():
            if ending.is_marked(environment):
                found.add(stat.identity)
    for ending, found in marked.items():
        ending.kill_rest(stats, found, now)


def _family(main: Identity, stats: dict[int, Stat]) -> set[Identity]:
    # Only while the main process is there: once its number is free, a session of that number may be a stranger's.
    first = stats.get(main[0])
    if first is None or first.identity != main:
        return set()
    inside = {stat.pid for stat in stats.values() if stat.session == main[0]} | {main[0]}
    grew = True
    while grew:
        more = {stat.pid for stat in stats.values() if stat.parent in inside} - inside
        inside |= more
        grew = bool(more)
    return {stats[pid].identity for pid in inside}
