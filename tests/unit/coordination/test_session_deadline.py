"""Whatever happens between an owner and its engine, the owner's deadline comes first."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.coordination.session_deadline import (
    RETRY_MIN,
    SessionDeadline,
    attempt_limit,
    renew_every,
    retry_after,
)
from holdfast.model.time import HOUR, MILLISECOND, SECOND

ttls = st.integers(10 * MILLISECOND, HOUR)
margins = st.floats(0.0, 0.9)
instants = st.integers(0, 100 * HOUR)
delays = st.integers(0, 10 * SECOND)


@given(
    ttls, margins, st.lists(st.tuples(delays, delays, delays, st.sampled_from(["ok", "lost", "unanswered"])))
)
def test_the_deadline_is_never_later_than_the_engines_expiry(
    ttl: int, margin: float, exchanges: list[tuple[int, int, int, str]]
) -> None:
    now = 1000
    life = SessionDeadline(ttl, margin, sent_at=now)
    expires = now + ttl  # the engine opened it no earlier than it was asked to
    for wait, there, back, outcome in exchanges:
        sent_at = now + wait
        received_at = sent_at + there
        now = received_at + back
        if outcome != "lost" and received_at < expires:
            expires = received_at + ttl
            if outcome == "ok":
                life = life.renewed(sent_at)
        assert life.deadline <= expires


@given(ttls, margins, instants, instants)
def test_an_answer_that_was_overtaken_takes_nothing_back(ttl: int, margin: float, a: int, b: int) -> None:
    life = SessionDeadline(ttl, margin, sent_at=0)
    assert life.renewed(a).renewed(b) == life.renewed(b).renewed(a) == life.renewed(max(a, b))


@given(ttls, margins, instants)
def test_what_is_lost_stays_lost(ttl: int, margin: float, at: int) -> None:
    life = SessionDeadline(ttl, margin, sent_at=0).lost().renewed(at)
    assert life.deadline == 0
    assert not life.is_sure(0)


@given(ttls, margins, instants)
def test_a_session_is_sure_before_its_deadline_and_not_at_it(ttl: int, margin: float, at: int) -> None:
    life = SessionDeadline(ttl, margin, sent_at=at)
    assert life.is_sure(life.deadline - 1)
    assert not life.is_sure(life.deadline)


@given(ttls, margins)
def test_three_attempts_may_fail_before_the_deadline(ttl: int, margin: float) -> None:
    budget = SessionDeadline(ttl, margin, sent_at=0).budget
    assert renew_every(budget) + 3 * attempt_limit(budget) <= budget


@given(st.integers(SECOND, HOUR), st.integers(1, 1000), st.floats(0.0, 1.0))
def test_a_retry_is_soon_and_bounded(budget: int, failures: int, share: float) -> None:
    assert RETRY_MIN <= retry_after(budget, failures, share) <= max(RETRY_MIN, budget // 8)


def test_retries_back_off() -> None:
    pauses = [retry_after(64 * SECOND, failures, 1.0) for failures in range(1, 7)]
    assert pauses == [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 8 * SECOND, 8 * SECOND]
