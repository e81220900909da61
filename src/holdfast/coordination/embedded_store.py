"""The embedded store's transactions: what is asked of the file, one call at a time, each in one transaction.

Every write first ends the sessions that are dead, so nothing is ever decided by a key whose owner is gone. Writes of keys are synced to
disk: a token that a power cut takes back would be handed out twice. Renewals are not: no session outlives its boot.

All of this blocks, and runs in a thread of the coordinator's own.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.coordination import conditions
from holdfast.coordination.embedded_files import SessionFiles, SessionRow
from holdfast.coordination.embedded_schema import FILE, connect, entry_of
from holdfast.coordination.limits import ROOT
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value
from holdfast.ports.coordination import (
    Change,
    ConflictError,
    CoordinationError,
    Entry,
    Guard,
    SessionLostError,
    UnavailableError,
    UnknownError,
    Write,
)

CHANGES_MAX = 1000  # a watch that is further behind begins anew; also bounds the file

_SELECT_BELOW = """SELECT key, value, version, token, session FROM entries
    WHERE key = :prefix OR (key >= :first AND key < :end)"""
_SELECT_KEY = "SELECT key, value, version, token, session FROM entries WHERE key = ?"
_SELECT_CHANGES = """SELECT kind, key, value, version, token, session FROM changes
    WHERE revision > :after AND (key = :prefix OR (key >= :first AND key < :end)) ORDER BY revision"""


class Page(Value, frozen=True):
    """Entries, and the revision that they were read at."""

    entries: dict[str, Entry]
    revision: int


class Standing(Value, frozen=True):
    """What a poll compares: when none of it has changed, nothing has."""

    connection: int  # data versions of two connections cannot be compared
    data_version: int
    revision: int
    sessions: tuple[SessionRow, ...]


class Store:
    """One connection to the store's file. Used by one thread at a time."""

    def __init__(self, folder: Path, now: Callable[[], Instant], busy_limit: Duration, boot: str) -> None:
        self._folder = folder
        self._now = now
        self._busy_limit = busy_limit
        self._boot = boot
        self._connection: sqlite3.Connection | None = None
        self._connections_made = 0
        self._identity: tuple[int, int] | None = None
        self._is_synced = True
        self.files = SessionFiles(folder / "sessions")

    # --- writing --------------------------------------------------------------------------------------

    def open_session(self, session: str, ttl: Duration) -> int:
        """Open a session and return the descriptor that keeps it alive."""
        self._connected()  # makes the folder
        try:
            descriptor = self.files.take(session)
        except OSError as error:
            raise UnavailableError(f"{self._folder}: {error}") from error
        try:
            with self._writing(synced=False) as connection:
                row = (session, ttl, self._now() + ttl, self._boot)
                connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", row)
        except BaseException:
            self.files.let_go(descriptor)
            with suppress(OSError):
                self.files.remove(session)
            raise
        return descriptor

    def renew(self, session: str) -> None:
        """Let the session live on from now; SessionLostError if it does not live."""
        with self._writing(synced=False) as connection:
            extend = "UPDATE sessions SET expires = ? + ttl WHERE id = ?"
            if connection.execute(extend, (self._now(), session)).rowcount == 0:
                raise SessionLostError(f"session {session} has expired")

    def end(self, session: str) -> None:
        """End a session and its keys."""
        with self._writing(synced=False) as connection:
            self._drop(connection, session)
        with suppress(OSError):
            self.files.remove(session)

    def reap(self) -> None:
        """End the sessions that are dead."""
        with self._writing(synced=False):
            pass

    def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> Sequence[Entry | None]:
        """Do all writes if all guards hold and all sessions live, else none. Return what was written."""
        with self._writing(synced=True) as connection:
            for guard in guards:
                _check(guard, _get(connection, guard.key))
            return [_apply(connection, write) for write in writes]

    def forget_history(self) -> None:
        """Drop what watches are fed from: each that is behind begins anew with a snapshot."""
        with self._writing(synced=False) as connection:
            connection.execute("DELETE FROM changes")

    # --- reading --------------------------------------------------------------------------------------

    def page(self, prefix: str) -> Page | None:
        """Return everything below the prefix; None if a dead session has to be ended first."""
        with self._reading() as connection:
            if self._has_dead(_sessions(connection)):
                return None
            rows = connection.execute(_SELECT_BELOW, _span(prefix))
            return Page({row[0]: entry_of(row) for row in rows}, _revision(connection))

    def changes(self, prefix: str, after: int) -> tuple[Sequence[Change] | None, int]:
        """Return what happened below the prefix since a revision, None if that is forgotten; and the revision now."""
        with self._reading() as connection:
            revision = _revision(connection)
            (kept,) = connection.execute(
                "SELECT count(*) FROM changes WHERE revision > ?", (after,)
            ).fetchone()
            if kept < revision - after:  # each revision is one change: some are gone
                return None, revision
            rows = connection.execute(_SELECT_CHANGES, {"after": after, **_span(prefix)})
            return [Change(kind, entry_of(tuple(row))) for kind, *row in rows], revision

    def look(self, last: Standing | None) -> tuple[Standing, bool]:
        """Return how things stand, and whether a dead session has to be ended. Cheap when nothing has changed."""
        with self._reported():
            connection = self._connected()
            (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        made = self._connections_made
        if last is None or (last.connection, last.data_version) != (made, data_version):
            with self._reading() as connection:
                last = Standing(made, data_version, _revision(connection), tuple(_sessions(connection)))
        with self._reported():  # their files are looked at
            return last, self._has_dead(last.sessions)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()

    # --- inside ---------------------------------------------------------------------------------------

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._folder, self._busy_limit)
            self._connections_made += 1
            self._is_synced = True
            self._identity = self._identity or self._identity_now()
        if self._identity_now() != self._identity:
            # Two files would grant the same lock twice. Ours is the one that was there first.
            message = f"{self._folder / FILE} was removed or replaced while in use; start this program anew"
            raise UnavailableError(message)
        return self._connection

    def _identity_now(self) -> tuple[int, int]:
        try:
            found = (self._folder / FILE).stat()
        except OSError as error:
            raise UnavailableError(f"{self._folder / FILE}: {error.strerror}") from error
        return found.st_dev, found.st_ino

    @contextmanager
    def _writing(self, *, synced: bool) -> Iterator[sqlite3.Connection]:
        with self._reported():
            connection = self._connected()
            if synced != self._is_synced:
                connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
                self._is_synced = synced
            connection.execute("BEGIN IMMEDIATE")
            try:
                dead = self._reap(connection)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        self._commit(connection)
        for session in dead:
            with suppress(OSError):  # a file that stays is looked at by nobody
                self.files.remove(session)

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # The commit may be in the file and only its sync have failed.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self.close()
            raise UnknownError(f"{self._folder / FILE}: {error}") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._reported():
            connection = self._connected()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Say what SQLite says in the port's words. Before a commit, nothing was written."""
        try:
            yield
        except CoordinationError:
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()  # whatever was wrong with it, the next call begins anew
            raise UnavailableError(f"{self._folder / FILE}: {error}") from error

    def _has_dead(self, sessions: Sequence[SessionRow]) -> bool:
        now = self._now()
        return any(self.files.is_dead(session, now) for session in sessions)

    def _reap(self, connection: sqlite3.Connection) -> list[str]:
        now = self._now()
        dead = [row.id for row in _sessions(connection) if self.files.is_dead(row, now)]
        for session in dead:
            self._drop(connection, session)
        return dead

    def _drop(self, connection: sqlite3.Connection, session: str) -> None:
        keys = connection.execute(
            "SELECT key FROM entries WHERE session = ? ORDER BY key", (session,)
        ).fetchall()
        for (key,) in keys:
            _apply(connection, Write(key, None))
        connection.execute("DELETE FROM sessions WHERE id = ?", (session,))


