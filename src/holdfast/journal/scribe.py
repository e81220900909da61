"""The scribe: turns what the loop appended into rows. It runs in the writer's thread, so the loop does not pay for it.

States share what did not change, so what changed is found by identity first and by content second.
"""

from collections import deque
from contextlib import suppress
from typing import NamedTuple

from holdfast.journal.codec import UNENCODABLE, encode
from holdfast.journal.pending import IncidentRow, Pending
from holdfast.journal.records import Wall
from holdfast.model.decisions import Decision
from holdfast.model.events import AgentStarted, Command, Event, PolicyChanged
from holdfast.model.incidents import Incident
from holdfast.model.state import State
from holdfast.model.time import Instant

SNAPSHOT_EVERY = 1000  # turns: what `recall` hands out for replay, at most, in normal operation


class Moment(NamedTuple):
    """One turn as the loop appended it. All of it is frozen, so another thread may read it later."""

    sequence: int
    at: Instant
    wall: Wall
    event: Event
    decisions: tuple[Decision, ...]
    before: State
    after: State


class Scribe:
    """Knows the last moment it wrote down, hence what is new in the next."""

    def __init__(self, *, sequence: int, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self._sequence = sequence  # of the last moment that came, whether it could be written down or not
        self._snapshot_sequence = sequence
        self._snapshot_every = snapshot_every
        self._latest: Moment | None = None
        self.faults: deque[str] = deque(maxlen=10)  # values that JSON cannot hold: a bug of who made them

    def note(self, moment: Moment, pending: Pending) -> None:
        """Add the rows of one turn to `pending`."""
        before = self._before(moment)
        if moment.sequence != self._sequence + 1:
            pending.lose(moment.sequence - self._sequence - 1)  # the queue was full: they never reached us
        self._sequence = moment.sequence
        self._latest = moment
        try:
            self._note_turn(moment, pending)
        except UNENCODABLE as error:
            pending.lose(1)
            self.faults.append(f"turn {moment.sequence} ({type(moment.event).__name__}) is no JSON: {error}")
        try:
            self._note_incidents(moment, before, pending)
        except UNENCODABLE as error:
            self.faults.append(f"an incident of turn {moment.sequence} is no JSON: {error}")
        _note_health(moment, before, pending)
        is_turning_point = isinstance(moment.event, AgentStarted | PolicyChanged)
        if is_turning_point or moment.sequence - self._snapshot_sequence >= self._snapshot_every:
            self.note_snapshot(pending)

    def _before(self, moment: Moment) -> State | None:
        if self._latest is not None:
            return self._latest.after  # after a hole, what was written is older than `moment.before`
        return moment.before if self._sequence else None  # the first turn ever: all of it is new

    def note_snapshot(self, pending: Pending) -> bool:
        """Add the state after the latest turn, unless that was done. Return whether it is there."""
        latest = self._latest
        if latest is None or self._snapshot_sequence == latest.sequence:
            return True
        # Also if it fails: what cannot be written now will hardly be a turn later, and trying costs time.
        self._snapshot_sequence = latest.sequence
        try:
            pending.snapshots.append((latest.sequence, latest.at, encode(latest.after)))
        except UNENCODABLE as error:
            self.faults.append(f"the state after turn {latest.sequence} is no JSON: {error}")
            return False
        return True

    def restate(self, pending: Pending) -> bool:
        """Add everything that holds after the latest turn: the file is new, or turns are missing before it.

        Return whether `recall` can start from it; if not, this has to be done again later.
        """
        latest = self._latest
        if latest is None:
            return False
        self._snapshot_sequence = -1
        with suppress(*UNENCODABLE):  # then it was reported when it changed
            self._note_incidents(latest, None, pending)
        _note_health(latest, None, pending)
        return self.note_snapshot(pending)

    def _note_turn(self, moment: Moment, pending: Pending) -> None:
        event = encode(moment.event)
        name = type(moment.event).__name__
        boot, decisions = moment.after.boot, encode(moment.decisions)
        pending.add_turn((moment.sequence, moment.at, moment.wall, boot, name, event, decisions))
        if isinstance(moment.event, Command):
            pending.audit.append((moment.wall, moment.event.by, event))

    def _note_incidents(self, moment: Moment, before: State | None, pending: Pending) -> None:
        known = {} if before is None else before.incidents
        if moment.after.incidents is known:
            return
        for incident in moment.after.incidents.values():
            earlier = known.get(incident.id)
            if incident is not earlier and incident != earlier:
                is_new = before is not None and earlier is None
                pending.add_incident(_incident_row(incident, moment, is_new=is_new))


def _note_health(moment: Moment, before: State | None, pending: Pending) -> None:
    after = moment.after
    if before is None or after.health != before.health:
        pending.add_health((moment.wall, moment.at, "", after.health))
    if before is not None and after.services is before.services:
        return
    for name, service in after.services.items():
        earlier = None if before is None else before.services.get(name)
        if earlier is None or service.health != earlier.health:
            pending.add_health((moment.wall, moment.at, name, service.health))


def _incident_row(incident: Incident, moment: Moment, *, is_new: bool) -> IncidentRow:
    def wall_of(at: Instant) -> Wall:
        return moment.wall - (moment.at - at)

    closed = None if incident.closed_at is None else wall_of(incident.closed_at)
    return IncidentRow(
        is_new=is_new,
        id=incident.id,
        service=incident.service,
        opened=wall_of(incident.opened_at),
        closed=closed,
        incident=encode(incident),
    )
