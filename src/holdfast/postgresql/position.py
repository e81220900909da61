"""Positions: how far a member's write-ahead log goes, and whether two of them tell one story.

A place in the log (an LSN) means something only together with its timeline: each promotion begins a new one. So
a member with a larger LSN on an older timeline is not ahead. Either it is behind, if its log ends before the new
timeline left the old one, or it diverged, if it goes past that point.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

from holdfast.model.value import Value

Lsn: TypeAlias = int  # a byte in the log since its beginning
Timeline: TypeAlias = int  # grows with each promotion; 1 is the first

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_TIMELINE_MAX = 2**32 - 1


def parse_lsn(text: str) -> Lsn:
    """Return the place that `text` names, such as `0/3000060`; ValueError otherwise."""
    match = _LSN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a place in the log; it should look like 0/3000060")
    return (int(match[1], 16) << 32) | int(match[2], 16)


def show_lsn(lsn: Lsn) -> str:
    """Return `lsn` as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


class Position(Value, frozen=True, order=True):
    """How far a log goes. Ordered by timeline first: that is how candidates are compared."""

    timeline: Timeline = 0  # 0: nothing is known
    lsn: Lsn = 0

    def __str__(self) -> str:
        """Return it for people."""
        return f"{show_lsn(self.lsn)} on timeline {self.timeline}"


class Fork(Value, frozen=True):
    """A timeline was left at this place."""

    timeline: Timeline
    lsn: Lsn


class History(Value, frozen=True):
    """A timeline, and the way that led to it, oldest fork first."""

    timeline: Timeline
    forks: tuple[Fork, ...] = ()

    def left(self, timeline: Timeline) -> Lsn | None:
        """Return where `timeline` was left on the way here; None: it was not on the way."""
        return next((fork.lsn for fork in self.forks if fork.timeline == timeline), None)


class Relation(StrEnum):
    """How one log stands to another."""

    SAME = "same"
    BEHIND = "behind"  # it is the beginning of the other one: streaming brings the rest
    AHEAD = "ahead"  # the other one is its beginning
    DIVERGED = "diverged"  # each has what the other one has not: rewind or clone
    UNKNOWN = "unknown"  # nothing is known of one of them


def parse_history(timeline: Timeline, text: str) -> History:
    """Return what a timeline's history file says; ValueError says which line is wrong.

    A line is a timeline, the place where it was left, and a remark; `#` begins a comment.
    """
    forks: list[Fork] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].split(None, 2)
        if not content:
            continue
        if len(content) < 2 or not content[0].isdecimal():
            raise ValueError(f"line {number}: {line!r} should be a timeline and a place in the log")
        fork = Fork(int(content[0]), parse_lsn(content[1]))
        if not (forks[-1].timeline if forks else 0) < fork.timeline < timeline:
            raise ValueError(f"line {number}: timeline {fork.timeline} cannot lead to timeline {timeline}")
        forks.append(fork)
    return History(timeline, tuple(forks))


def history_file(timeline: Timeline) -> str:
    """Return the name of the file with the timeline's history. The first timeline has none."""
    assert 1 < timeline <= _TIMELINE_MAX
    return f"{timeline:08X}.history"


def relation(ours: Position, theirs: Position, history: History) -> Relation:
    """Return how `ours` stands to `theirs`, whose history is `history`."""
    assert history.timeline == theirs.timeline, "a history belongs to its timeline"
    if not ours.timeline or not theirs.timeline:
        return Relation.UNKNOWN
    if ours.timeline == theirs.timeline:
        if ours.lsn == theirs.lsn:
            return Relation.SAME
        return Relation.BEHIND if ours.lsn < theirs.lsn else Relation.AHEAD
    left = history.left(ours.timeline)
    # The record at the fork itself is the new timeline's: who ends exactly there has nothing of its own.
    if left is not None and ours.lsn <= left:
        return Relation.BEHIND
    # A timeline that is not on their way may have forked from theirs beyond what they know: they cannot tell.
    return Relation.DIVERGED


def lag(ours: Position, theirs: Position, history: History) -> int | None:
    """Return how many bytes of `theirs` are missing in `ours`; None: streaming alone cannot bring them."""
    match relation(ours, theirs, history):
        case Relation.SAME | Relation.AHEAD:
            return 0
        case Relation.BEHIND:
            return max(0, theirs.lsn - ours.lsn)
        case Relation.DIVERGED | Relation.UNKNOWN:
            return None


def furthest(positions: Iterable[Position]) -> Position:
    """Return the position that a new primary must have at least; nothing known without any."""
    return max(positions, default=Position())
