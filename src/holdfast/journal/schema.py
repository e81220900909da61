"""The journal's tables, and how an older file becomes a present one.

Each element of MIGRATIONS brings a file from the version before to its own (counting from 1). A change to the
tables is a new element at the end, never an edit of one that was released.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import TypeAlias

from holdfast import __version__
from holdfast.journal.refusing import JournalRefusedError

Migration: TypeAlias = tuple[str, ...]  # SQL statements, run in one transaction

MIGRATIONS: tuple[Migration, ...] = (
    (
        # `sequence` has holes only where turns were lost (disk full for long); a snapshot follows each hole.
        """CREATE TABLE turns (sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, wall INTEGER NOT NULL,
           boot TEXT NOT NULL, name TEXT NOT NULL, event TEXT NOT NULL, decisions TEXT NOT NULL)""",
        "CREATE TABLE snapshots (sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, state TEXT NOT NULL)",
        # An incident's id repeats when the core lost its memory and counts from i-1 again: it is no key.
        """CREATE TABLE incidents (number INTEGER PRIMARY KEY, id TEXT NOT NULL, service TEXT NOT NULL,
           opened INTEGER NOT NULL, closed INTEGER, incident TEXT NOT NULL)""",
        "CREATE INDEX incidents_by_id ON incidents (id, number)",
        "CREATE INDEX incidents_by_opened ON incidents (opened, number)",
        """CREATE TABLE health (number INTEGER PRIMARY KEY, wall INTEGER NOT NULL, at INTEGER NOT NULL,
           service TEXT NOT NULL, value REAL NOT NULL)""",
        "CREATE INDEX health_by_service ON health (service, wall)",
        """CREATE TABLE audit (number INTEGER PRIMARY KEY, wall INTEGER NOT NULL, by TEXT NOT NULL,
           command TEXT NOT NULL)""",
    ),
)


class ForeignSchemaError(sqlite3.DatabaseError):
    """The file is a database, but no journal of ours, or one no longer."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of the file; 0 for a new one. ForeignSchemaError if it tells none."""
    text = _meta(connection, "schema") or "0"
    if not (text.isascii() and text.isdecimal()):
        raise ForeignSchemaError(f"its schema version is {text!r}")
    return int(text)


def migrate(connection: sqlite3.Connection, *, wall: int, steps: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to the present version; JournalRefusedError if a newer holdfast has written it."""
    refuse_newer(connection, version_max=len(steps))
    with closing(connection.cursor()) as cursor:
        for version in range(version_of(connection) + 1, len(steps) + 1):
            # All of a step or nothing: a kill between two statements must not leave half a schema.
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
                for statement in steps[version - 1]:
                    cursor.execute(statement)
                for key, value in (("schema", str(version)), ("holdfast", __version__)):
                    cursor.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
                cursor.execute("INSERT OR IGNORE INTO meta VALUES ('created', ?)", (str(wall),))
                cursor.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise


def refuse_newer(connection: sqlite3.Connection, *, version_max: int = len(MIGRATIONS)) -> None:
    """Raise JournalRefusedError if the file's schema is newer than `version_max`."""
    version = version_of(connection)
    if version > version_max:
        writer = _meta(connection, "holdfast") or "a newer version"
        raise JournalRefusedError(
            f"the journal was written by holdfast {writer} (schema {version}); this is holdfast {__version__}, "
            f"which reads up to schema {version_max}: upgrade holdfast, or move the journal away to start a new one"
        )


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return None
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
