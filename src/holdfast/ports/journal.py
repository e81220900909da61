"""Remembering: every event and decision in order, so that a turn can be replayed and an incident told.

Contract: `append` returns at once and keeps order; what `flush` returned from survives `kill -9`; a torn end is
never read; a full disk is reported, not raised into the loop.
"""

from collections.abc import Iterator
from typing import Protocol

from holdfast.model.decisions import Decision
from holdfast.model.events import Event
from holdfast.model.incidents import Incident
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.model.value import Value


class Turn(Value, frozen=True):
    """One turn of the core as it was remembered."""

    sequence: int
    at: Instant
    event: Event
    decisions: tuple[Decision, ...]


class Memory(Value, frozen=True):
    """What a new agent starts from."""

    state: State  # the newest snapshot
    turns: tuple[Turn, ...]  # what came after it, oldest first


class Journal(Protocol):
    """The agent's memory on disk."""

    def append(
        self, at: Instant, event: Event, decisions: tuple[Decision, ...], before: State, after: State
    ) -> None:
        """Remember one turn; incidents and health that changed between the states are recorded too."""

    def flush(self) -> None:
        """Wait until everything appended is on disk."""

    def recall(self) -> Memory | None:
        """Return what a new agent starts from; None if nothing was ever remembered."""

    def turns(self, *, after: int = 0) -> Iterator[Turn]:
        """Return the remembered turns in order."""

    def incidents(self, *, limit: int = 50) -> tuple[Incident, ...]:
        """Return the newest incidents, newest first."""

    def close(self) -> None:
        """Flush, and let go."""
