"""The writer's end of the file: one transaction per batch, and what to do when the disk does not want it.

Whatever goes wrong becomes a sentence in `problem` and the rows stay with the caller, who tries again. A damaged
file is kept aside and a new one is started. Nothing here is raised, except to an operator who can settle it.
"""

import os
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path

from holdfast.journal import schema, storing
from holdfast.journal.pending import IncidentRow, Pending
from holdfast.journal.records import Wall
from holdfast.journal.retention import Retention

PRUNE_ROWS = 1000  # at a time: a few milliseconds, so that the next batch is never late

# Turns go from the old end of the table, and only those that no kept snapshot needs.
_PRUNE_TURNS = """DELETE FROM turns WHERE sequence IN (SELECT sequence FROM turns ORDER BY sequence LIMIT :rows)
    AND sequence <= (SELECT min(sequence) FROM snapshots)
    AND (wall < :before OR sequence <= (SELECT max(sequence) FROM turns) - :turns_max)"""
_PRUNE_HEALTH = """DELETE FROM health WHERE wall < :before
    AND number IN (SELECT number FROM health ORDER BY number LIMIT :rows)"""
_PRUNE_INCIDENTS = """DELETE FROM incidents WHERE closed < :before
    AND number IN (SELECT number FROM incidents ORDER BY number LIMIT :rows)"""
_PRUNE_AUDIT = """DELETE FROM audit WHERE wall < :before
    AND number IN (SELECT number FROM audit ORDER BY number LIMIT :rows)"""


