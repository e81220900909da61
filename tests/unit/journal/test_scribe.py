"""What becomes of a turn on its way to the disk, and when turns are lost on it."""

from pathlib import Path

from holdfast.journal.database import Database
from holdfast.journal.pending import Pending
from holdfast.journal.reading import JournalReader
from holdfast.journal.retention import Retention
from holdfast.journal.scribe import Moment, Scribe
from holdfast.model.events import AgentStarted, DrainRequested, Event, PolicyChanged, Ticked, TrafficLost
from holdfast.model.state import State
from holdfast.model.value import replace
from tests.unit.journal.samples import BLANK, POLICY, WALL, incident, state_after


def moment(
    sequence: int, event: Event | None = None, *, before: State | None = None, after: State | None = None
) -> Moment:
    before = state_after(sequence - 1) if before is None else before
    after = state_after(sequence) if after is None else after
    return Moment(sequence, sequence, WALL + sequence, event or Ticked(), (), before, after)


def test_the_state_is_kept_after_every_so_many_turns_and_at_turning_points() -> None:
    pending, scribe = Pending(snapshots_max=9), Scribe(sequence=0, snapshot_every=4)
    scribe.note(moment(1, AgentStarted("b", "1", 0, 1)), pending)
    scribe.note(moment(2), pending)
    scribe.note(moment(3, PolicyChanged(POLICY, {})), pending)
    for sequence in range(4, 12):
        scribe.note(moment(sequence), pending)
    assert [row[0] for row in pending.snapshots] == [1, 3, 7, 11]


def test_health_is_noted_only_when_it_changed() -> None:
    pending, scribe = Pending(), Scribe(sequence=6)
    web = BLANK.services["web"]
    better = replace(BLANK, services={"web": replace(web, health=0.5)}, health=0.5)
    same = replace(better, services={"web": replace(better.services["web"], serving=True)})
    scribe.note(moment(7, before=BLANK, after=better), pending)
    scribe.note(moment(8, before=better, after=same), pending)
    assert list(pending.health) == [(WALL + 7, 7, "", 0.5), (WALL + 7, 7, "web", 0.5)]


def test_the_first_turn_ever_notes_all_there_is() -> None:
    pending, scribe = Pending(), Scribe(sequence=0)
    one = replace(BLANK, incidents={"i-1": incident(1)})
    scribe.note(moment(1, before=one, after=one), pending)
    assert [service for _, _, service, _ in pending.health] == ["", "web"]
    assert list(pending.incidents) == ["i-1"]


def test_only_incidents_that_changed_are_noted() -> None:
    pending, scribe = Pending(), Scribe(sequence=6)
    one = replace(BLANK, incidents={"i-1": incident(1)})
    two = replace(one, incidents={**one.incidents, "i-2": incident(2)})
    scribe.note(moment(7, before=one, after=two), pending)
    assert list(pending.incidents) == ["i-2"]


def test_commands_are_noted_with_who_gave_them() -> None:
    pending, scribe = Pending(), Scribe(sequence=0)
    scribe.note(moment(1, DrainRequested("web/a", by="ann")), pending)
    scribe.note(moment(2), pending)
    assert [(wall, by) for wall, by, _ in pending.audit] == [(WALL + 1, "ann")]


def test_the_oldest_turns_give_way_and_are_counted() -> None:
    pending, scribe = Pending(rows_max=5), Scribe(sequence=0)
    for sequence in range(1, 9):
        scribe.note(moment(sequence), pending)
    assert [row[0] for row in pending.turns] == [4, 5, 6, 7, 8]
    assert pending.dropped == 3
    assert pending.is_torn


def test_turns_that_never_came_are_counted() -> None:
    pending, scribe = Pending(), Scribe(sequence=0)
    scribe.note(moment(1), pending)
    scribe.note(moment(5), pending)
    assert pending.dropped == 3
    assert pending.is_torn


def test_what_holds_after_a_hole_is_restated_so_that_recalling_starts_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    database = Database(path, Retention())
    pending, scribe = Pending(rows_max=5), Scribe(sequence=0)
    opened = replace(state_after(1), incidents={"i-1": incident(1)})
    scribe.note(moment(1, after=opened), pending)
    for sequence in range(2, 20):
        after = replace(state_after(sequence), incidents=opened.incidents)
        scribe.note(moment(sequence, after=after), pending)
    database.open(WALL)
    assert scribe.restate(pending)
    assert database.write(pending)
    database.close()
    with JournalReader(path) as reader:
        memory = reader.memory()
        assert memory is not None
        assert (memory.state.next_decision, memory.turns) == (20, ())
        assert [record.turn.sequence for record in reader.turns()] == [15, 16, 17, 18, 19]
        assert [record.incident for record in reader.incidents()] == [incident(1)]


def test_a_value_that_json_cannot_hold_costs_its_turn_and_is_reported() -> None:
    pending, scribe = Pending(), Scribe(sequence=0)
    scribe.note(moment(1, TrafficLost(1, "\udcff")), pending)
    scribe.note(moment(2), pending)
    assert [row[0] for row in pending.turns] == [2]
    assert pending.dropped == 1
    assert scribe.restate(pending)
    assert [row[0] for row in pending.snapshots] == [2]
    assert "TrafficLost" in scribe.faults[0]


def test_a_state_that_json_cannot_hold_is_reported_and_tried_again() -> None:
    pending, scribe = Pending(), Scribe(sequence=0)
    bad = replace(BLANK, boot="\udcff")
    scribe.note(moment(1, after=bad), pending)
    assert not scribe.restate(pending)
    scribe.note(moment(2, before=bad), pending)
    assert scribe.restate(pending)
    assert any("the state after turn 1" in fault for fault in scribe.faults)
