"""A file per session, locked by its owner: how the death of a process is noticed in milliseconds.

The kernel lets go of a `flock` when the process ends, however it ends. So whoever can take the lock of a session's file knows
that its owner is gone. A process that hangs keeps its lock; for it there is the ttl.

A session that is to outlive its process (its next life takes over what it holds) ends by its ttl alone; its id says so.

The lock belongs to the open file: a child made by `fork` without `exec` would hold it on after the parent died, and
so closes it at once. Observers lock shared, so that two of them never take each other for the owner.
"""

import fcntl
import os
from pathlib import Path

from holdfast.coordination.clock import boot_id
from holdfast.model.time import Instant
from holdfast.model.value import Value

_held: set[int] = set()  # descriptors of this process's sessions


def _let_go_after_fork() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_after_fork)


OUTLIVING = "ttl-"  # how the id of a session begins that ends by its ttl alone


class SessionRow(Value, frozen=True):
    """What the store knows of a session."""

    id: str
    expires: Instant
    boot: str


class SessionFiles:
    """The folder of the sessions' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = boot_id()

    def take(self, session: str) -> int:
        """Make the session's file and lock it for as long as the descriptor is open."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._folder / session, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _held.add(descriptor)
        return descriptor

    def let_go(self, descriptor: int) -> None:
        """Give the lock up."""
        if descriptor in _held:  # not after a fork: the number may be another file by now
            _held.remove(descriptor)
            os.close(descriptor)

    def remove(self, session: str) -> None:
        """Remove the file of a session that has ended."""
        (self._folder / session).unlink(missing_ok=True)

    def is_dead(self, session: SessionRow, now: Instant) -> bool:
        """Return whether the session has expired or its owner is gone."""
        # Instants of another boot mean nothing, and no process outlives its boot.
        if session.boot != self._boot or now >= session.expires:
            return True
        return not session.id.startswith(OUTLIVING) and self._is_free(session.id)

    def _is_free(self, session: str) -> bool:
        try:
            descriptor = os.open(self._folder / session, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
