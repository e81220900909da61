"""Whatever somebody records, holds back, repeats and reorders: only what was sent a moment ago is believed."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from holdfast.beating.believing import STALE, Belief, Sent, judge
from holdfast.beating.letters import Letter
from holdfast.beating.refusing import SAY_EVERY, Complaints, Refusal
from holdfast.model.beats import Beat
from holdfast.model.time import HOUR, MILLISECOND, SECOND, Instant


class Posted(NamedTuple):
    """A letter on its way, or in the hands of somebody who keeps it."""

    at: Instant
    letter: Letter


class Side:
    """One of two hosts, with the life that it has now."""

    def __init__(self, name: str, other: str) -> None:
        self.name, self.other = name, other
        self.lives = 0
        self.restart()

    def restart(self) -> None:
        self.lives += 1
        self.life = f"{self.name}-{self.lives:03}"
        self.sequence = 0
        self.sent = Sent()
        self.belief = Belief()
        self.believed: list[tuple[Instant, Posted]] = []

    def post(self, now: Instant) -> Posted:
        self.sequence += 1
        self.sent.note(self.sequence, now)
        beat = Beat(self.name, self.life, self.sequence)
        return Posted(now, Letter("shop", self.other, self.belief.echoes(now), beat))

    def get(self, posted: Posted, now: Instant) -> Refusal | None:
        self.belief, refusal = judge(self.belief, posted.letter, now, self.life, self.sent)
        if refusal is None:
            self.believed.append((now, posted))
        return refusal


def exchange(a: Side, b: Side, start: Instant, beats: int) -> Instant:
    """Let both send and get everything, a beat each 100 ms; return when the next beats are due."""
    for number in range(beats):
        now = start + number * 100 * MILLISECOND
        b.get(a.post(now), now + MILLISECOND)
        a.get(b.post(now + 50 * MILLISECOND), now + 51 * MILLISECOND)
    return start + beats * 100 * MILLISECOND


acts = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("ab"), st.booleans()),  # is it delivered at once?
        st.tuples(st.just("replay"), st.sampled_from("ab"), st.integers(0, 200)),
        st.tuples(st.just("restart"), st.sampled_from("ab"), st.just(0)),
        st.tuples(st.just("wait"), st.just("a"), st.integers(0, 3 * SECOND)),
    ),
    max_size=60,
)


@given(acts)
def test_nothing_old_is_believed_nothing_twice_and_no_life_returns(acts: list[tuple[str, str, int]]) -> None:
    sides = {"a": Side("a", "b"), "b": Side("b", "a")}
    kept: list[Posted] = []
    now = exchange(sides["a"], sides["b"], SECOND, 3)
    for what, name, number in acts:
        now += MILLISECOND
        side = sides[name]
        if what == "send":
            kept.append(side.post(now))
            if number:
                sides[side.other].get(kept[-1], now)
        elif what == "replay" and kept:
            posted = kept[number % len(kept)]
            sides[posted.letter.to].get(posted, now)
        elif what == "restart":
            side.restart()
        elif what == "wait":
            now += number
    for side in sides.values():
        came = [(posted.letter.beat.life, posted.letter.beat.sequence) for _, posted in side.believed]
        assert came == sorted(came)
        assert len(came) == len(set(came))
        assert all(at - posted.at <= STALE + at // 1_000 for at, posted in side.believed)
    # And however it went, they believe each other again as soon as they are left alone.
    for side in sides.values():
        side.believed.clear()
    exchange(sides["a"], sides["b"], now + SECOND, 4)
    assert all(side.believed for side in sides.values())


def test_two_that_start_together_believe_each_other_at_the_second_beat() -> None:
    a, b = Side("a", "b"), Side("b", "a")
    exchange(a, b, SECOND, 2)
    assert [posted.letter.beat.sequence for _, posted in b.believed] == [2]
    assert [posted.letter.beat.sequence for _, posted in a.believed] == [1, 2]


def test_a_host_that_does_not_hear_us_any_more_stays_believed_though_clocks_drift() -> None:
    a, b = Side("a", "b"), Side("b", "a")
    now = exchange(a, b, SECOND, 3)
    for number in range(1, 2 * Sent.KEPT):
        real = number * 2 * SECOND  # more than an hour in all
        b.sent.note(10 + number, now + real)  # what it does not hear
        posted = a.post(now + real - real // 5_000)  # its clock is slow
        assert b.get(posted, now + real) is None


def test_a_beat_that_was_held_back_is_stale() -> None:
    a, b = Side("a", "b"), Side("b", "a")
    now = exchange(a, b, SECOND, 3)
    held_back, other = a.post(now), a.post(now)
    assert b.get(held_back, now + STALE - 2 * MILLISECOND) is None
    assert b.get(other, now + 2 * STALE) is Refusal.STALE


def test_an_earlier_life_is_refused_even_if_it_was_never_heard_of() -> None:
    a, b = Side("a", "b"), Side("b", "a")
    now = exchange(a, b, SECOND, 3)
    recorded = a.post(now)
    a.restart()
    now = exchange(a, b, now + MILLISECOND, 3)
    assert b.belief.believed.life == "a-002"
    assert b.get(recorded, now) is Refusal.UNPROVEN


def test_what_we_sent_is_remembered_for_the_newest_beats_only() -> None:
    sent = Sent()
    for sequence in range(1, 10_000):
        sent.note(sequence, sequence * HOUR)
    assert sent.at(1) is None
    assert sent.at(9_999) == 9_999 * HOUR
    assert sent.at(9_999 - Sent.KEPT + 1) is not None


def test_a_flood_is_said_once_in_ten_seconds() -> None:
    said: list[str] = []
    complaints = Complaints(said.append)
    for number in range(10_000):
        complaints.refused(Refusal.BAD_SEAL, "10.0.0.9", HOUR + number * MILLISECOND)
    assert said == ["heartbeats from 10.0.0.9 are refused: bad seal"]
    complaints.refused(Refusal.BAD_SEAL, "10.0.0.9", HOUR + SAY_EVERY)
    assert said[1:] == ["heartbeats from 10.0.0.9 are refused: bad seal (10000 times in 10s)"]


def test_a_few_unproven_beats_of_a_host_that_starts_are_not_said() -> None:
    said: list[str] = []
    complaints = Complaints(said.append)
    for number in range(20):
        complaints.refused(Refusal.UNPROVEN, "a", HOUR + number * SECOND)
    assert not said
    for number in range(200):
        complaints.refused(Refusal.UNPROVEN, "a", 2 * HOUR + number * SECOND // 10)
    assert len(said) == 1
