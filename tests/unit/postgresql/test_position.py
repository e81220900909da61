"""Positions and histories: who is behind, who is ahead, who went another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.postgresql.position import (
    Fork,
    History,
    Position,
    Relation,
    furthest,
    history_file,
    lag,
    parse_history,
    parse_lsn,
    relation,
    show_lsn,
)

lsns = st.integers(0, 2**64 - 1)


@st.composite
def histories(draw: st.DrawFn) -> History:
    timelines = sorted(draw(st.sets(st.integers(1, 20), max_size=5)))
    places = sorted(draw(st.lists(st.integers(0, 1000), min_size=len(timelines), max_size=len(timelines))))
    forks = tuple(Fork(timeline, lsn) for timeline, lsn in zip(timelines, places, strict=True))
    return History((timelines[-1] if timelines else 0) + 1, forks)


@given(lsns)
def test_a_place_in_the_log_is_read_as_it_is_written(lsn: int) -> None:
    assert parse_lsn(show_lsn(lsn)) == lsn
    assert parse_lsn(show_lsn(lsn).lower()) == lsn


@given(lsns, lsns)
def test_places_are_ordered_as_the_log_is(one: int, other: int) -> None:
    assert (one < other) is (Position(1, one) < Position(1, other))


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/G", "1/2/3", "123456789/0", "-1/0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place in the log"):
        parse_lsn(text)


@given(histories())
def test_a_history_file_is_read_as_postgresql_writes_it(history: History) -> None:
    text = "".join(
        f"{fork.timeline}\t{show_lsn(fork.lsn)}\tno recovery target specified\n\n" for fork in history.forks
    )
    assert parse_history(history.timeline, f"# a comment\n{text}") == history


@pytest.mark.parametrize("text", ["1", "x 0/1", "3 0/1", "2 0/1\n1 0/2", "1 0x1"])
def test_a_history_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|place"):
        parse_history(3, text)


def test_a_longer_log_on_an_older_timeline_is_behind_or_diverged() -> None:
    history = History(2, (Fork(1, 100),))
    new = Position(2, 150)
    assert relation(Position(1, 100), new, history) is Relation.BEHIND
    assert relation(Position(1, 101), new, history) is Relation.DIVERGED
    assert relation(Position(1, 999), new, history) is Relation.DIVERGED
    assert relation(Position(2, 150), new, history) is Relation.SAME
    assert relation(Position(2, 151), new, history) is Relation.AHEAD
    assert relation(Position(3, 120), new, history) is Relation.DIVERGED
    assert relation(Position(), new, history) is Relation.UNKNOWN
    assert Position(1, 999) < new
    assert lag(Position(1, 90), new, history) == 60
    assert lag(Position(1, 101), new, history) is None
    assert lag(Position(2, 151), new, history) == 0


@given(histories(), st.integers(0, 25), st.integers(0, 1200), st.integers(0, 200))
def test_who_is_behind_has_nothing_of_its_own(history: History, timeline: int, lsn: int, more: int) -> None:
    end = history.forks[-1].lsn if history.forks else 0
    ours, theirs = Position(timeline, lsn), Position(history.timeline, end + more)
    match relation(ours, theirs, history):
        case Relation.BEHIND:
            assert ours < theirs
            assert lag(ours, theirs, history) is not None
        case Relation.SAME:
            assert ours == theirs
        case Relation.AHEAD:
            assert ours > theirs
            assert ours.timeline == theirs.timeline
        case Relation.DIVERGED:
            assert ours.timeline != theirs.timeline
            assert lag(ours, theirs, history) is None
        case Relation.UNKNOWN:
            assert not timeline


def test_the_furthest_is_the_one_on_the_newest_timeline() -> None:
    assert furthest([Position(1, 900), Position(2, 10), Position(2, 20)]) == Position(2, 20)
    assert furthest([]) == Position()
    assert history_file(10) == "0000000A.history"
