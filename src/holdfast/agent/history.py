"""History: what the journal answers about the past. Each call opens the file anew and is made in a thread.

A reader of its own keeps questions about the past away from the loop, and sees the journal as any other
process does.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from holdfast.agent import clock
from holdfast.journal import JournalReader
from holdfast.journal.records import HealthPoint, IncidentRecord, TurnRecord
from holdfast.model.ids import IncidentId, ServiceName
from holdfast.model.time import HOUR


class JournalHistory:
    """The past of one state directory."""

    def __init__(self, path: Path, flush: Callable[[], None]) -> None:
        self._path = path
        self._flush = flush

    def turns(self, newest: int) -> tuple[TurnRecord, ...]:
        """Return the newest turns, oldest first."""
        with self._reader() as reader:
            # A snapshot is never far behind the end: reading starts as many turns before it as are wanted.
            snapshots = reader.snapshots()
            after = max(0, snapshots[0].sequence - newest) if snapshots else 0
            return tuple(deque(reader.turns(after=after), maxlen=newest))

    def incidents(self, limit: int) -> tuple[IncidentRecord, ...]:
        """Return the newest incidents, newest first."""
        with self._reader() as reader:
            return reader.incidents(limit=limit)

    def incident(self, id_: IncidentId) -> IncidentRecord | None:
        """Return the newest incident of that id."""
        with self._reader() as reader:
            return reader.incident(id_)

    def health(self, service: ServiceName, hours: float) -> tuple[HealthPoint, ...]:
        """Return how health went, oldest first."""
        since = clock.now() + clock.wall_offset() - round(hours * HOUR)
        with self._reader() as reader:
            return reader.health(service, since=since)

    def _reader(self) -> JournalReader:
        self._flush()  # what was appended a moment ago is asked for too
        return JournalReader(self._path)
