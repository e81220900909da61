"""Following what an agent started: when one of its daemons ends, the agent is asked at once, not at its next time.

An agent does not say which process is its service's. So all are followed that have no parent among the component's own:
workers come and go, and their end is their parent's business. That something ended proves nothing; the monitor tells.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable

from holdfast.components import procfs
from holdfast.components.procfs import Identity

_FOLLOWED_MAX = 32


class Following:
    """The daemons of one component."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._pidfds: dict[Identity, int] = {}

    def follow(self, processes: Iterable[Identity]) -> None:
        """Follow the eldest of these, and no others any more."""
        eldest = frozenset(_eldest(frozenset(processes)))
        for identity in self._pidfds.keys() - eldest:
            self._drop(identity)
        for identity in eldest - self._pidfds.keys():
            if len(self._pidfds) >= _FOLLOWED_MAX:
                return
            if (pidfd := procfs.open_pidfd(identity)) is not None:
                self._pidfds[identity] = pidfd
                asyncio.get_running_loop().add_reader(pidfd, self._hear, identity)

    def close(self) -> None:
        """Follow nobody."""
        for identity in tuple(self._pidfds):
            self._drop(identity)

    def _hear(self, identity: Identity) -> None:
        # Agents ask with `kill -0`, which a zombie still answers: it must be gone before they do.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfds[identity], os.WEXITED | os.WNOHANG)
        self._drop(identity)
        self._on_end()

    def _drop(self, identity: Identity) -> None:
        pidfd = self._pidfds.pop(identity)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)


def _eldest(processes: frozenset[Identity]) -> Iterable[Identity]:
    pids = {identity.pid for identity in processes}
    for identity in processes:
        stat = procfs.read_stat(identity.pid)
        if stat is not None and stat.ticks == identity.ticks and stat.parent not in pids:
            yield identity
