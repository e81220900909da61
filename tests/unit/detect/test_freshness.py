"""How old a standby's data is: each case as the looks at it, a second apart."""

from collections.abc import Iterable

import pytest

from holdfast.detect.freshness import Freshness, Heard
from holdfast.model.reading import ReadPolicy
from holdfast.model.time import MINUTE, SECOND

RULES = ReadPolicy("127.0.0.1", 5433, lag_max=1000, delay_max=6 * SECOND)
START = MINUTE


def seen(looks: Iterable[Heard]) -> tuple[Freshness, int]:
    """Return what was learnt, and the instant of the last look."""
    known, now = Freshness(), START
    for heard in looks:
        known, now = known.after(heard, now), now + SECOND
    return known, now - SECOND


def why(looks: Iterable[Heard], *, was_fine: bool = True) -> str:
    known, now = seen(looks)
    return known.why_stale(RULES, now, was_fine=was_fine)


def keeping_up(count: int) -> list[Heard]:
    return [Heard(str(n), end=100 * n, replayed=100 * n) for n in range(1, count + 1)]


def test_who_replays_all_that_it_hears_of_may_be_read() -> None:
    assert not why(keeping_up(5))


def test_after_one_look_nothing_is_known() -> None:
    assert why(keeping_up(1))


def test_a_message_counts_from_the_look_before_it_was_seen() -> None:
    known, now = seen(keeping_up(5))
    assert known.heard_at == known.fresh_at == now - SECOND


def test_a_stream_that_brings_nothing_makes_it_older() -> None:
    stuck = [Heard("5", end=500, replayed=500)]
    assert not why(keeping_up(5) + stuck * 5)
    assert "told it nothing for 6s" in why(keeping_up(5) + stuck * 6)


def test_who_receives_nothing_any_more_is_too_old_in_time() -> None:
    assert "told it nothing" in why(keeping_up(5) + [Heard(replayed=500)] * 6)


def test_a_paused_replay_makes_it_older_though_all_is_received() -> None:
    paused = [Heard(str(n), end=500 + n, replayed=500, is_paused=True) for n in range(6, 20)]
    assert not why(keeping_up(5) + paused[:5])
    assert "its replay is paused for 6s" in why(keeping_up(5) + paused)


def test_what_was_replayed_late_counts_from_when_it_was_heard() -> None:
    late = [Heard(str(n), end=100 * n, replayed=100 * (n - 4)) for n in range(5, 20)]
    known, now = seen(keeping_up(4) + late)
    assert known.fresh_at == now - 5 * SECOND


def test_too_many_bytes_are_too_many_at_once() -> None:
    behind = [Heard("6", end=1501, replayed=500)]
    assert "lacks more than 1000 bytes" in why(keeping_up(5) + behind)


@pytest.mark.parametrize(("lacking", "fine"), [(400, True), (600, False)])
def test_who_was_too_old_comes_back_at_half_of_what_is_allowed(lacking: int, fine: bool) -> None:
    looks = [*keeping_up(5), Heard("6", end=500 + lacking, replayed=500)]
    assert not why(looks)
    assert (not why(looks, was_fine=False)) is fine


def test_it_knows_what_it_lacks_when_the_stream_is_gone() -> None:
    known, _ = seen([*keeping_up(5), Heard("6", end=900, replayed=500), Heard(replayed=500)])
    assert known.lacks == 400


def test_a_long_pause_does_not_grow_what_is_remembered() -> None:
    paused = [Heard(str(n), end=500 + n, replayed=500) for n in range(6, 500)]
    known, now = seen(keeping_up(5) + paused)
    assert len(known.pending) <= 64
    over = known.after(Heard("500", end=1000, replayed=995), now + SECOND)
    assert over.fresh_at >= now - 8 * SECOND
