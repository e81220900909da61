"""What every journal promises (see ports/journal.py), and what only one on a disk can break."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from holdfast.journal import JournalReader, SqliteJournal
from holdfast.model.decisions import Start
from holdfast.model.events import Exit, ProcessExited, Ticked
from holdfast.model.value import replace
from holdfast.ports.journal import Journal, Turn
from tests.unit.journal.samples import BLANK, Clock, append_turns, incident, state_after

ROOT = Path(__file__).parents[2]
APPENDER = Path(__file__).with_name("journal_appender.py")
FULL_DISK = Path(__file__).with_name("journal_on_full_disk.py")
WITHIN = 30.0  # seconds for anything that should take one

Opening: TypeAlias = Callable[[], Journal]  # the same journal each time


@pytest.fixture(params=["sqlite"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Return how to open the journal under test. A fake for the simulator joins by its name."""

    def sqlite() -> Journal:
        return SqliteJournal(tmp_path / "journal.sqlite", wall=Clock())

    return {"sqlite": sqlite}[request.param]


# --- the port -----------------------------------------------------------------------------------------


def test_a_journal_without_turns_recalls_nothing(opening: Opening) -> None:
    journal = opening()
    assert journal.recall() is None
    assert list(journal.turns()) == []
    assert journal.incidents() == ()
    journal.close()


def test_turns_come_back_in_order_with_their_events_and_decisions(opening: Opening) -> None:
    journal = opening()
    event = ProcessExited("web/a", "7:1", Exit(signal="KILL"))
    decision = Start("web/a", epoch=1, attempt=1, why="it was killed", id=1)
    journal.append(5, Ticked(), (), BLANK, state_after(1))
    journal.append(6, event, (decision,), state_after(1), state_after(2))
    assert list(journal.turns()) == [Turn(1, 5, Ticked(), ()), Turn(2, 6, event, (decision,))]
    assert list(journal.turns(after=1)) == [Turn(2, 6, event, (decision,))]
    journal.close()


def test_a_new_agent_recalls_what_the_last_one_knew(opening: Opening) -> None:
    journal = opening()
    last = append_turns(journal, 30)
    journal.close()
    journal = opening()
    memory = journal.recall()
    assert memory is not None
    assert (memory.state, memory.turns) == (last, ())  # closing took a snapshot
    journal.close()


def test_numbering_goes_on_where_the_last_agent_ended(opening: Opening) -> None:
    journal = opening()
    state = append_turns(journal, 3)
    journal.close()
    journal = opening()
    append_turns(journal, 3, state=state, first=4)
    assert [turn.sequence for turn in journal.turns()] == [1, 2, 3, 4, 5, 6]
    assert [turn.at for turn in journal.turns()] == [1, 2, 3, 4, 5, 6]
    journal.close()


def test_a_snapshot_and_the_turns_after_it_make_the_last_state(opening: Opening) -> None:
    journal = opening()
    append_turns(journal, 2500)
    memory = journal.recall()
    assert memory is not None
    start = memory.state.next_decision - 1
    assert [turn.sequence for turn in memory.turns] == list(range(start + 1, 2501))
    journal.close()


def test_incidents_come_newest_first_and_as_last_seen(opening: Opening) -> None:
    journal = opening()
    opened = replace(BLANK, incidents={"i-1": incident(1, opened_at=10)})
    closed = replace(BLANK, incidents={"i-1": incident(1, opened_at=10, closed_at=90)})
    both = replace(closed, incidents={**closed.incidents, "i-2": incident(2, opened_at=95)})
    journal.append(10, Ticked(), (), BLANK, opened)
    assert journal.incidents() == (opened.incidents["i-1"],)
    journal.append(90, Ticked(), (), opened, closed)
    journal.append(95, Ticked(), (), closed, both)
    assert journal.incidents() == (both.incidents["i-2"], closed.incidents["i-1"])
    assert journal.incidents(limit=1) == (both.incidents["i-2"],)
    journal.close()


def test_an_incident_outlives_the_state_that_forgets_it(opening: Opening) -> None:
    journal = opening()
    closed = replace(BLANK, incidents={"i-1": incident(1, opened_at=1, closed_at=2)})
    journal.append(2, Ticked(), (), BLANK, closed)
    journal.append(3, Ticked(), (), closed, BLANK)
    assert journal.incidents() == (closed.incidents["i-1"],)
    journal.close()


def test_flushing_and_closing_with_nothing_to_do_return(opening: Opening) -> None:
    journal = opening()
    journal.flush()
    journal.flush()
    journal.close()


