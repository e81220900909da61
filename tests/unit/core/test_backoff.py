"""How long a restart waits, and how many are left."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.policy import RestartPolicy
from holdfast.model.time import SECOND
from holdfast.recover.backoff import backoff, restarts_left

RULES = RestartPolicy()


def test_the_first_restart_is_at_once() -> None:
    assert backoff(RULES, 0, "web/web-1", salt=7) == 0


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_back_off_stays_within_its_bounds_and_jitter(attempts: int, salt: int) -> None:
    wait = backoff(RULES, attempts, "web/web-1", salt)
    assert RULES.backoff_min <= wait <= RULES.backoff_max * (1 + RULES.jitter)


def test_two_members_do_not_wait_in_step() -> None:
    waits = {backoff(RULES, 5, f"web/web-{n}", salt=7) for n in range(10)}
    assert len(waits) > 5


def test_a_restart_exactly_one_window_ago_no_longer_counts() -> None:
    now = 1000 * SECOND
    assert restarts_left(RULES, (now - RULES.window,), now) == RULES.restarts_max
    assert restarts_left(RULES, (now - RULES.window + 1,), now) == RULES.restarts_max - 1
