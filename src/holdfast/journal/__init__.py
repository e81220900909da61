"""The journal: the agent's memory on disk, in one SQLite file. See sqlite.py for the whole of it.

`SqliteJournal` writes (one agent), `JournalReader` reads (any number of other processes, at the same time).
"""

from holdfast.journal.reading import JournalReader
from holdfast.journal.records import AuditRecord, HealthPoint, IncidentRecord, Snapshot, TurnRecord
from holdfast.journal.refusing import JournalRefusedError
from holdfast.journal.retention import Retention
from holdfast.journal.sqlite import SqliteJournal

__all__ = [
    "AuditRecord",
    "HealthPoint",
    "IncidentRecord",
    "JournalReader",
    "JournalRefusedError",
    "Retention",
    "Snapshot",
    "SqliteJournal",
    "TurnRecord",
]
