"""When a beat is due, and how suspicious its absence is."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.detect.arrivals import (
    DEVIATION_MIN,
    PHI_FAILURE,
    Arrivals,
    arrived,
    excused,
    overdue_at,
    patience,
    phi,
)
from holdfast.model.time import MILLISECOND, MINUTE, SECOND, Instant

EVERY = 100 * MILLISECOND
histories = st.lists(st.integers(0, 2 * SECOND), max_size=60)
limits = st.floats(0.31, 50.0)


def after(intervals: list[int], start: Instant = SECOND) -> Arrivals:
    arrivals = arrived(Arrivals(), start)
    for interval in intervals:
        start += interval
        arrivals = arrived(arrivals, start)
    return arrivals


def steady(beats: int = 300, every: int = EVERY) -> Arrivals:
    return after([every] * beats)


@given(histories, limits)
def test_phi_reaches_its_limit_exactly_when_the_beat_is_overdue(intervals: list[int], limit: float) -> None:
    arrivals = after(intervals)
    at = overdue_at(arrivals, limit)
    assert phi(arrivals, at) >= limit - 1e-6
    assert phi(arrivals, at - MILLISECOND) < limit


@given(histories, st.lists(st.integers(0, 20 * SECOND), min_size=2, max_size=10))
def test_suspicion_only_grows_while_nothing_comes(intervals: list[int], silences: list[int]) -> None:
    arrivals = after(intervals)
    phis = [phi(arrivals, arrivals.at + silence) for silence in sorted(silences)]
    assert all(one <= other for one, other in pairwise(phis))


@given(histories)
def test_no_history_makes_it_less_patient_than_the_floor(intervals: list[int]) -> None:
    arrivals = after(intervals)
    assert arrivals.deviation >= DEVIATION_MIN
    assert arrivals.deviation >= arrivals.expected


def test_a_calm_network_gives_a_dead_host_half_a_second() -> None:
    assert 500 * MILLISECOND < patience(steady(), PHI_FAILURE) < 530 * MILLISECOND


@pytest.mark.parametrize("every", [20 * MILLISECOND, EVERY, SECOND])
def test_it_learns_the_pace_of_the_beats_within_a_few(every: int) -> None:
    assert after([every] * 4).expected == pytest.approx(every, rel=0.5)
    assert steady(every=every).expected == pytest.approx(every, rel=0.01)


@pytest.mark.parametrize("every", [EVERY, SECOND])
def test_one_lost_beat_is_no_news_at_any_pace(every: int) -> None:
    arrivals = steady(every=every)
    assert phi(arrivals, arrivals.at + 2 * every) < 1


def test_jitter_makes_it_patient_at_once_and_impatient_again_slowly() -> None:
    rng = random.Random(1)
    calm = steady()
    jittery = after([EVERY] * 300 + [rng.choice([0, 400 * MILLISECOND]) for _ in range(16)])
    assert patience(jittery, 5.0) > 1.5 * patience(calm, 5.0)
    calmed = after([EVERY] * 300 + [rng.choice([0, 400 * MILLISECOND]) for _ in range(16)] + [EVERY] * 64)
    assert patience(calm, 5.0) < patience(calmed, 5.0) < patience(jittery, 5.0)


def test_a_failure_of_minutes_does_not_hide_the_next_one() -> None:
    arrivals = after([EVERY] * 300 + [10 * MINUTE] + [EVERY] * 10)
    assert patience(arrivals, PHI_FAILURE) < SECOND


def test_silence_while_we_stood_still_does_not_count() -> None:
    arrivals = steady()
    paused = excused(arrivals, 400 * MILLISECOND, arrivals.at + 450 * MILLISECOND)
    assert overdue_at(paused, 5.0) == overdue_at(arrivals, 5.0) + 400 * MILLISECOND
    assert arrived(paused, paused.at + 500 * MILLISECOND).short == pytest.approx(
        arrived(arrivals, arrivals.at + 100 * MILLISECOND).short
    )


def test_no_more_is_excused_than_was_silent() -> None:
    arrivals = steady()
    now = arrivals.at + 50 * MILLISECOND
    assert overdue_at(excused(arrivals, MINUTE, now), 5.0) == now + patience(arrivals, 5.0)


@given(histories, st.integers(0, SECOND))
def test_instants_that_go_back_do_not_turn_it_back(intervals: list[int], back: int) -> None:
    arrivals = after(intervals)
    assert arrived(arrivals, arrivals.at - back).at == arrivals.at


@given(st.integers(1, 10**6))
def test_it_stays_finite_after_any_silence(minutes: int) -> None:
    arrivals = steady()
    assert 0 < phi(arrivals, arrivals.at + minutes * MINUTE) <= 300
