"""Whose log goes further is asked before anything else, among members that stand still."""

from holdfast.failover.holders import Candidate, choose
from holdfast.model.cluster import MemberReport
from holdfast.model.standing import Role, Status
from holdfast.model.value import replace


def candidate(
    name: str, position: tuple[int, int] = (0, 0), *, unfit: str = "", leaving: str = ""
) -> Candidate:
    report = MemberReport(Status.UP, position=position, unfit=unfit, leaving=leaving, is_clear=True)
    return Candidate(name, f"host-{name}", report, is_heard=True)


def test_the_furthest_log_is_chosen_before_the_files_order() -> None:
    candidates = candidate("a", (1, 100)), candidate("b", (1, 300)), candidate("c", (1, 200))
    assert choose(candidates, None, None, None).member == "b"


def test_a_larger_place_on_an_older_timeline_is_behind() -> None:
    candidates = candidate("a", (1, 900)), candidate("b", (2, 100))
    assert choose(candidates, None, None, None).member == "b"


def test_the_furthest_log_counts_for_nothing_where_it_is_unfit() -> None:
    candidates = candidate("a", (1, 100)), candidate("b", (1, 300), unfit="tagged")
    assert choose(candidates, None, None, None).member == "a"


def test_who_was_assigned_before_positions_were_told_gives_way_to_a_further_log() -> None:
    candidates = candidate("a", (1, 100)), candidate("b", (1, 300))
    assert choose(candidates, None, "a", None).member == "b"
    assert choose((candidate("a"), candidate("b")), None, "a", None).member == "a"


def test_one_that_streams_comes_before_one_that_fell_off() -> None:
    candidates = candidate("a", leaving="its process is gone"), candidate("b", (1, 300)), candidate("c")
    assert choose(candidates, "a", None, None).member == "c"


def test_one_that_still_serves_is_not_behind_those_that_wait_for_it() -> None:
    # It tells its place rounded down; they stand still and tell theirs exactly, as its lease vanished for a moment.
    serving = MemberReport(Status.UP, Role.PRIMARY, epoch=7, position=(2, 1000))
    primary = Candidate("a", "host-a", serving, is_heard=True)
    assert choose((primary, candidate("b", (2, 1200))), None, "a", None).member == "a"
    ended = Candidate("a", "host-a", replace(serving, is_clear=True, role=Role.STANDBY), is_heard=True)
    assert choose((ended, candidate("b", (2, 1200))), None, "a", None).member == "b"
