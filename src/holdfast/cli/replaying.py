"""Deciding a journal's turns again: the core is a function, so the same state and event must give the same decisions.

A difference means that the journal was written by another version of the core, was damaged, or that the core
reads something besides its arguments. Each of these is worth knowing before trusting a replay.
"""

from collections.abc import Iterable, Iterator

from holdfast.journal.records import Snapshot
from holdfast.loop.reconcile import reconcile
from holdfast.model.decisions import Decision
from holdfast.model.state import State
from holdfast.model.value import Value
from holdfast.ports.journal import Turn


class Replayed(Value, frozen=True):
    """One turn, decided again."""

    turn: Turn
    decided: tuple[Decision, ...]
    state: State  # after it

    @property
    def is_equal(self) -> bool:
        """Tell whether the decisions are those in the journal."""
        return self.turn.decisions == self.decided


class GapError(Exception):
    """A turn is missing: what follows cannot be decided from what came before."""


def best_snapshot(snapshots: Iterable[Snapshot], start: int) -> Snapshot | None:
    """Return the newest snapshot from which turn `start` can be reached; None if there is none."""
    before = [snapshot for snapshot in snapshots if snapshot.sequence < start]
    return max(before, key=lambda snapshot: snapshot.sequence, default=None)


def decide_again(state: State, turn: Turn) -> tuple[State, tuple[Decision, ...]]:
    """Return what the core makes of the turn."""
    return reconcile(state, turn.event, turn.at)


def replay_turns(snapshot: Snapshot, turns: Iterable[Turn]) -> Iterator[Replayed]:
    """Decide each turn after the snapshot again, in order. GapError if one is missing."""
    state = snapshot.state
    sequence = snapshot.sequence
    for turn in turns:
        if turn.sequence != sequence + 1:
            raise GapError(f"turn {sequence + 1} is missing: the next one is {turn.sequence}")
        sequence = turn.sequence
        state, decided = decide_again(state, turn)
        yield Replayed(turn, decided, state)
