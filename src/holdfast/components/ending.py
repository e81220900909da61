"""Finding everything that belongs to a component, and ending it.

A process belongs to it if it is in its control group, carries its mark, or was seen in its family while the main
process lived. All of them are killed, again and again until a look finds none: a process that forks meanwhile is
found by the next look.
"""

import os
import select
import signal
import time
from collections.abc import Iterable
from typing import NamedTuple

from holdfast.components import marking, procfs
from holdfast.components.cgroups import Cgroup
from holdfast.components.procfs import Identity
from holdfast.model.ids import ComponentId

GIVE_UP_AFTER = 5.0  # seconds; what survives SIGKILL for so long sleeps in the kernel (state D)
_LOOK_AGAIN = 0.25  # seconds


class Ended(NamedTuple):
    """What became of everything."""

    killed: frozenset[Identity]
    survivors: frozenset[Identity]


def leftovers(
    component: ComponentId, instance: str, cgroup: Cgroup | None, seen: Iterable[Identity] = ()
) -> frozenset[Identity]:
    """Return everything of the component that runs, main process included."""
    found = {process.identity for process in marking.find(instance) if process.mark.component == component}
    for pid in cgroup.pids() if cgroup is not None else ():
        stat = procfs.read_stat(pid)
        if stat is not None and not stat.is_gone and pid != os.getpid():
            found.add(stat.identity)
    return frozenset(found.union(identity for identity in seen if identity.is_running))


def end_all(
    component: ComponentId,
    instance: str,
    cgroup: Cgroup | None,
    seen: frozenset[Identity] = frozenset(),
    give_up_after: float = GIVE_UP_AFTER,
) -> Ended:
    """Kill everything of the component. Blocks until it is gone, or we give up."""
    deadline = time.monotonic() + give_up_after
    while found := leftovers(component, instance, cgroup, seen):
        if time.monotonic() >= deadline:
            return Ended(seen - found, found)
        seen |= found
        if cgroup is not None:
            cgroup.kill()
        _kill_and_wait(found)
    return Ended(seen, frozenset())


def _kill_and_wait(processes: Iterable[Identity]) -> None:
    pidfds = {pidfd for identity in processes if (pidfd := procfs.open_pidfd(identity)) is not None}
    waiting = select.poll()
    try:
        for pidfd in pidfds:
            procfs.send_signal(pidfd, signal.SIGKILL)
            waiting.register(pidfd, select.POLLIN)
        left = set(pidfds)
        until = time.monotonic() + _LOOK_AGAIN
        while left and (rest := until - time.monotonic()) > 0:
            for pidfd, _ in waiting.poll(rest * 1000):
                waiting.unregister(pidfd)
                left.discard(pidfd)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)
