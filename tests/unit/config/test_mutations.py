"""Whatever is done to a file, reading it gives a policy or an error with places, never anything else."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.config import ConfigError, load_text, plan
from holdfast.loop.localizing import localized
from holdfast.model.policy import Policy
from tests.unit.config.worlds import ROOT, tree

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
TEXTS = [path.read_text("utf-8") for path in EXAMPLES]
TREES = [tree(text) for text in TEXTS]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["{port}", "{", "}}", "http://[", "5s", "1e400s", "*:0", "9" * 300, "~", "-", ".", "::", "a\0b"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def read(text: str) -> Policy | None:
    """Read the text, and hold what every outcome promises."""
    try:
        policy = load_text(text, "holdfast.yaml", "/srv/shop", ROOT)
    except ConfigError as error:
        hold(error)
        return None
    plan(None, policy)
    for host in policy.hosts:
        placed = {name: {member.name: host for member in s.members} for name, s in policy.services.items()}
        assert "\\u0000" not in msgspec.json.encode(localized(policy, host, placed)).decode()
    return policy


def hold(error: ConfigError) -> None:
    """Hold what every error promises: each problem has a place and a line of its own."""
    assert error.problems
    for problem in error.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message
    assert len(str(error).splitlines()) == len(error.problems)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(tree[key], (*path, key))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        *above, key = draw(st.sampled_from(list(places(tree))))
        parent = tree
        for part in above:
            parent = parent[part]
        match draw(st.sampled_from(["delete", "replace", "rename", "add"])):
            case "delete":
                del parent[key]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text(max_size=8))] = parent.pop(key)
            case "add" if isinstance(parent, dict):
                parent[draw(st.text(max_size=8))] = draw(JUNK)
            case _:
                parent[key] = draw(JUNK)
        if not any(True for _ in places(tree)):
            break
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=draw(st.booleans()))


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_a_mutated_file_is_a_policy_or_an_error_with_places(text: str) -> None:
    read(text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), st.data())
def test_a_file_with_characters_changed_is_a_policy_or_an_error_with_places(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    junk = data.draw(st.one_of(st.text(max_size=8), st.text("{}[]:,&*!|>'\"%@`#-?<=~ \n\t", max_size=6)))
    read(text[:start] + junk + text[end:])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_policy_or_an_error_with_places(text: str) -> None:
    read(text)


def test_without_a_mutation_the_examples_are_policies() -> None:
    assert all(read(text) for text in TEXTS)