class Database:
    """One SQLite file, opened to write when it can be and reopened when it has to be."""

    def __init__(self, path: Path, retention: Retention) -> None:
        self._path = path
        self._retention = retention
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # device and inode of the file that is open
        self._is_continuous = False  # the file holds a snapshot and all turns written since
        self._lock: int | None = None
        self.problem: str | None = None  # why the last attempt failed; None: it did not
        self.damage: str | None = (
            None  # what somebody who read met; the file stays readable until the next write
        )
        self.warnings: deque[str] = deque(maxlen=10)  # what happened to the file, for the operator
        self.sequence = 0  # of the newest turn that was ever in the file

    def open(self, wall: Wall) -> bool:
        """Make sure that the file is open. Return whether what comes next continues what it holds.

        The lock's and the schema's JournalRefusedError pass: another agent or a newer holdfast owns it.
        """
        if self.damage is not None:
            self.start_anew(self.damage)
        if self._connection is not None and self._is_ours():
            return self._is_continuous
        self._disconnect()
        try:
            return self._connect(wall)
        except storing.FAULTS as error:
            if not storing.is_damage(error):
                self._fail(error)
                return False
            self.start_anew(str(error))
        except OSError as error:
            self._fail(error)
            return False
        try:
            return self._connect(wall)
        except (*storing.FAULTS, OSError) as error:
            self._fail(error)
            return False

    def write(self, pending: Pending) -> bool:
        """Write all rows in one transaction; nothing on failure. Return whether they are on disk."""
        if self._connection is None:
            return False
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                _insert(cursor, pending)
                self._keep_newest_snapshots(cursor)
                cursor.execute("COMMIT")
        except storing.FAULTS as error:
            if storing.is_damage(error):
                self.start_anew(str(error))
            else:
                self._fail(error)
                self._disconnect()  # also ends the transaction
            return False
        self.problem = None
        self._is_continuous = True
        if pending.turns:
            self.sequence = max(self.sequence, pending.turns[-1][0])
        return True

    def prune(self, wall: Wall) -> bool:
        """Delete what is older than it need be, a few rows at a time. Return whether there may be more."""
        if self._connection is None:
            return False
        keep = self._retention
        deleted = 0
        try:
            with closing(self._connection.cursor()) as cursor:
                for statement, age in (
                    (_PRUNE_TURNS, keep.turns),
                    (_PRUNE_HEALTH, keep.health),
                    (_PRUNE_INCIDENTS, keep.incidents),
                    (_PRUNE_AUDIT, keep.audit),
                ):
                    values = {"before": wall - age, "rows": PRUNE_ROWS, "turns_max": keep.turns_max}
                    cursor.execute(statement, values)
                    deleted = max(deleted, cursor.rowcount)
        except storing.FAULTS as error:
            if storing.is_damage(error):
                self.damage = str(error)
            else:
                self._fail(error)
                self._disconnect()
        return deleted >= PRUNE_ROWS

    def start_anew(self, why: str) -> None:
        """Keep the damaged file aside; the next `open` makes a new one."""
        self._disconnect()
        self.damage = None
        try:
            aside = storing.set_aside(self._path)
        except FileNotFoundError:
            return  # somebody else moved it: all the same
        except OSError as error:
            self._fail(error)
            return
        self.warnings.append(
            f"{self._path} was damaged ({why}): kept aside as {aside.name}, a new one was started"
        )

    def close(self) -> None:
        """Let go of the file, and of the right to write it."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connect(self, wall: Wall) -> bool:
        if self._lock is None:
            self._lock = storing.lock_beside(self._path)
        storing.prepare_file(self._path)
        connection = storing.open_to_write(self._path)
        try:
            schema.migrate(connection, wall=wall)
            self._identity = _identity(self._path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return self._take_stock(connection)

    def _take_stock(self, connection: sqlite3.Connection) -> bool:
        newest = "SELECT coalesce(max(sequence), 0) FROM"
        try:
            (turn,) = connection.execute(f"{newest} turns").fetchone()
            (snapshot,) = connection.execute(f"{newest} snapshots").fetchone()
        except storing.FAULTS as error:
            if not storing.is_damage(error):
                raise
            # Not replaced yet: what can be read of it may be recalled before we write.
            self.damage = str(error)
            turn = snapshot = 0
        # An older copy put in our place lacks turns that we have written: as good as no snapshot.
        self._is_continuous = bool(snapshot > 0 and turn >= self.sequence)
        self.sequence = max(self.sequence, turn, snapshot)
        return self._is_continuous

    def _is_ours(self) -> bool:
        # A file that was deleted or replaced under us takes writes without complaint, and nobody will read them.
        try:
            return _identity(self._path) == self._identity
        except OSError:
            return False

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                connection.close()
            except storing.FAULTS as error:
                self._fail(error)

    def _keep_newest_snapshots(self, cursor: sqlite3.Cursor) -> None:
        cursor.execute(
            """DELETE FROM snapshots WHERE sequence NOT IN
               (SELECT sequence FROM snapshots ORDER BY sequence DESC LIMIT ?)""",
            (self._retention.snapshots_max,),
        )

    def _fail(self, error: storing.Fault | OSError) -> None:
        self.problem = f"{self._path}: {error}"


def _insert(cursor: sqlite3.Cursor, pending: Pending) -> None:
    # REPLACE: a row of that sequence can only come from a file that was put here while we ran; ours is the truth.
    cursor.executemany("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)", pending.turns)
    cursor.executemany("INSERT INTO health (wall, at, service, value) VALUES (?, ?, ?, ?)", pending.health)
    cursor.executemany("INSERT INTO audit (wall, by, command) VALUES (?, ?, ?)", pending.audit)
    cursor.executemany("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", pending.snapshots)
    for incident in pending.incidents.values():
        _upsert(cursor, incident)


def _upsert(cursor: sqlite3.Cursor, row: IncidentRow) -> None:
    if not row.is_new:
        # `opened` stays as first seen: the wall clock may have jumped, or the host rebooted, since.
        cursor.execute(
            """UPDATE incidents SET service = ?, closed = ?, incident = ?
               WHERE number = (SELECT max(number) FROM incidents WHERE id = ?)""",
            (row.service, row.closed, row.incident, row.id),
        )
        if cursor.rowcount:
            return
    cursor.execute(
        "INSERT INTO incidents (id, service, opened, closed, incident) VALUES (?, ?, ?, ?, ?)",
        (row.id, row.service, row.opened, row.closed, row.incident),
    )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