# --- the disk -----------------------------------------------------------------------------------------


@contextmanager
def appender(path: Path, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent that appends as fast as it can; it is killed at the end."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, str(APPENDER), str(path), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def acknowledged(process: subprocess.Popen[bytes]) -> int:
    """Wait for the next flush to return, and tell how many turns it covered."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], WITHIN)[0], "nothing was flushed"
    answer = os.read(process.stdout.fileno(), 8)
    assert len(answer) == 8, "the appender ended"
    return int.from_bytes(answer, "big")


def last_acknowledged(process: subprocess.Popen[bytes]) -> int:
    """Return the last answer of a process that was killed; 0 if there is none left."""
    assert process.stdout is not None
    answers = process.stdout.read()
    return int.from_bytes(answers[-8:], "big")


def await_folder(folder: Path) -> None:
    deadline = time.monotonic() + WITHIN
    while not folder.exists():
        assert time.monotonic() < deadline, "the appender did not start"
        time.sleep(0.001)


def test_what_flush_returned_from_survives_sigkill_at_any_instant(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    chance = random.Random(7)
    before = 0
    for round_ in range(20):
        with appender(path, round_) as process:
            promised = acknowledged(process)
            time.sleep(chance.random() * 0.05)  # the instant is the test's subject; nothing is awaited here
            process.kill()
            process.wait()
            promised = max(promised, last_acknowledged(process))
        with JournalReader(path) as reader:
            before = check_whole(reader, after=before)
        assert before >= promised
    with JournalReader(path) as reader:
        assert check_whole(reader, after=0) == before


def test_a_first_start_killed_at_any_instant_leaves_a_journal_that_works(tmp_path: Path) -> None:
    chance = random.Random(11)
    for round_ in range(10):
        path = tmp_path / str(round_) / "journal.sqlite"
        with appender(path, round_) as process:
            await_folder(path.parent)
            time.sleep(chance.random() * 0.03)
            process.kill()
            process.wait()
            promised = last_acknowledged(process)
        journal = SqliteJournal(path, wall=time.time_ns)
        memory = journal.recall()
        remembered = 0 if memory is None else memory.state.next_decision - 1 + len(memory.turns)
        assert remembered == len(list(journal.turns()))
        assert remembered >= promised
        assert (journal.problem, journal.warnings) == (None, ())
        journal.close()


def check_whole(reader: JournalReader, *, after: int) -> int:
    """Check that what is there has no hole and fits together; return how many turns there are."""
    turns = [record.turn for record in reader.turns(after=after)]
    last = after + len(turns)
    assert [turn.sequence for turn in turns] == list(range(after + 1, last + 1))
    assert [turn.at for turn in turns] == [turn.sequence for turn in turns]
    memory = reader.memory()
    assert memory is not None
    assert [turn.sequence for turn in memory.turns] == list(range(memory.state.next_decision, last + 1))
    assert reader.health()[-1].value == state_after(last).health  # of the same transaction as the last turn
    return last


def test_two_readers_see_whole_prefixes_while_the_agent_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    faults: list[str] = []
    growths: list[int] = []

    def read() -> None:
        seen, growth, deadline = 0, 0, time.monotonic() + WITHIN
        with JournalReader(path) as reader:
            while growth < 5 and time.monotonic() < deadline and not faults:
                found = [record.turn.sequence for record in reader.turns(after=seen)]
                if found != list(range(seen + 1, seen + 1 + len(found))):
                    faults.append(f"after {seen}: {found[:3]}...{found[-3:]}")
                memory = reader.memory()
                if memory is None or memory.state.next_decision + len(memory.turns) <= seen + len(found):
                    faults.append(f"the memory is behind the turns at {seen + len(found)}")
                growth += bool(found)
                seen += len(found)
        growths.append(growth)

    with appender(path, 1) as process:
        acknowledged(process)
        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in readers:
            thread.start()
        for thread in readers:
            thread.join()
        assert process.poll() is None, "reading stopped the writer"
    assert faults == []
    assert growths == [5, 5]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_or_read_only_disk_is_reported_and_survived(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-m", sys.executable, str(FULL_DISK), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["at first"] is None
    assert "full" in seen["full"]
    assert seen["recovered"]
    assert seen["sequences"] == list(range(1, 2062))  # what waited was within bounds: nothing is lost
    assert seen["dropped"] == 0
    assert seen["last"] == 2061
    assert "Read-only" in seen["read-only"]
    assert seen["writable"]
