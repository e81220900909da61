"""An agent's loop reduced to its journal: goes on from what it remembers, as fast as it can, until it is killed.

Writes the number of turns to stdout, eight bytes each, whenever a flush has returned. Run with the journal's
path and a seed.
"""

import os
import random
import sys
import time
from pathlib import Path

from holdfast.journal import SqliteJournal
from holdfast.model.events import Ending, Finished
from holdfast.model.state import State
from tests.unit.journal.samples import BLANK, state_after


def main(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = SqliteJournal(path, wall=time.time_ns, snapshot_every=200)
    state = remembered(journal)
    while True:
        for _ in range(chance.randint(1, 400)):
            number = state.next_decision
            after = state_after(number, state)
            journal.append(number, Finished(decision=number, ending=Ending.DONE), (), state, after)
            state = after
        journal.flush()
        assert journal.problem is None, journal.problem
        os.write(1, (state.next_decision - 1).to_bytes(8, "big"))


def remembered(journal: SqliteJournal) -> State:
    memory = journal.recall()
    if memory is None:
        return BLANK
    state = memory.state
    for turn in memory.turns:
        assert turn.sequence == state.next_decision, (turn, state.next_decision)
        state = state_after(turn.sequence, state)
    return state


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
