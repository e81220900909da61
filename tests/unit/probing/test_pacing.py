"""When the next question is asked."""

import random

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.observation import Outcome
from holdfast.model.policy import ExecCheck, ProbePolicy, Purpose
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.probing.pacing import FIRST_WITHIN, Pace

SUSPECT = 100 * MILLISECOND


def pace(*, rise: int = 1, fall: int = 3, jitter: float = 0.0, seed: int = 1) -> Pace:
    policy = ProbePolicy(
        "check",
        Purpose.READINESS,
        ExecCheck(("true",)),
        every=SECOND,
        every_suspect=SUSPECT,
        rise=rise,
        fall=fall,
        jitter=jitter,
    )
    return Pace(policy, random.Random(seed))


def settled(**options: int) -> Pace:
    """Return a pace whose spread from the start is behind it."""
    made = pace(**options)
    while made.after(Outcome.PASSED) != SECOND:
        pass
    return made


def after(made: Pace, *outcomes: Outcome) -> list[Duration]:
    return [made.after(outcome) for outcome in outcomes]


def test_the_first_question_comes_at_once() -> None:
    assert all(0 <= pace(seed=seed).first() <= FIRST_WITHIN for seed in range(50))


def test_the_second_question_spreads_over_the_interval() -> None:
    waits = [pace(seed=seed).after(Outcome.PASSED) for seed in range(100)]
    assert min(waits) < 300 * MILLISECOND
    assert max(waits) > 700 * MILLISECOND
    assert all(SUSPECT <= wait <= SECOND for wait in waits)


def test_a_failure_is_asked_again_soon_for_three_times_fall_questions() -> None:
    waits = after(settled(fall=2), *[Outcome.FAILED] * 8)
    assert waits == [SUSPECT] * 6 + [SECOND] * 2


def test_a_recovery_is_confirmed_soon_as_often_as_rise_asks() -> None:
    made = settled(rise=3)
    after(made, *[Outcome.FAILED] * 20)
    assert after(made, *[Outcome.PASSED] * 4) == [SUSPECT, SUSPECT, SECOND, SECOND]


def test_a_start_is_confirmed_soon_too() -> None:
    assert after(pace(rise=3), Outcome.PASSED, Outcome.PASSED) == [SUSPECT, SUSPECT]


def test_a_degraded_answer_is_no_reason_to_hurry() -> None:
    assert after(settled(), Outcome.DEGRADED, Outcome.PASSED, Outcome.DEGRADED) == [SECOND] * 3


def test_another_may_prolong_the_hurry_and_end_it() -> None:
    made = settled()
    made.hurry(is_suspect=True)
    assert after(made, *[Outcome.PASSED] * 30) == [SUSPECT] * 30
    after(made, Outcome.FAILED)
    made.hurry(is_suspect=False)
    assert after(made, Outcome.FAILED) == [SECOND]


@given(st.floats(0, 0.9), st.integers(0, 100))
def test_jitter_stays_within_its_share(jitter: float, seed: int) -> None:
    made = pace(jitter=jitter, seed=seed)
    after(made, Outcome.PASSED)
    for wait in after(made, *[Outcome.PASSED] * 20):
        assert SECOND * (1 - jitter) - 1 <= wait <= SECOND * (1 + jitter) + 1


def test_the_same_seed_asks_in_the_same_rhythm() -> None:
    one, other = pace(jitter=0.5, seed=3), pace(jitter=0.5, seed=3)
    assert after(one, *[Outcome.PASSED] * 9) == after(other, *[Outcome.PASSED] * 9)
