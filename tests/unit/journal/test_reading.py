"""What a reader sees, also of a journal that is older, newer or damaged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.journal import JournalReader, JournalRefusedError, SqliteJournal
from holdfast.model.events import AgentStarted, DownRequested, DrainRequested, Ticked
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.journal.samples import BLANK, WALL, Clock, append_turns, incident, state_after


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def written(path: Path, count: int, *, snapshot_every: int = 10) -> None:
    journal = SqliteJournal(path, wall=Clock(), snapshot_every=snapshot_every)
    append_turns(journal, count)
    journal.flush()
    journal.close()


@pytest.fixture
def reader(path: Path) -> Iterator[JournalReader]:
    """Return a reader of 35 turns with snapshots after 20, 30 and 35."""
    written(path, 35)
    with JournalReader(path) as opened:
        yield opened


def test_turns_are_read_from_and_up_to(reader: JournalReader) -> None:
    assert [record.turn.sequence for record in reader.turns(after=3, until=6)] == [4, 5, 6]


def test_a_turn_carries_when_it_was_and_under_which_boot(reader: JournalReader) -> None:
    first = next(reader.turns())
    assert (first.turn.at, first.boot) == (1, "b-1")
    assert WALL < first.wall < WALL + 100 * SECOND


def test_the_last_three_snapshots_are_kept(reader: JournalReader) -> None:
    assert [snapshot.sequence for snapshot in reader.snapshots()] == [35, 30, 20]


def test_a_snapshot_that_cannot_be_read_gives_way_to_the_one_before(path: Path) -> None:
    written(path, 35)
    change(path, "UPDATE snapshots SET state = substr(state, 1, 100) WHERE sequence = 35")
    change(path, """UPDATE snapshots SET state = '{"policy":7}' WHERE sequence = 30""")
    with JournalReader(path) as reader:
        memory = reader.memory()
        assert reader.skipped == 2
    assert memory is not None
    assert memory.state == state_after(20)
    assert [turn.sequence for turn in memory.turns] == list(range(21, 36))


def test_without_a_snapshot_nothing_is_recalled(path: Path) -> None:
    written(path, 5)
    change(path, "DELETE FROM snapshots")
    with JournalReader(path) as reader:
        assert reader.memory() is None
    journal = SqliteJournal(path, wall=Clock())
    append_turns(journal, 1)
    journal.flush()
    memory = journal.recall()
    assert memory is not None  # the first turn after that was followed by a snapshot
    journal.close()


def test_listing_skips_events_of_a_newer_holdfast_and_recalling_stops_before_them(path: Path) -> None:
    written(path, 35)
    change(path, "DELETE FROM snapshots WHERE sequence > 20")
    change(path, """UPDATE turns SET event = '{"is":"CometSighted"}' WHERE sequence = 25""")
    with JournalReader(path) as reader:
        assert len(list(reader.turns())) == 34
        assert reader.skipped == 1
        memory = reader.memory()
    assert memory is not None
    assert [turn.sequence for turn in memory.turns] == [21, 22, 23, 24]


def test_recalling_stops_before_a_hole(path: Path) -> None:
    written(path, 35)
    change(path, "DELETE FROM snapshots WHERE sequence > 20")
    change(path, "DELETE FROM turns WHERE sequence = 23")
    with JournalReader(path) as reader:
        memory = reader.memory()
    assert memory is not None
    assert [turn.sequence for turn in memory.turns] == [21, 22]


def test_an_incident_has_its_times_by_the_wall_clock(path: Path) -> None:
    journal = SqliteJournal(path, wall=lambda: WALL + 100 * SECOND)
    opened = replace(BLANK, incidents={"i-1": incident(1, opened_at=90 * SECOND)})
    closed = replace(BLANK, incidents={"i-1": incident(1, opened_at=90 * SECOND, closed_at=99 * SECOND)})
    journal.append(100 * SECOND, Ticked(), (), BLANK, opened)
    journal.flush()
    journal.append(100 * SECOND, Ticked(), (), opened, closed)
    journal.close()
    with JournalReader(path) as reader:
        record = reader.incident("i-1")
        assert reader.incident("i-2") is None
    assert record is not None
    assert record.incident == closed.incidents["i-1"]
    assert (record.opened, record.closed) == (WALL + 90 * SECOND, WALL + 99 * SECOND)
    assert record.wall_of(95 * SECOND) == WALL + 95 * SECOND


def test_an_id_that_is_used_again_does_not_overwrite_the_old_incident(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    for opened_at in (10, 20):  # two lives of a core that counts its incidents from 1
        after = replace(BLANK, incidents={"i-1": incident(1, opened_at=opened_at, closed_at=opened_at + 1)})
        journal.append(opened_at, Ticked(), (), BLANK, after)
        journal.append(opened_at + 1, AgentStarted("b", "1", 0, 1), (), after, BLANK)
        journal.flush()
    journal.close()
    with JournalReader(path) as reader:
        assert [record.incident.opened_at for record in reader.incidents()] == [20, 10]
        newest = reader.incident("i-1")
    assert newest is not None
    assert newest.incident.opened_at == 20


def test_a_health_series_begins_with_what_held_then(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())  # one second a call
    append_turns(journal, 40)
    journal.close()
    with JournalReader(path) as reader:
        whole = reader.health()
        assert [point.value for point in whole] == [0.0, 0.1, 0.2, 0.3, 0.4]
        assert reader.health(since=whole[2].wall + 1) == whole[2:]
        assert [point.value for point in reader.health("web")] == [0.0]
        assert reader.health("db") == ()


def test_the_audit_tells_who_asked_for_what_newest_first(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    journal.append(1, DrainRequested("web/a", by="ann"), (), BLANK, BLANK)
    journal.append(2, DownRequested(by="bob"), (), BLANK, BLANK)
    journal.close()
    with JournalReader(path) as reader:
        assert [(entry.by, entry.command) for entry in reader.audit()] == [
            ("bob", DownRequested(by="bob")),
            ("ann", DrainRequested("web/a", by="ann")),
        ]


def test_a_missing_journal_is_refused_with_a_hint(path: Path) -> None:
    with pytest.raises(JournalRefusedError, match="no such journal; has an agent run here"):
        JournalReader(path)
    assert not path.exists()


def test_a_file_that_is_no_journal_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, by far" * 100)
    with pytest.raises(JournalRefusedError, match="not a database"):
        JournalReader(path)
    path.write_bytes(b"")
    with pytest.raises(JournalRefusedError, match="no journal yet"):
        JournalReader(path)


def test_a_reader_refuses_a_newer_schema(path: Path) -> None:
    written(path, 1)
    change(path, "UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(JournalRefusedError, match="schema 99"):
        JournalReader(path)
