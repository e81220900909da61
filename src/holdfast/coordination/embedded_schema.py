"""The embedded store's file: its tables, how it is opened, and what its errors prove."""

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from holdfast.model.time import SECOND, Duration
from holdfast.ports.coordination import Entry, UnavailableError

FILE = "coordination.sqlite"
SCHEMA_VERSION = 1
_making = threading.Lock()  # no thread connects to a file that another one is about to close

_TABLES = (
    "CREATE TABLE counter (revision INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    """CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL,
        token INTEGER NOT NULL, session TEXT) WITHOUT ROWID""",
    "CREATE INDEX entries_of_session ON entries (session) WHERE session IS NOT NULL",
    """CREATE TABLE sessions (id TEXT PRIMARY KEY, ttl INTEGER NOT NULL, expires INTEGER NOT NULL,
        boot TEXT NOT NULL) WITHOUT ROWID""",
    # What happened, for watches; revisions up to counter.revision minus the rows kept are forgotten.
    """CREATE TABLE changes (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        version INTEGER NOT NULL, token INTEGER NOT NULL, session TEXT)""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def connect(folder: Path, busy_limit: Duration) -> sqlite3.Connection:
    """Open the store's file, and make it if it is not there; UnavailableError says why it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_file(folder / FILE)
        connection = sqlite3.connect(
            folder / FILE, isolation_level=None, timeout=busy_limit / SECOND, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError(f"{folder}: {error}") from error
    try:
        with _one_at_a_time(folder, busy_limit):
            _prepare(connection, folder)
    except (OSError, sqlite3.Error) as error:
        connection.close()
        raise UnavailableError(f"{folder / FILE}: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    """Make the file if it is missing: SQLite would make it readable for everybody the umask allows.

    One that is there is never opened here. Whoever closes a file gives up all POSIX locks that its process has on it, those of
    SQLite's other connections included; the next process that ended would take itself for the last one then, and remove the
    log that this one goes on writing: the same lock could be given twice.
    """
    with _making:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            if path.is_symlink():
                raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from None


@contextmanager
def _one_at_a_time(folder: Path, busy_limit: Duration) -> Iterator[None]:
    """Let nobody else open the file meanwhile.

    SQLite waits for a busy file nearly everywhere, but not where two connections turn it to WAL at once: one of them is
    told at once that it is locked. Whoever hangs here is waited for as long as a busy file, and then passed by.
    """
    opening = os.open(folder / "opening", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        ends = time.monotonic() + busy_limit / SECOND
        while time.monotonic() < ends:
            try:
                fcntl.flock(opening, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.002)
        yield
    finally:
        os.close(opening)


def _prepare(connection: sqlite3.Connection, folder: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if _version(connection) == 0:
        with closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                if _version(connection) == 0:  # nobody was quicker
                    for statement in _TABLES:
                        cursor.execute(statement)
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
    if _version(connection) != SCHEMA_VERSION:
        message = f"{folder / FILE} was written by a newer holdfast; use that one, or another folder"
        raise UnavailableError(message)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def entry_of(row: tuple[str, bytes, int, int, str | None]) -> Entry:
    """Return the entry that a row of `key, value, version, token, session` holds."""
    return Entry(*row)
