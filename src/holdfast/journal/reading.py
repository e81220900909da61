"""Reading the journal, in the agent's process or another one, while the agent writes.

Rows are listed a page at a time, each in its own short transaction: a reader that keeps one open would hold back
the checkpoint, and the write-ahead log would grow for as long as somebody scrolls.

A row that cannot be decoded (a newer holdfast wrote it, or it is torn) is skipped and counted when listing. When
recalling, the turns end before the first such row and before the first hole: replaying past it would
yield a state that never was.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import quote

from holdfast.journal import codec, schema, storing
from holdfast.journal.records import AuditRecord, HealthPoint, IncidentRecord, Snapshot, TurnRecord, Wall
from holdfast.journal.refusing import JournalRefusedError
from holdfast.model.ids import IncidentId, ServiceName
from holdfast.ports.journal import Memory, Turn

PAGE = 500  # rows
BUSY_WITHIN = 5.0  # seconds; only the recovery after a crash makes a reader wait

_Value: TypeAlias = str | int | float | None
_TURNS = """SELECT sequence, at, wall, boot, event, decisions FROM turns
    WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"""
_INCIDENTS = "SELECT opened, closed, incident FROM incidents "
_SEQUENCE_MAX = 2**63 - 1


class JournalReader:
    """A read-only connection. JournalRefusedError if there is no journal, or none that we can read."""

    def __init__(self, path: Path) -> None:
        self.skipped = 0  # rows that could not be decoded
        self.damage: str | None = None  # what SQLite said of a damaged page, if it came across one
        self._path = path
        try:
            self._connection = _open_to_read(path)
        except storing.FAULTS as error:
            raise JournalRefusedError(_explain(path, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def turns(self, *, after: int = 0, until: int | None = None) -> Iterator[TurnRecord]:
        """Return the turns with `after` < sequence <= `until` in order, those of a damaged page not."""
        for row in self._turn_rows(after, until):
            record = _turn(row)
            if record is None:
                self.skipped += 1
            else:
                yield record

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Return the snapshots that can be read, newest first."""
        with self._one_view():
            return tuple(self._snapshots())

    def memory(self) -> Memory | None:
        """Return the newest snapshot that can be read and the unbroken row of turns after it."""
        with self._one_view():
            snapshot = next(self._snapshots(), None)
            if snapshot is None:
                return None
            return Memory(snapshot.state, tuple(self._unbroken_after(snapshot.sequence)))

    def incidents(self, *, limit: int = 50) -> tuple[IncidentRecord, ...]:
        """Return the newest incidents, newest first."""
        rows = self._rows(_INCIDENTS + "ORDER BY opened DESC, number DESC LIMIT ?", limit)
        found = (self._incident(row) for row in rows)
        return tuple(record for record in found if record is not None)

    def incident(self, incident: IncidentId) -> IncidentRecord | None:
        """Return the incident of that id; of several (ids repeat after a lost memory) the newest."""
        rows = self._rows(_INCIDENTS + "WHERE id = ? ORDER BY number DESC LIMIT 1", incident)
        return self._incident(rows[0]) if rows else None

    def health(self, service: ServiceName = "", *, since: Wall = 0) -> tuple[HealthPoint, ...]:
        """Return how health changed since `since`, oldest first; "" is the system.

        The first point is the last one at or before `since`, if any: what held then.
        """
        rows = self._rows(
            """SELECT wall, at, service, value FROM health WHERE service = ? AND wall >=
               coalesce((SELECT max(wall) FROM health WHERE service = ? AND wall <= ?), ?) ORDER BY number""",
            *(service, service, since, since),
        )
        return tuple(
            HealthPoint(_whole(w), _whole(at), str(name), v if isinstance(v, float) else 0.0)
            for w, at, name, v in rows
        )

    def audit(self, *, limit: int = 50) -> tuple[AuditRecord, ...]:
        """Return what operators asked for, newest first."""
        found: list[AuditRecord] = []
        for wall, by, command in self._rows(
            "SELECT wall, by, command FROM audit ORDER BY number DESC LIMIT ?", limit
        ):
            try:
                found.append(AuditRecord(_whole(wall), str(by), codec.decode_command(str(command))))
            except codec.UNDECODABLE:
                self.skipped += 1
        return tuple(found)

    def _snapshots(self) -> Iterator[Snapshot]:
        # One row at a time: a damaged page under one state must not hide the others.
        for (sequence,) in self._rows("SELECT sequence FROM snapshots ORDER BY sequence DESC"):
            for at, state in self._rows("SELECT at, state FROM snapshots WHERE sequence = ?", sequence):
                try:
                    yield Snapshot(_whole(sequence), _whole(at), codec.decode_state(str(state)))
                except codec.UNDECODABLE:
                    self.skipped += 1

    def _unbroken_after(self, sequence: int) -> Iterator[Turn]:
        for row in self._turn_rows(sequence, None):
            record = _turn(row)
            if record is None:
                self.skipped += 1
                return
            if record.turn.sequence != sequence + 1:
                return
            yield record.turn
            sequence += 1

    @contextmanager
    def _one_view(self) -> Iterator[None]:
        # The writer deletes old snapshots: what was listed has to be there still when it is read.
        self._rows("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _turn_rows(self, after: int, until: int | None) -> Iterator[tuple[_Value, ...]]:
        last = _SEQUENCE_MAX if until is None else until
        while page := self._rows(_TURNS, after, last, PAGE):
            yield from page
            last_read = _whole(page[-1][0])
            if last_read <= after:  # only in a damaged file
                return
            after = last_read

    def _incident(self, row: tuple[_Value, ...]) -> IncidentRecord | None:
        opened, closed, text = row
        try:
            incident = codec.decode_incident(str(text))
        except codec.UNDECODABLE:
            self.skipped += 1
            return None
        return IncidentRecord(incident, _whole(opened), None if closed is None else _whole(closed))

    def _rows(self, statement: str, *values: _Value) -> list[tuple[_Value, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except storing.FAULTS as error:
            if not storing.is_damage(error):
                raise JournalRefusedError(_explain(self._path, error)) from error
            self.damage = str(error)
            return []


def _open_to_read(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_WITHIN, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = storing.as_text
    try:
        schema.refuse_newer(connection)
        if schema.version_of(connection) == 0:
            raise JournalRefusedError(f"{path}: no journal yet, or not a journal")
    except BaseException:
        connection.close()
        raise
    return connection


def _turn(row: tuple[_Value, ...]) -> TurnRecord | None:
    sequence, at, wall, boot, event, decisions = row
    try:
        turn = Turn(
            _whole(sequence),
            _whole(at),
            codec.decode_event(str(event)),
            codec.decode_decisions(str(decisions)),
        )
    except codec.UNDECODABLE:
        return None
    return TurnRecord(turn, _whole(wall), str(boot))


def _explain(path: Path, error: storing.Fault) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return f"{path}: no such journal; has an agent run here, and is this its directory?"
    except OSError as refused:
        return f"{path}: cannot be read: {refused.strerror}"
    return f"{path}: cannot be read: {error}"


def _whole(value: _Value) -> int:
    return value if isinstance(value, int) else 0  # another type: a damaged row
