"""Tables, bars and wall-clock times."""

import pytest

from holdfast.cli.painting import Paint, Tone
from holdfast.cli.table import Cell, bar, table, wrap
from holdfast.model.time import SECOND
from tests.unit.cli import worlds


def test_columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_blanks() -> None:
    lines = table(("A", "B"), [("long cell", ""), ("x", Cell("y", Tone.BAD))], Paint())
    assert lines == ["A          B", "long cell", "x          y"]


def test_colour_does_not_shift_columns() -> None:
    plain = table(("A", "B"), [(Cell("x", Tone.BAD), "y")], Paint())
    painted = table(("A", "B"), [(Cell("x", Tone.BAD), "y")], Paint(is_coloured=True))
    assert painted[1] == plain[1].replace("x", "\x1b[31mx\x1b[0m")


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0, "[....]"), (0.01, "[=...]"), (0.5, "[==..]"), (0.99, "[===.]"), (1, "[====]"), (7, "[====]")],
)
def test_a_bar_is_full_only_at_one_and_empty_only_at_zero(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_text_is_wrapped_under_its_beginning() -> None:
    assert wrap("aaaa bbbb cccc", Paint(width=40), first="name: " * 4) == [
        "name: name: name: name: aaaa bbbb cccc"
    ]
    assert wrap("a" * 30 + " " + "b" * 30, Paint(width=40), first="x  ") == [
        "x  " + "a" * 30,
        "   " + "b" * 30,
    ]


def test_an_instant_reads_as_wall_time_of_its_boot() -> None:
    assert worlds.CLOCK.day_and_time(worlds.NOW) == "2026-11-23 15:03:25"
    assert worlds.CLOCK.time_of_day(worlds.NOW + SECOND // 4) == "15:03:25.250"
    assert worlds.CLOCK.iso(worlds.NOW) == "2026-11-23T15:03:25.000+00:00"
