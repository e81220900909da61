"""The journal's file: made private, locked to one agent, and kept aside when it is damaged.

SQLite drops its own POSIX locks when this process closes any descriptor of the database file, so the lock
that keeps a second agent out is on a file beside it, and the database file itself is touched only before
SQLite opens it.
"""

import errno
import fcntl
import os
import re
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from holdfast.journal.refusing import JournalRefusedError
from holdfast.journal.schema import ForeignSchemaError

DAMAGED_MAX = 3  # more evidence than this only fills the disk
BUSY_WITHIN = 2.0  # seconds; readers never block the writer in WAL mode, recovery after a crash may


# Our statements are fixed and tested: one that is an ERROR here met tables that are not ours, or ours no longer.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
}

# Every way in which a statement fails. Python cannot even tell SQLite's message when it quotes a damaged schema.
FAULTS = (sqlite3.Error, UnicodeDecodeError)
Fault: TypeAlias = sqlite3.Error | UnicodeDecodeError


def is_damage(error: BaseException | None) -> bool:
    """Tell whether the file is to blame: trying again will not help, and a new file will."""
    # The primary code is the low byte. Errors of the Python module itself have none.
    code: int = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, ForeignSchemaError | UnicodeDecodeError) or code & 0xFF in _DAMAGE


def as_text(raw: bytes) -> str:
    """Return what a TEXT column holds, whatever it holds: a damaged row is for the decoder to refuse, not for the fetch."""
    return raw.decode(errors="surrogateescape")


def prepare_file(path: Path) -> None:
    """Make the directory (0700) and the file (0600) if they are missing; the file is 0600 in any case.

    A directory that is already there is the operator's: its mode stays. A file that is there is not opened: to close it would give
    up the locks of all of this process's connections to it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from None
        if found.st_mode & 0o077:
            path.chmod(0o600)  # SQLite gives -wal and -shm the mode of the file


def lock_beside(path: Path) -> int:
    """Return a descriptor that keeps every other agent out until it is closed, by us or by our death."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalRefusedError(
            f"{path}: another agent is writing this journal; stop it first, or give this one its own directory"
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_to_write(path: Path) -> sqlite3.Connection:
    """Return a connection for the one writer. What it commits survives the death of this process.

    With synchronous=NORMAL a power cut may take the last commits, never the file's consistency: the price
    of full durability, an fsync per commit, buys little for a memory that a survey corrects after a boot anyway.
    """
    connection = sqlite3.connect(path, timeout=BUSY_WITHIN, isolation_level=None, check_same_thread=False)
    connection.text_factory = as_text
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "PRAGMA journal_size_limit = 16777216"
        )  # a WAL that grew under a slow reader shrinks
    except FAULTS:
        connection.close()
        raise
    return connection


def set_aside(path: Path) -> Path:
    """Rename a damaged database to `NAME.damaged-N` and return that path; the oldest such files go."""
    earlier = sorted(_damaged(path))
    number = earlier[-1] + 1 if earlier else 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    # The log first: if we die in between, it must not be taken for the log of a new, empty database.
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(f"{aside}-wal")
    path.rename(aside)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    for old in earlier[: max(0, len(earlier) + 1 - DAMAGED_MAX)]:
        for suffix in ("", "-wal"):
            path.with_name(f"{path.name}.damaged-{old}{suffix}").unlink(missing_ok=True)
    return aside


def _damaged(path: Path) -> list[int]:
    pattern = re.compile(re.escape(path.name) + r"\.damaged-(\d+)")
    found = (pattern.fullmatch(entry.name) for entry in path.parent.iterdir())
    return [int(match[1]) for match in found if match is not None]
