"""The state directory: where one agent keeps what must survive it, and the lock that keeps a second agent out.

Two agents on one directory would both start what the other just stopped. The lock is `flock` on `agent.lock`:
the kernel lets go of it when the agent dies, however it dies, so a stale lock cannot exist.

Only the agent's user may look inside. With `control.group` set, that group may pass through (mode 0710) to
reach the control socket, and still reads nothing else.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

VARIABLE = "HOLDFAST_DIRECTORY"
SOCKET = "control.sock"
_LOCK = "agent.lock"


class DirectoryError(Exception):
    """The state directory cannot be used; the text says why and what to do."""


def choose_directory(system: str, given: Path | None = None) -> Path:
    """Return the state directory of `system`: the one given, else HOLDFAST_DIRECTORY, else the user's usual place."""
    if given is not None:
        return given.absolute()
    if from_environment := os.environ.get(VARIABLE):
        return Path(from_environment).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/holdfast") / system
    state_home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state_home) / "holdfast" / system


class StateDirectory:
    """A state directory that this agent holds the lock of, until it is closed."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> Self:
        """Make the directory if it is missing, and take its lock; DirectoryError if another agent has it."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_foreign_owner(path)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            message = f"state directory {path} cannot be used: {error.strerror or error}; choose another with --directory"
            raise DirectoryError(message) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            message = (
                f"another agent (pid {holder}) runs on {path}; stop it first, or choose another --directory"
            )
            raise DirectoryError(message) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
        return cls(path, lock)

    @property
    def socket(self) -> Path:
        """Return where the control socket is."""
        return self.path / SOCKET

    def admit(self, group: int | None) -> None:
        """Let `group` (its number) pass through to the socket, or nobody but the owner."""
        if group is None:
            self.path.chmod(0o700)
            return
        os.chown(self.path, -1, group)
        self.path.chmod(0o710)

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_foreign_owner(path: Path) -> None:
    # In a directory that somebody else owns, they could swap our files under us.
    owner = path.stat().st_uid
    if owner != os.geteuid():
        message = f"state directory {path} belongs to uid {owner}, and this agent runs as uid {os.geteuid()}"
        raise DirectoryError(message)
