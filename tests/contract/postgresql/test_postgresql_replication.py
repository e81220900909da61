"""Slots and synchronous commit on real servers: what the plans say is what PostgreSQL does."""

import asyncio

import pytest

from holdfast.model.postgresql import Commit, Record
from holdfast.model.time import MILLISECOND
from holdfast.model.value import replace
from holdfast.postgresql import running
from holdfast.postgresql.asking import ask_followers, ask_standing, local, write
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.slots import Advance, Create, Drop, ask_slots, carry_out, plan
from holdfast.postgresql.synchronous import (
    NOBODY,
    Rule,
    Set,
    Wish,
    WriteDown,
    choose,
    next_step,
)
from tests.contract.postgresql.stage import (
    GENEROUS,
    Stage,
    crash,
    play,
    query,
    settings,
    standing,
    until,
    until_streaming,
)


async def commits(instance: Instance) -> bool:
    """Tell whether a commit is acknowledged soon."""
    try:
        await ask(local(instance, GENEROUS), "insert into t values (1)", within=500 * MILLISECOND)
    except Unanswered as unanswered:
        if unanswered.fault is Fault.SILENT:
            return False
        raise
    return True


def test_a_commit_waits_for_its_standby_until_the_rule_lets_it_go() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await query(a, "create table t (x int)")
        rule = Rule(("b",), 1)
        await running.follow(a, settings(synchronous=rule.setting))

        async def is_in_force() -> bool:
            (follower,) = await ask_followers(a)
            return follower.sync == "sync"

        await until(is_in_force)
        assert await commits(a)
        await crash(b)

        async def is_alone() -> bool:
            return not await ask_followers(a)

        await until(is_alone)
        assert not await commits(a)
        # The server can write all the same: that is another question.
        assert await write(a, GENEROUS) >= 1
        wanted = choose(Wish(Commit.SYNCHRONOUS, 1), [], rule)
        record = Record("a", ("b",))
        first = next_step(record, rule, wanted, is_covered=True)
        assert first == WriteDown(Record("a"), "before b leaves")
        second = next_step(Record("a"), rule, wanted, is_covered=True)
        assert isinstance(second, Set)
        await running.follow(a, settings(synchronous=second.rule.setting))

        async def goes_on() -> bool:
            return await commits(a)

        await until(goes_on)

    play(story)


def test_a_new_primary_waits_for_its_standbys_from_its_first_commit_on() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await query(a, "create table t (x int)")
        await until_streaming(b, a)
        await crash(a)
        await running.promote(b, settings(synchronous=Rule((), 1).setting), GENEROUS)
        assert (await standing(b)).synchronous == f'FIRST 1 ("{NOBODY}")'
        assert not await commits(b)

    play(story)


def test_a_quorum_is_met_by_any_standby() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("db-1", a)
        c = await stage.standby('it"s c', a)
        await query(a, "create table t (x int)")
        rule = Rule(("db-1", 'it"s c'), 1, is_quorum=True)
        await running.follow(a, settings(synchronous=rule.setting))

        async def is_in_force() -> bool:
            return {follower.sync for follower in await ask_followers(a)} == {"quorum"}

        await until(is_in_force)
        await crash(b)
        assert await commits(a)
        await crash(c)

        async def is_alone() -> bool:
            return not await ask_followers(a)

        await until(is_alone)
        assert not await commits(a)

    play(story)


def test_slots_are_made_moved_and_dropped_as_planned() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        members = ["a", "b", "c"]
        changes = plan("a", members, await ask_slots(a), {}, is_primary=True)
        assert changes == (Create("holdfast_c"),)
        assert await carry_out(a, changes) == ()
        assert plan("a", members, await ask_slots(a), {}, is_primary=True) == ()
        # On the standby, slots wait for a promotion; they must not keep more than their members need.
        assert await carry_out(b, plan("b", members, await ask_slots(b), {}, is_primary=False)) == ()
        await query(a, "create table t as select generate_series(1, 1000) as x", "checkpoint")
        await until_streaming(b, a)

        async def has_replayed() -> bool:
            said = await ask_standing(b)
            return said.replayed == said.position.lsn

        await until(has_replayed)
        far = (await standing(b)).position.lsn
        changes = plan("b", members, await ask_slots(b), {"a": far, "c": far + 10**9}, is_primary=False)
        assert [type(change) for change in changes] == [Advance, Advance]
        assert await carry_out(b, changes) == ()
        assert all(slot.restart >= far for slot in await ask_slots(b))
        # c leaves for ever.
        changes = plan("a", ["a", "b"], await ask_slots(a), {}, is_primary=True)
        assert changes == (Drop("holdfast_c", "no member is called so any more"),)
        assert await carry_out(a, changes) == ()
        (slot,) = await ask_slots(a)
        assert slot.name == "holdfast_b"
        assert slot.is_active
        (problem,) = await carry_out(a, (Drop("holdfast_b", "a mistake"),))
        assert "holdfast_b" in problem

    play(story)


def test_a_standby_follows_a_standby_and_keeps_on_after_its_upstream_is_promoted() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        c = await stage.standby("c", b)
        await crash(a)
        await running.promote(b, settings(), GENEROUS)
        await query(b, "create table t as select 1 as x")
        await until_streaming(c, b)

        async def has_it() -> bool:
            return (await ask_standing(c)).position.timeline == 2 and await query(c, "select x from t") == [
                ("1",)
            ]

        await until(has_it)

    play(story)


def test_a_standby_at_rest_tells_the_timeline_that_it_streamed_last() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        c = await stage.standby("c", a)
        await crash(a)
        await running.promote(b, settings(), GENEROUS)
        await running.follow(c, settings(b, has_slot=False))
        await query(b, "create table t as select 1 as x")
        await until_streaming(c, b)
        before = await standing(c)
        await running.follow(c, replace(settings(), is_standby=True))

        async def rests() -> bool:
            return not (await standing(c)).is_receiving

        await until(rests)
        after = await standing(c)
        assert after.is_complete
        assert after.position >= before.position
        assert after.position.timeline == 2

    play(story)


def test_questions_at_once_do_not_disturb_each_other() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        answers = await asyncio.gather(*(ask_standing(a, GENEROUS) for _ in range(10)), write(a, GENEROUS))
        assert len(answers) == 11
        with pytest.raises(Unanswered) as caught:
            await ask(local(a, GENEROUS), "select 1; selekt", "select 2", within=GENEROUS)
        assert caught.value.sqlstate == "42601"

    play(story)
