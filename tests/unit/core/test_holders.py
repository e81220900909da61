from holdfast.failover.holders import Candidate, beside, choose
from holdfast.model.cluster import MemberReport
from holdfast.model.standing import Status
from holdfast.model.tags import Tags


def on(host: str, **report: object) -> Candidate:
    """Return a member that is called after its host."""
    is_heard = bool(report.pop("is_heard", True))
    favour = int(str(report.pop("favour", 0)))
    tags = Tags(
        priority=int(str(report.pop("priority", 0))), nofailover=bool(report.pop("nofailover", False))
    )
    told = MemberReport(**{"status": Status.UP, **report})  # type: ignore[arg-type]  # the keys are the fields
    return Candidate(host, host, told, is_heard, favour=favour, tags=tags)


def test_who_holds_the_lease_keeps_it_while_it_can_serve() -> None:
    assert choose((on("a"), on("b")), "b", "b", None).member == "b"


def test_a_holder_that_should_leave_keeps_it_while_nobody_else_is_fit() -> None:
    chosen = choose((on("a", leaving="it is down"), on("b", unfit="starting")), "a", "a", None)
    assert (chosen.member, chosen.is_withheld) == ("a", True)
    assert "starting" in chosen.why


def test_a_holder_that_should_leave_is_followed_by_one_that_is_fit() -> None:
    assert choose((on("a", leaving="it is down"), on("b")), "a", "a", None).member == "b"


def test_a_holder_that_is_being_started_anew_holds_nothing_back() -> None:
    again = on("a", unfit="starting", is_clear=True)
    assert choose((again, on("b")), "a", "a", None).member == "b"


def test_a_holder_whose_agent_has_just_started_keeps_what_it_serves() -> None:
    unjudged = on("a", unfit="not asked yet", is_clear=False)
    assert choose((unjudged, on("b")), "a", "a", None).member == "a"


def test_an_operators_wish_moves_it_to_a_fit_member_only() -> None:
    assert choose((on("a"), on("b")), "a", "a", "b").member == "b"
    assert choose((on("a"), on("b", unfit="drained")), "a", "a", "b").member == "a"


def test_a_move_under_way_is_not_turned_back() -> None:
    assert choose((on("a"), on("b")), "a", "b", None).member == "b"


def test_of_free_members_the_preferred_and_heard_ones_come_first_then_the_files_order() -> None:
    assert choose((on("a"), on("b")), None, None, None).member == "a"
    assert choose((on("a"), on("b", favour=1)), None, None, None).member == "b"
    assert choose((on("a", is_heard=False), on("b")), None, None, None).member == "b"


def test_of_equally_good_members_the_one_with_more_priority_is_chosen() -> None:
    assert choose((on("a"), on("b", priority=1)), None, None, None).member == "b"
    assert choose((on("a", priority=-1), on("b")), None, None, None).member == "b"
    assert (
        choose((on("a", position=(1, 9)), on("b", position=(1, 8), priority=9)), None, None, None).member
        == "a"
    )


def test_one_that_is_marked_nofailover_takes_over_for_an_operator_only() -> None:
    reserved = on("b", nofailover=True)
    assert choose((on("a", leaving="it is down"), reserved), "a", "a", None).member == "a"
    chosen = choose((on("a", unfit="it is down"), reserved), None, "b", None)
    assert chosen.is_withheld
    assert "nofailover" in chosen.why
    assert choose((on("a"), reserved), "a", "a", "b").member == "b"
    assert choose((on("a", unfit="it stops"), reserved), None, "b", "b").member == "b"
    assert choose((on("a", leaving="it is down"), reserved), "b", "b", None).member == "b"


def test_the_member_that_its_agent_scores_highest_comes_first_though_another_is_listed_before() -> None:
    candidates = (on("h1", score=5), on("h2", score=100), on("h3"))
    assert choose(candidates, None, None, None).member == "h2"
    doubted = (on("h1", score=5), on("h2", score=100, status=Status.SUSPECT))
    assert choose(doubted, None, None, None).member == "h1"


def test_with_failback_it_returns_to_the_first_member_once_that_is_stable() -> None:
    assert choose((on("a"), on("b")), "b", "b", None, "a").member == "b"
    assert choose((on("a", is_stable=True), on("b")), "b", "b", None, "a").member == "a"


# --- beside the primary of another service --------------------------------------------------------------


def test_it_is_given_to_the_member_beside_the_primary_and_to_nobody_before_there_is_one() -> None:
    members = (on("a"), on("b"))
    assert choose(beside(members, "db", "b"), None, None, None).member == "b"
    early = choose(beside(members, "db", None), None, None, None)
    assert (early.member, early.is_withheld) == (None, True)
    assert "db has no primary" in early.why


def test_it_follows_when_the_primary_moved() -> None:
    chosen = choose(beside((on("a"), on("b")), "db", "b"), "a", "a", None)
    assert (chosen.member, chosen.why) == ("b", "a on a: the primary of db is on b")
    assert choose(beside((on("a"), on("b")), "db", "b"), "b", "b", None).why == "it holds the lease"


def test_it_stays_while_the_primary_is_nowhere_and_while_it_could_not_run_beside_it() -> None:
    assert choose(beside((on("a"), on("b")), "db", None), "a", "a", None).member == "a"
    stuck = choose(beside((on("a"), on("b", unfit="drained")), "db", "b"), "a", "a", None)
    assert (stuck.member, stuck.is_withheld) == ("a", True)
    assert stuck.why == "the primary of db is on b; but b on b: drained"


def test_an_operator_cannot_wish_it_away_from_the_primary() -> None:
    assert choose(beside((on("a"), on("b")), "db", "a"), "a", "a", "b").member == "a"
