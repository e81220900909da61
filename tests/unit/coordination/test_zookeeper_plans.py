"""How a conditional write becomes one atomic request to ZooKeeper."""

from collections.abc import Mapping

import pytest

from holdfast.coordination.zookeeper_tree import (
    ANY_COUNT,
    Check,
    Create,
    Delete,
    Leaf,
    MissingFoldersError,
    Put,
    Reading,
    Step,
    planned,
)
from holdfast.ports.coordination import Condition, ConflictError, Entry, Guard, Write

ROOT = "/hf"
FOLDERS = {"/hf": 3, "/hf/members": 7}


def leaf(key: str, version: int = 10, count: int = 0, session: str | None = None) -> Leaf:
    return Leaf(Entry(key, b"old", version, version, session), count)


def plan(guards: list[Guard], writes: list[Write], leaves: Mapping[str, Leaf | None]) -> list[Step]:
    return planned(ROOT, guards, writes, Reading(leaves, FOLDERS))


def test_a_creation_leaves_its_mark_on_the_folder() -> None:
    steps = plan(
        [Guard("/members/h1", Condition.ABSENT)], [Write("/members/h1", b"v", "5")], {"/members/h1": None}
    )
    assert steps == [Put("/hf/members", b"", ANY_COUNT), Create("/hf/members/h1=", b"v", is_ephemeral=True)]


def test_a_write_under_a_version_compares_the_folder_too() -> None:
    steps = plan([Guard("/leader", 10)], [Write("/leader", b"v")], {"/leader": leaf("/leader", count=4)})
    assert steps == [Check("/hf", 3), Put("/hf/leader=", b"v", 4)]


def test_a_write_under_no_condition_does_not_mind_what_else_is_created() -> None:
    steps = plan([Guard("/k", Condition.ANY)], [Write("/k", b"v")], {"/k": leaf("/k", count=4)})
    assert steps == [Put("/hf/k=", b"v", 4)]


def test_a_guard_that_is_not_written_is_checked() -> None:
    leaves = {"/leader": leaf("/leader", count=1), "/members/h1": None}
    steps = plan([Guard("/leader", 10)], [Write("/members/h1", b"v")], leaves)
    assert steps == [
        Check("/hf", 3),
        Check("/hf/leader=", 1),
        Put("/hf/members", b"", ANY_COUNT),
        Create("/hf/members/h1=", b"v", is_ephemeral=False),
    ]


def test_what_must_stay_absent_is_watched_through_its_folder() -> None:
    leaves = {"/leader": None, "/members/h1": leaf("/members/h1", count=2)}
    steps = plan([Guard("/leader", Condition.ABSENT)], [Write("/members/h1", b"v")], leaves)
    assert steps == [Check("/hf", 3), Put("/hf/members/h1=", b"v", 2)]


def test_a_key_that_changes_hands_begins_anew() -> None:
    steps = plan([], [Write("/k", b"v", "6")], {"/k": leaf("/k", count=2, session="5")})
    assert steps == [
        Put("/hf", b"", ANY_COUNT),
        Delete("/hf/k=", 2),
        Create("/hf/k=", b"v", is_ephemeral=True),
    ]


def test_deleting_what_is_not_there_needs_no_request() -> None:
    assert plan([Guard("/k", Condition.ANY)], [Write("/k", None)], {"/k": None}) == []


@pytest.mark.parametrize(("expect", "there"), [(9, True), (10, False), (Condition.ABSENT, True)])
def test_a_guard_that_does_not_hold_is_a_conflict(expect: int | Condition, *, there: bool) -> None:
    with pytest.raises(ConflictError):
        plan([Guard("/k", expect)], [Write("/k", b"v")], {"/k": leaf("/k") if there else None})


def test_folders_that_are_missing_are_asked_for() -> None:
    with pytest.raises(MissingFoldersError) as caught:
        plan([], [Write("/new/k", b"v")], {"/new/k": None})
    assert caught.value.folders == ["/hf/new"]
