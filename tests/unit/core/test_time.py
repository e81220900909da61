"""Durations as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.time import DAY, HOUR, MILLISECOND, MINUTE, SECOND, parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 500 * MILLISECOND),
        ("2s", 2 * SECOND),
        ("1.5s", 1500 * MILLISECOND),
        ("5m", 5 * MINUTE),
        ("1d", DAY),
    ],
)
def test_a_duration_has_a_number_and_a_unit(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-1s", "1h30m", "5S", "1e3s"])
def test_what_is_not_a_duration_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="500ms, 2s, 5m, 1h or 1d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, "0ms"),
        (340 * MILLISECOND, "340ms"),
        (2400 * MILLISECOND, "2.4s"),
        (5 * MINUTE + 10 * SECOND, "5m 10s"),
        (3 * HOUR, "3h"),
        (2 * DAY + 5 * HOUR, "2d 5h"),
        (-SECOND, "-1s"),
    ],
)
def test_a_duration_is_shown_short_and_with_its_unit(duration: int, expected: str) -> None:
    assert show_duration(duration) == expected


@given(st.integers(0, 10**18))
def test_every_duration_can_be_shown(duration: int) -> None:
    assert show_duration(duration)[-1] in "smhd"
