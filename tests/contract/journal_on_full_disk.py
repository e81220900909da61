"""A journal on a disk that fills up, is emptied, becomes read-only and writable again.

Run in a mount namespace of its own, with an empty directory to mount on. Prints what was seen as JSON.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from holdfast.journal import JournalReader, SqliteJournal
from holdfast.model.events import TrafficLost
from holdfast.model.state import State
from tests.unit.journal.samples import BLANK, state_after

WITHIN = 30.0  # seconds for the journal to notice, either way
BULK = "x" * 1000


def main(mounted: Path) -> None:
    mount("tmpfs", "size=400k", mounted, kind="tmpfs")
    path = mounted / "journal.sqlite"
    journal = SqliteJournal(path, wall=time.time_ns)
    state = append(journal, BLANK, 50)
    journal.flush()
    seen: dict[str, object] = {"at first": journal.problem}

    state = append(journal, state, 2000)  # 2 MB
    journal.flush()
    seen["full"] = journal.problem

    mount("tmpfs", "remount,size=20m", mounted)
    state = append(journal, state, 1)
    seen["recovered"] = is_well(journal)
    append(journal, state, 10)
    journal.close()
    with JournalReader(path) as reader:
        memory = reader.memory()
        seen["sequences"] = [record.turn.sequence for record in reader.turns()]
    seen["last"] = None if memory is None else memory.state.next_decision - 1 + len(memory.turns)
    seen["dropped"] = journal.dropped

    mount("tmpfs", "remount,ro", mounted)
    journal = SqliteJournal(path, wall=time.time_ns)
    state = append(journal, BLANK, 10)
    journal.flush()
    seen["read-only"] = journal.problem
    mount("tmpfs", "remount,rw", mounted)
    seen["writable"] = is_well(journal)
    journal.close()
    sys.stdout.write(json.dumps(seen))


def append(journal: SqliteJournal, state: State, count: int) -> State:
    for number in range(state.next_decision, state.next_decision + count):
        after = state_after(number, state)
        journal.append(number, TrafficLost(taken_at=number, detail=BULK), (), state, after)
        state = after
    return state


def is_well(journal: SqliteJournal) -> bool:
    """Wait until the journal has recovered by itself: nobody flushes."""
    deadline = time.monotonic() + WITHIN
    while journal.problem is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return journal.problem is None


def mount(what: str, options: str, where: Path, *, kind: str | None = None) -> None:
    subprocess.run(["mount", *(["-t", kind] if kind else []), "-o", options, what, str(where)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
