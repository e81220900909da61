"""The file: whose it is, who may see it, how old it may become, and what happens when it is damaged."""

import random
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.journal import JournalReader, JournalRefusedError, Retention, SqliteJournal, schema, storing
from holdfast.journal.database import Database
from holdfast.model.events import Ticked
from holdfast.model.time import DAY, SECOND
from holdfast.model.value import replace
from tests.unit.journal.samples import BLANK, WALL, Clock, append_turns, incident


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def written(path: Path, count: int) -> None:
    journal = SqliteJournal(path, wall=Clock(), snapshot_every=50)
    append_turns(journal, count)
    journal.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_and_all_files_are_private(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    append_turns(journal, 5)
    journal.flush()
    assert mode_of(path.parent) == 0o700
    found = {entry.name: mode_of(entry) for entry in path.parent.iterdir()}
    assert set(found) == {"journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "journal.sqlite.lock"}
    assert set(found.values()) == {0o600}
    journal.close()


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    written(path, 1)
    path.chmod(0o644)
    written(path, 1)
    assert mode_of(path) == 0o600


def test_a_second_agent_is_kept_out(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    with pytest.raises(JournalRefusedError, match="another agent is writing this journal"):
        SqliteJournal(path, wall=Clock())
    journal.close()
    SqliteJournal(path, wall=Clock()).close()


# --- the schema ---------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_with_both_versions(path: Path) -> None:
    written(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
        connection.execute("UPDATE meta SET value = '9.1' WHERE key = 'holdfast'")
    with pytest.raises(JournalRefusedError, match=r"written by holdfast 9\.1 \(schema 2\).*up to schema 1"):
        SqliteJournal(path, wall=Clock())
    assert [entry.name for entry in path.parent.glob("*damaged*")] == []


def test_an_older_schema_is_brought_up_to_date_step_by_step(path: Path) -> None:
    written(path, 3)
    steps = (*schema.MIGRATIONS, ("ALTER TABLE turns ADD COLUMN took INTEGER NOT NULL DEFAULT 7",))
    with closing(storing.open_to_write(path)) as connection:
        schema.migrate(connection, wall=WALL, steps=steps)
        schema.migrate(connection, wall=WALL, steps=steps)  # once is enough
        assert schema.version_of(connection) == 2
        assert connection.execute("SELECT sequence, took FROM turns").fetchall() == [(1, 7), (2, 7), (3, 7)]


def test_a_migration_that_fails_leaves_the_version_before(path: Path) -> None:
    written(path, 3)
    steps = (*schema.MIGRATIONS, ("DELETE FROM turns", "ALTER TABLE nowhere ADD COLUMN took INTEGER"))
    with closing(storing.open_to_write(path)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(connection, wall=WALL, steps=steps)
        assert schema.version_of(connection) == 1
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (3,)


# --- damage -------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_kept_aside_and_a_new_one_started(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    journal = SqliteJournal(path, wall=Clock())
    assert journal.recall() is None
    append_turns(journal, 3)
    journal.flush()
    assert journal.problem is None
    (warning,) = journal.warnings
    assert "kept aside as journal.sqlite.damaged-1" in warning
    assert path.with_name("journal.sqlite.damaged-1").read_bytes() == b"garbage" * 1000
    assert len(list(journal.turns())) == 3
    journal.close()


def test_damage_while_the_agent_runs_costs_the_file_not_the_agent(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    state = append_turns(journal, 100)
    journal.flush()
    for name in (path, path.with_name(f"{path.name}-wal")):
        with name.open("r+b") as file:  # what a failing disk does
            file.write(b"\xff" * name.stat().st_size)
    state = append_turns(journal, 20, state=state, first=101)
    journal.flush()
    journal.recall()  # finds out, if writing did not
    append_turns(journal, 20, state=state, first=121)
    assert [turn.sequence for turn in journal.turns()][-1:] == [140]
    memory = journal.recall()
    assert memory is not None
    assert memory.state.next_decision + len(memory.turns) == 141
    assert journal.problem is None
    journal.close()


def test_only_the_newest_damaged_files_are_kept(path: Path) -> None:
    path.parent.mkdir()
    for number in range(5):
        path.write_bytes(b"%d" % number * 5000)
        SqliteJournal(path, wall=Clock()).close()
    kept = sorted(entry.name for entry in path.parent.glob("*damaged*"))
    assert kept == ["journal.sqlite.damaged-3", "journal.sqlite.damaged-4", "journal.sqlite.damaged-5"]


def test_a_deleted_file_is_written_anew_with_all_that_holds(path: Path) -> None:
    journal = SqliteJournal(path, wall=Clock())
    opened = replace(BLANK, incidents={"i-1": incident(1)})
    journal.append(1, Ticked(), (), BLANK, opened)
    journal.flush()
    path.unlink()
    journal.append(2, Ticked(), (), opened, opened)
    memory = journal.recall()
    assert memory is not None
    assert (memory.state, memory.turns) == (opened, ())
    assert journal.incidents() == (incident(1),)
    assert journal.problem is None
    journal.close()


def test_no_damage_whatever_stops_an_agent(path: Path, tmp_path: Path) -> None:
    written(path, 300)
    for seed in range(60):
        hurt = tmp_path / f"hurt-{seed}" / "journal.sqlite"
        hurt.parent.mkdir()
        shutil.copy(path, hurt)
        damage(hurt, random.Random(seed))
        try:
            journal = SqliteJournal(hurt, wall=Clock())
        except JournalRefusedError:  # the damage made a higher version number: for the operator to see
            continue
        journal.recall()
        list(journal.turns())
        journal.incidents()
        state = append_turns(journal, 3, first=1000)
        journal.flush()
        assert journal.problem is None, (seed, journal.warnings)
        journal.close()
        with JournalReader(hurt) as reader:
            memory = reader.memory()
        assert memory is not None, seed
        assert memory.state == state, seed


def damage(path: Path, chance: random.Random) -> None:
    """Change single bytes, or a whole run of them, anywhere."""
    content = bytearray(path.read_bytes())
    if chance.random() < 0.3:
        del content[chance.randrange(len(content)) :]
    for _ in range(chance.choice([1, 20, 400])):
        start = chance.randrange(len(content) or 1)
        end = min(len(content), start + chance.choice([1, 1, 1, 4096]))
        content[start:end] = chance.randbytes(end - start)
    path.write_bytes(content)


# --- retention ----------------------------------------------------------------------------------------


def pruned(path: Path, retention: Retention, wall: int) -> None:
    database = Database(path, retention)
    database.open(wall)
    while database.prune(wall):
        pass
    assert database.problem is None
    database.close()


def test_what_is_too_old_goes_a_few_rows_at_a_time_but_not_what_recalling_needs(path: Path) -> None:
    written(path, 5010)
    with JournalReader(path) as reader:
        needed = reader.snapshots()[-1].sequence
    pruned(path, Retention(), WALL + 100 * DAY)
    with JournalReader(path) as reader:
        assert [record.turn.sequence for record in reader.turns()] == list(range(needed + 1, 5011))
        assert reader.memory() is not None
        assert reader.health() == ()


def test_what_is_young_enough_stays(path: Path) -> None:
    written(path, 5010)
    pruned(path, Retention(), WALL + DAY)
    with JournalReader(path) as reader:
        assert len(list(reader.turns())) == 5010


def test_the_number_of_turns_is_bounded(path: Path) -> None:
    written(path, 5010)
    pruned(path, Retention(turns_max=200), WALL)
    with JournalReader(path) as reader:
        assert [record.turn.sequence for record in reader.turns()] == list(range(4811, 5011))


def test_open_incidents_stay_and_closed_ones_go_after_a_year(path: Path) -> None:
    journal = SqliteJournal(path, wall=lambda: WALL + 9 * SECOND)
    known = {"i-1": incident(1, closed_at=2), "i-2": incident(2)}
    journal.append(9 * SECOND, Ticked(), (), BLANK, replace(BLANK, incidents=known))
    journal.close()
    pruned(path, Retention(), WALL + 400 * DAY)
    with JournalReader(path) as reader:
        assert [record.incident.id for record in reader.incidents()] == ["i-2"]


def test_the_agent_itself_prunes(path: Path) -> None:
    written(path, 300)
    journal = SqliteJournal(path, wall=Clock(WALL + 100 * DAY))
    append_turns(journal, 1, first=301)
    journal.close()
    with JournalReader(path) as reader:
        assert next(reader.turns()).turn.sequence > 100
