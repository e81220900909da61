"""No acknowledged commit is lost, whatever is drawn; and a planner that errs is found out."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.postgresql import Commit, Record
from holdfast.postgresql.position import Position
from holdfast.postgresql.synchronous import (
    BLOCKING,
    Member,
    Rule,
    Set,
    Wait,
    Wish,
    WriteDown,
    choose,
    describe,
    fits,
    is_covering,
    is_stricter,
    next_step,
    parse_setting,
    record_of,
    why_not,
)
from tests.unit.postgresql.sync_world import Bug, CommitLostError, World

WISHES = (
    Wish(Commit.SYNCHRONOUS, 1),
    Wish(Commit.SYNCHRONOUS, 2, is_strict=True),
    Wish(Commit.QUORUM, 1),
    Wish(Commit.QUORUM, 2),
    Wish(Commit.QUORUM, 2, is_strict=True),
)
members = st.sampled_from("abcde")
rules = st.builds(
    lambda names, need, is_quorum: Rule(tuple(sorted(names)), need, is_quorum),
    st.sets(members, max_size=4),
    st.integers(0, 4),
    st.booleans(),
)
records = st.builds(
    lambda voters, electing: Record("p", tuple(sorted(voters)), electing),
    st.sets(members, max_size=4),
    st.integers(1, 4),
)


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: f"{wish.mode}-{wish.count}-{wish.is_strict}")
@pytest.mark.parametrize("size", [2, 3, 5])
def test_no_acknowledged_commit_is_lost_in_any_history(wish: Wish, size: int) -> None:
    promotions = commits = 0
    for seed in range(100):
        world = World(seed, size, wish)
        world.run(400)
        promotions += world.promotions
        commits += len(world.acknowledged)
    # A world in which nothing happens loses nothing either.
    can_commit = not wish.is_strict or wish.count < size
    assert promotions > 10 or not can_commit
    assert commits > 50


@pytest.mark.parametrize("bug", Bug, ids=lambda bug: bug.name.lower())
def test_a_planner_that_errs_loses_a_commit_in_some_history(bug: Bug) -> None:
    for seed in range(4000):
        world = World(seed, 3 + seed % 2, WISHES[seed % len(WISHES)], bug)
        try:
            world.run(300)
        except CommitLostError:
            return
    raise AssertionError(f"nobody noticed {bug}")


@given(rules, records)
def test_a_rule_fits_a_record_exactly_if_all_their_sets_meet(rule: Rule, record: Record) -> None:
    acknowledging = [set(each) for each in combinations(rule.names, rule.need)]
    electing = [set(each) for each in combinations(record.voters, record.electing)]
    meet = all(one & other for one in acknowledging for other in electing)
    assert fits(rule, record) is (meet or not record.voters)


@given(rules, rules, records)
def test_each_step_keeps_rule_and_record_fitting_and_they_come_to_an_end(
    rule: Rule, wanted: Rule, record: Record
) -> None:
    if not fits(rule, record):
        return
    for _ in range(5):
        step = next_step(record, rule, wanted, is_covered=True)
        match step:
            case None:
                break
            case WriteDown(record=written):
                assert is_stricter(written, record) or rule == wanted
                record = written
            case Set(rule=set_rule):
                rule = set_rule
            case Wait():
                raise AssertionError("it is covered")
        assert fits(rule, record)
    assert rule == wanted
    assert record == record_of(record, wanted)


def test_a_record_is_not_loosened_before_the_new_standby_has_everything() -> None:
    rule = Rule(("b", "c"), 2)
    step = next_step(Record("a", ("b",)), rule, rule, is_covered=False)
    assert isinstance(step, Wait)
    assert not is_covering(rule, {"b": 100, "c": 99}, 100)
    assert is_covering(rule, {"b": 100, "c": 100}, 100)
    assert next_step(Record("a", ("b",)), rule, rule, is_covered=True) == WriteDown(
        Record("a", ("b", "c")), "b, c have all that was committed"
    )


def test_a_standby_that_leaves_is_struck_from_the_record_first() -> None:
    record, rule = Record("a", ("b", "c")), Rule(("b", "c"), 2)
    wanted = choose(Wish(Commit.SYNCHRONOUS, 2), [Member("b", is_streaming=True)], rule)
    first = next_step(record, rule, wanted, is_covered=True)
    assert first == WriteDown(Record("a", ("b",)), "before c leaves")
    assert next_step(first.record, rule, wanted, is_covered=True) == Set(wanted, "c leaves")


def test_without_any_standby_only_the_primary_itself_may_come_back() -> None:
    wanted = choose(Wish(Commit.SYNCHRONOUS, 1), [], Rule(("b",), 1))
    assert wanted == Rule()
    assert record_of(Record("a"), wanted) == Record("a")
    assert why_not(Record("a"), "a", {}) == ""
    assert "may lack acknowledged commits" in why_not(Record("a"), "b", {"b": Position(1, 9)})


def test_a_strict_wish_blocks_rather_than_commit_alone() -> None:
    wish = Wish(Commit.SYNCHRONOUS, 1, is_strict=True)
    assert choose(wish, [], Rule(("b",), 1)) == Rule(("b",), 1)
    assert choose(wish, [], Rule()).setting == 'FIRST 1 ("holdfast_nobody")'


def test_the_standbys_in_the_rule_stay_while_they_stream() -> None:
    streaming = [Member(name, is_streaming=True, priority=int(name == "b")) for name in "bcd"]
    assert choose(Wish(Commit.SYNCHRONOUS, 1), streaming, Rule(("c",), 1)) == Rule(("c",), 1)
    assert choose(Wish(Commit.SYNCHRONOUS, 1), streaming, Rule()) == Rule(("b",), 1)
    assert choose(Wish(Commit.QUORUM, 2), streaming, Rule()).setting == 'ANY 2 ("b", "c", "d")'
    assert record_of(Record("a"), Rule(("b", "c", "d"), 2)) == Record("a", ("b", "c", "d"), 2)


def test_the_furthest_of_enough_voters_is_promoted_and_nobody_else() -> None:
    record = Record("a", ("b", "c", "d"), 2)
    heard = {"b": Position(1, 100), "c": Position(1, 90)}
    assert why_not(record, "b", heard) == ""
    assert "b is further" in why_not(record, "c", heard)
    assert "1 of 2" in why_not(record, "b", {"b": Position(1, 100)})
    assert "not among" in why_not(record, "e", heard)
    # More bytes on an older timeline are less.
    assert "c is further" in why_not(record, "b", {"b": Position(1, 100), "c": Position(2, 90)})


def test_who_has_all_of_a_log_that_ended_may_follow_though_it_never_voted() -> None:
    record = Record("a", ("b",))
    ended = Position(1, 100)
    assert why_not(record, "c", {"a": ended, "c": Position(1, 100)}) == ""
    assert "not among a, b" in why_not(record, "c", {"a": ended, "c": Position(1, 99)})
    # A voter needs nobody's word but the other voters': the primary may have what it never acknowledged.
    assert why_not(record, "b", {"a": ended, "b": Position(1, 99)}) == ""


@given(rules)
def test_a_setting_that_we_wrote_is_read_back(rule: Rule) -> None:
    read = parse_setting(rule.setting)
    assert read == (rule if rule.need else Rule())


def test_a_setting_of_somebody_else_is_told_from_ours() -> None:
    assert parse_setting("") == Rule()
    assert parse_setting(BLOCKING.setting) == BLOCKING
    assert parse_setting('FIRST 1 ("it""s me")') == Rule(('it"s me',), 1)
    for foreign in ("*", "s1, s2", "2 (a, b)", "ANY 1 (a)"):
        assert parse_setting(foreign) is None


def test_it_is_told_for_whom_commits_wait() -> None:
    wish = Wish(Commit.SYNCHRONOUS, 1)
    assert describe(Rule(("b",), 1), wish) == "commits wait for b"
    assert describe(Rule(("b", "c"), 1, is_quorum=True), wish) == "commits wait for 1 of b, c"
    assert describe(Rule(), wish) == "commits wait for no standby: none follows closely enough"
    assert describe(BLOCKING, wish) == "commits wait until 1 more can acknowledge them"
    assert not describe(Rule(), Wish())
