"""Nagios perfdata: as the contract has it, as real checks print it, and as nobody should."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.observation import Measurement
from holdfast.probing.perfdata import MEASUREMENTS_MAX, TEXT_MAX, read_output, read_perfdata


@pytest.mark.parametrize(
    ("perfdata", "expected"),
    [
        ("time=0.000075s;0.500000;1.000000;0.000000;10.000000", [("time", 0.000075, "s")]),
        ("pl=0%;10;50;0; rta=1.5ms", [("pl", 0, "%"), ("rta", 1.5, "ms")]),
        (
            "/=38691405824B;267847005634;269199768289;0;270552530944",
            [("/", 38691405824, "B")],
        ),
        ("procs=1;;1:;0;", [("procs", 1, "")]),
        ("a=1;~:10;@10:20 b=2;10:;:5", [("a", 1, ""), ("b", 2, "")]),
        ("'free space'=5GB 'it''s'=1 'a=b'=2c", [("free space", 5, "GB"), ("it's", 1, ""), ("a=b", 2, "c")]),
        ("unknown=U;1;2 known=-3.5e2us", [("known", -350, "us")]),
        ("huge=1e999 fine=1", [("fine", 1, "")]),
        ("half=.5 whole=5. signed=+1", [("half", 0.5, ""), ("whole", 5, ""), ("signed", 1, "")]),
        ("  leading=1   trailing=2  ", [("leading", 1, ""), ("trailing", 2, "")]),
        ("words between a=1 and b=2 other things", [("a", 1, ""), ("b", 2, "")]),
        ("comma=1,5 x==1 =2 'open=3 last=4", [("last", 4, "")]),
        ("", []),
    ],
)
def test_perfdata_is_read(perfdata: str, expected: list[tuple[str, float, str]]) -> None:
    assert read_perfdata(perfdata) == tuple(Measurement(*item) for item in expected)


def test_the_first_line_is_for_people_and_numbers_come_from_all_lines() -> None:
    output = " DISK OK - free | /=1MB;2\nlong text = 5\nmore long=7 text | /home=3MB\n/var=4MB\n"
    printed = read_output(output)
    assert printed.text == "DISK OK - free"
    assert [measurement.label for measurement in printed.measurements] == ["/", "/home", "/var"]


def test_two_status_lines_with_perfdata_each_are_both_read() -> None:
    # check_pgsql with a query prints this.
    printed = read_output(
        "OK - database test (0 sec.)|time=0.1s;2;8;0\nOK - 'select 1' returned 1|query=1;;;;\n"
    )
    assert printed.text == "OK - database test (0 sec.)"
    assert [measurement.label for measurement in printed.measurements] == ["time", "query"]


def test_output_without_numbers_or_without_anything_is_fine() -> None:
    assert read_output("connection refused\n") == ("connection refused", ())
    assert read_output("") == ("", ())


def test_text_for_people_is_short_and_printable() -> None:
    printed = read_output("\x1b[31mred\x07 alert" + "!" * 1000)
    assert "\x1b" not in printed.text
    assert len(printed.text) == TEXT_MAX


def test_the_number_of_measurements_is_bounded() -> None:
    assert len(read_perfdata(" ".join(f"a{i}=1" for i in range(1000)))) == MEASUREMENTS_MAX


@given(st.text() | st.text(alphabet="a='1.;:@~% |\nUe+-"))
def test_reading_never_raises_and_numbers_are_finite(output: str) -> None:
    printed = read_output(output)
    assert all(math.isfinite(measurement.value) and measurement.label for measurement in printed.measurements)
    assert "\n" not in printed.text


@given(
    st.text(min_size=1).filter(lambda label: not any(c.isspace() for c in label)),
    st.integers(-(10**9), 10**9),
)
def test_a_quoted_label_is_read_back(label: str, value: int) -> None:
    quoted = label.replace("'", "''")
    assert read_perfdata(f"'{quoted}'={value}MB") == (Measurement(label, value, "MB"),)
