"""Where answers come from: the agent while it runs, else its journal, replayed to its end.

The journal needs no agent: why a service was left alone last night can be asked while everything is down. What is
told from it says how old it is.
"""

import time
from pathlib import Path

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.cli.asking import UnreachableError, asking
from holdfast.cli.exits import Trouble
from holdfast.cli.place import find_directory
from holdfast.cli.wall_clock import WallClock
from holdfast.journal.reading import JournalReader
from holdfast.journal.records import IncidentRecord, TurnRecord
from holdfast.journal.refusing import JournalRefusedError
from holdfast.model.state import State
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value
from holdfast.ports.journal import Turn

JOURNAL = "journal.sqlite"  # the agent's name for it; importing it from there would import the agent
TURNS = 2000  # newest ones, when looking for decisions


class Facts(Value, frozen=True):
    """What is known, as of `now`."""

    state: State
    now: Instant
    clock: WallClock
    turns: tuple[Turn, ...]
    age: Duration | None  # None: told by a running agent; else how long ago the journal's last turn was
    cluster: ClusterStatus | None = None  # None: one host, or told from the journal, which has no other host


def gather() -> Facts:
    """Return the facts, from the agent or from its journal; Trouble if there is neither."""
    try:
        with asking() as agent:
            answer = agent.explain_data(TURNS)
    except UnreachableError as unreachable:
        return from_journal(find_directory() / JOURNAL, unreachable)
    turns = tuple(record.turn for record in answer.turns)
    return Facts(answer.state, answer.now, WallClock(answer.wall_offset), turns, None, answer.cluster)


def from_journal(path: Path, unreachable: Trouble | None = None) -> Facts:
    """Return the facts that a journal holds, as of its last turn; `unreachable` is raised if there is no journal."""
    from holdfast.cli.replaying import decide_again

    try:
        with JournalReader(path) as reader:
            memory = reader.memory()
            records = _newest(reader)
    except JournalRefusedError as refused:
        raise (unreachable or Trouble(str(refused))) from refused
    if memory is None or not records:
        raise unreachable or Trouble(f"{path}: nothing was remembered yet")
    state = memory.state
    for turn in memory.turns:
        state, _ = decide_again(state, turn)
    last = records[-1]
    clock = WallClock(last.wall - last.turn.at)
    return Facts(
        state, last.turn.at, clock, tuple(r.turn for r in records), max(time.time_ns() - last.wall, 0)
    )


def find_incident(name: str) -> IncidentRecord | None:
    """Return one incident, open or long closed; None if it is not known."""
    return next((record for record in list_incidents(1000) if record.incident.id == name), None)


def list_incidents(limit: int) -> tuple[IncidentRecord, ...]:
    """Return the newest incidents, newest first, from the agent or from its journal."""
    try:
        with asking() as agent:
            return agent.incidents(limit)
    except UnreachableError as unreachable:
        return incidents_from_journal(find_directory() / JOURNAL, limit, unreachable)


def incidents_from_journal(
    path: Path, limit: int, unreachable: Trouble | None = None
) -> tuple[IncidentRecord, ...]:
    """Return the newest incidents of a journal; `unreachable` is raised if there is none."""
    try:
        with JournalReader(path) as reader:
            return reader.incidents(limit=limit)
    except JournalRefusedError as refused:
        raise (unreachable or Trouble(str(refused))) from refused


def clock_of(record: IncidentRecord) -> WallClock:
    """Return how this incident's instants read on a wall: each boot has an offset of its own."""
    return WallClock(record.opened - record.incident.opened_at)


def _newest(reader: JournalReader) -> tuple[TurnRecord, ...]:
    snapshots = reader.snapshots()
    start = max((snapshots[0].sequence if snapshots else 0) - TURNS, 0)
    return tuple(reader.turns(after=start))[-TURNS:]
