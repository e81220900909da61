"""Rows that wait for their transaction, bounded: while the disk is full, the oldest turns give way.

Turns are what there is much of. Incidents are kept by id, so the newest version stands for all; health and the
audit are bounded like the turns.
"""

from collections import deque
from typing import TypeAlias

from holdfast.journal.records import Wall
from holdfast.model.ids import IncidentId, ServiceName
from holdfast.model.time import Instant
from holdfast.model.value import Value, replace

PENDING_MAX = 20_000  # rows of a kind; about 10 MB of turns

# The rows are plain tuples, in the order of their table's columns: sqlite3 takes them as they are.
TurnRow: TypeAlias = tuple[int, Instant, Wall, str, str, str, str]
SnapshotRow: TypeAlias = tuple[int, Instant, str]
HealthRow: TypeAlias = tuple[Wall, Instant, ServiceName, float]
AuditRow: TypeAlias = tuple[Wall, str, str]


class IncidentRow(Value, frozen=True):
    """One incident as it is now."""

    is_new: bool  # opened since the last commit: a row of its own, even if the id was used before
    id: IncidentId
    service: ServiceName
    opened: Wall
    closed: Wall | None
    incident: str


class Pending:
    """What the next transaction will hold."""

    def __init__(self, *, rows_max: int = PENDING_MAX, snapshots_max: int = 3) -> None:
        self.turns: deque[TurnRow] = deque(maxlen=rows_max)
        self.health: deque[HealthRow] = deque(maxlen=rows_max)
        self.audit: deque[AuditRow] = deque(maxlen=rows_max)
        self.snapshots: deque[SnapshotRow] = deque(maxlen=snapshots_max)
        self.incidents: dict[IncidentId, IncidentRow] = {}
        self._health: dict[ServiceName, float] = {}  # the newest of each in `health`
        self.is_torn = False  # turns are missing before or among these: what holds now has to be restated
        self.dropped = 0  # turns that gave way since the start; never reset

    def __bool__(self) -> bool:
        return bool(self.turns or self.health or self.audit or self.snapshots or self.incidents)

    def add_turn(self, row: TurnRow) -> None:
        """Add one turn; the oldest gives way if there are too many."""
        if len(self.turns) == self.turns.maxlen:
            self.lose(1)
        self.turns.append(row)

    def add_health(self, row: HealthRow) -> None:
        """Add one point of a series, unless it says what the one before it says."""
        _, _, service, value = row
        if self._health.get(service) != value:
            self._health[service] = value
            self.health.append(row)

    def add_incident(self, row: IncidentRow) -> None:
        """Add one incident's newest version; it is new if any version since the last commit was."""
        earlier = self.incidents.get(row.id)
        if earlier is not None and earlier.is_new and not row.is_new:
            row = replace(row, is_new=True, opened=earlier.opened)
        self.incidents[row.id] = row

    def lose(self, turns: int) -> None:
        """Remember that `turns` turns will never be written."""
        self.dropped += turns
        self.is_torn = True

    def clear(self) -> None:
        """Forget the rows: they are on disk. `is_torn` stays until someone restates."""
        self.turns.clear()
        self.health.clear()
        self.audit.clear()
        self.snapshots.clear()
        self.incidents.clear()
        self._health.clear()