def _span(prefix: str) -> dict[str, str]:
    # "0" is the character after "/": everything that begins with "PREFIX/" lies between the two.
    base = "" if prefix == ROOT else prefix
    return {"prefix": prefix, "first": f"{base}/", "end": f"{base}0"}


def _sessions(connection: sqlite3.Connection) -> list[SessionRow]:
    return [
        SessionRow(*row)
        for row in connection.execute("SELECT id, expires, boot FROM sessions ORDER BY expires")
    ]


def _revision(connection: sqlite3.Connection) -> int:
    (revision,) = connection.execute("SELECT revision FROM counter").fetchone()
    return int(revision)


def _get(connection: sqlite3.Connection, key: str) -> Entry | None:
    row = connection.execute(_SELECT_KEY, (key,)).fetchone()
    return entry_of(row) if row else None


def _check(guard: Guard, entry: Entry | None) -> None:
    if not conditions.holds(guard.expect, entry):
        raise ConflictError(f"{guard.key} is not as expected")


def _apply(connection: sqlite3.Connection, write: Write) -> Entry | None:
    before = _get(connection, write.key)
    if write.value is None:
        if before is not None:
            connection.execute("DELETE FROM entries WHERE key = ?", (write.key,))
            _note(connection, "delete", before)
        return None
    if write.session is not None:
        found = connection.execute("SELECT 1 FROM sessions WHERE id = ?", (write.session,)).fetchone()
        if found is None:
            raise SessionLostError(f"session {write.session} has ended")
    version = _revision(connection) + 1
    entry = Entry(write.key, write.value, version, before.token if before else version, write.session)
    row = (entry.key, entry.value, entry.version, entry.token, entry.session)
    connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)
    _note(connection, "put", entry)
    return entry


def _note(connection: sqlite3.Connection, kind: str, entry: Entry) -> None:
    connection.execute("UPDATE counter SET revision = revision + 1")
    revision = _revision(connection)
    connection.execute(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)",
        (revision, kind, entry.key, entry.value, entry.version, entry.token, entry.session),
    )
    connection.execute("DELETE FROM changes WHERE revision <= ?", (revision - CHANGES_MAX,))
