"""The journal in one SQLite file, as the port asks for it.

The loop calls `append` and pays a few microseconds: a thread (writing.py) makes rows of what was appended
(scribe.py) and commits them in batches (database.py). Readers in other processes use reading.py meanwhile.

What `flush` returned from survives `kill -9` of the agent unless `problem` says otherwise; after a power cut the
last moments may be missing, never the order. A full disk, a damaged file, a hanging disk: `problem` and `warnings`
say so, and the loop goes on.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from holdfast.journal import storing
from holdfast.journal.database import Database
from holdfast.journal.pending import Pending
from holdfast.journal.reading import JournalReader
from holdfast.journal.records import Wall
from holdfast.journal.refusing import JournalRefusedError
from holdfast.journal.retention import Retention
from holdfast.journal.scribe import SNAPSHOT_EVERY, Moment, Scribe
from holdfast.journal.writing import Writer
from holdfast.model.decisions import Decision
from holdfast.model.events import Event
from holdfast.model.incidents import Incident
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.ports.journal import Memory, Turn

T = TypeVar("T")

_DEFAULT_RETENTION = Retention()
_PAGE = 500  # turns


class SqliteJournal:
    """The agent's memory on disk. `append` is for one thread (the loop's).

    JournalRefusedError when another agent writes this file, or a newer holdfast has.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], Wall],
        retention: Retention = _DEFAULT_RETENTION,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self._path = path
        self._wall = wall
        self._reading_warnings: deque[str] = deque(maxlen=10)
        database = Database(path, retention)
        try:
            database.open(wall())
        except JournalRefusedError:
            database.close()
            raise
        self._sequence = database.sequence
        scribe = Scribe(sequence=database.sequence, snapshot_every=snapshot_every)
        self._writer = Writer(database, scribe, Pending(snapshots_max=retention.snapshots_max), wall)

    @property
    def problem(self) -> str | None:
        """Why the journal does not remember at present; None: it does."""
        return self._writer.problem

    @property
    def warnings(self) -> tuple[str, ...]:
        """What happened to the journal since the start, oldest first; the last ten of a kind."""
        return (*self._writer.warnings, *self._reading_warnings)

    @property
    def dropped(self) -> int:
        """How many turns were lost since the start because they could not be written."""
        return self._writer.dropped

    def append(
        self, at: Instant, event: Event, decisions: tuple[Decision, ...], before: State, after: State
    ) -> None:
        """Remember one turn; incidents and health that changed between the states are recorded too."""
        self._sequence += 1
        self._writer.put(Moment(self._sequence, at, self._wall(), event, decisions, before, after))

    def flush(self) -> None:
        """Wait until everything appended is on disk, or cannot be: then `problem` says why."""
        self._writer.flush()

    def recall(self) -> Memory | None:
        """Return the newest snapshot that can be read and what came after it; None if there is none."""
        return self._read(JournalReader.memory, None)

    def turns(self, *, after: int = 0) -> Iterator[Turn]:
        """Return the remembered turns in order, those in the queue included."""
        # What is appended while we read is for the next reader, or this might never end.
        until = self._sequence
        nothing: tuple[Turn, ...] = ()

        def page(reader: JournalReader) -> tuple[Turn, ...]:
            records = islice(reader.turns(after=after, until=until), _PAGE)
            return tuple(record.turn for record in records)

        while found := self._read(page, nothing):
            yield from found
            after = found[-1].sequence

    def incidents(self, *, limit: int = 50) -> tuple[Incident, ...]:
        """Return the newest incidents, newest first."""

        def listing(reader: JournalReader) -> tuple[Incident, ...]:
            return tuple(record.incident for record in reader.incidents(limit=limit))

        return self._read(listing, ())

    def close(self) -> None:
        """Write what is queued and a last snapshot, and let go of the file."""
        self._writer.close()

    def _read(self, question: Callable[[JournalReader], T], otherwise: T) -> T:
        self._writer.flush()
        try:
            # A new reader each time: it opens in a tenth of a millisecond, and the file may have been replaced.
            with JournalReader(self._path) as reader:
                answer = question(reader)
        except JournalRefusedError as error:
            self._reading_warnings.append(str(error))
            if storing.is_damage(error.__cause__):
                self._writer.replace_damaged(str(error.__cause__))
            return otherwise
        if reader.damage is not None:
            self._writer.replace_damaged(reader.damage)
        return answer
