"""The YAML text as a tree: places, duplicates, anchors, and everything that is no document at all."""

import pytest

from holdfast.config.document import Mapping, Scalar, UnreadableError, nearest, parse
from holdfast.config.problems import Problem


def entries(text: str) -> dict[str, object]:
    problems: list[Problem] = []
    root = parse(text, problems)
    assert not problems
    return plain(root)  # type: ignore[return-value]


def plain(node: object) -> object:
    match node:
        case Scalar(text=text):
            return text
        case Mapping(entries=entries):
            return {key: plain(value) for key, value in entries.items()}
        case _:
            return [plain(item) for item in node.items]  # type: ignore[attr-defined]


def refusal(text: str) -> str:
    with pytest.raises(UnreadableError) as caught:
        parse(text, [])
    return str(caught.value)


def test_every_value_knows_its_line_and_column() -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c: yes}\n", [])
    place = nearest(root, ("b", "[1]", "c"))
    assert (place.line, place.column, place.path) == (4, 9, ("b", "[1]", "c"))


def test_what_is_not_written_is_placed_at_what_is_written_above_it() -> None:
    root = parse("a:\n  b: 1\n", [])
    place = nearest(root, ("a", "c", "d"))
    assert (place.line, place.column) == (2, 3)


def test_values_keep_the_text_that_was_written() -> None:
    assert entries("a: 010\nb: yes\nc: 1_000\nd: 1:30\ne: 2026-01-01\n") == {
        "a": "010",
        "b": "yes",
        "c": "1_000",
        "d": "1:30",
        "e": "2026-01-01",
    }


def test_merge_keys_are_laid_under_what_is_written_out() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n"
    assert entries(text)["z"] == {"a": "0", "b": "1", "c": "2"}


def test_a_merge_of_something_else_than_a_mapping_is_refused() -> None:
    problems: list[Problem] = []
    parse("x: &x 1\nz: {<<: *x}\n", problems)
    assert [p.text for p in problems] == ["2:5: z: << takes a mapping, or a list of them; write <<: *name"]


def test_a_key_that_is_there_twice_is_refused_at_its_second_place() -> None:
    problems: list[Problem] = []
    parse("a: 1\nb: 2\na: 3\n", problems)
    assert [p.text for p in problems] == ["3:1: a is there twice, first in line 1; remove one of them"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty; begin with system: NAME and services:"),
        ("# only a comment\n", "1:1: the file is empty; begin with system: NAME and services:"),
        (
            "a:\n\t- b\n",
            "2:1: is not YAML: while scanning for the next token: found character that cannot start",
        ),
        ("a: b: c\n", "1:5: is not YAML: mapping values are not allowed in this context; put text that"),
        ("a: *b\n", "1:4: is not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "2:1: is not YAML: expected a single document"),
        ("a: 'b\n", "2:1: is not YAML: while scanning a quoted scalar"),
        ("a: \x07\n", "1:4: the character U+0007 is not allowed in YAML"),
        ("a: &a [*a]\n", "1:4: a[0][0][0][0][0]: is nested more than 40 levels deep"),
        ("[" * 5000, "1:41: is nested more than 40 levels deep"),
        ("a: " + "b" * 1_000_001, "1:1: the file is longer than 1 MB"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_a_page_of_aliases_that_stands_for_billions_of_values_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "stands for more than 50000 values, aliases counted" in refusal("\n".join(lines))
