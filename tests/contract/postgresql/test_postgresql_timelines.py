"""Two members that are promoted one after the other from the same log do not begin the same timeline."""

from holdfast.postgresql import files, running, timelines
from holdfast.postgresql.control import read_control
from holdfast.postgresql.instance import slot_name
from holdfast.postgresql.position import history_file
from holdfast.postgresql.rewinding import Way, advise, rewind
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    Stage,
    crash,
    play,
    query,
    settings,
    standing,
    until_streaming,
    where,
)


def test_a_second_primary_from_the_same_log_begins_a_timeline_of_its_own_and_the_first_one_is_rewound() -> (
    None
):
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b, c = await stage.standby("b", a), await stage.standby("c", a)
        await crash(a)
        assert (await running.promote(b, settings(), GENEROUS)).timeline == 2
        await query(b, "create table only_here (x int)")
        await running.stop(b, GENEROUS)
        assert timelines.newest_known(c, 1) == 1
        timelines.show_as_taken(c, 1, 3)
        assert (await running.promote(c, settings(), GENEROUS)).timeline == 3
        await running.checkpoint(c)
        d = await stage.standby("d", c)
        assert (await advise(b, where(c), await stage.system(c))).way is Way.REWIND
        await rewind(b, where(c))
        await query(c, f"select pg_create_physical_replication_slot('{slot_name(b.name)}')")
        await running.start(b, settings(c), spawn, GENEROUS)
        await until_streaming(b, c)
        assert await query(b, "select 1 from pg_class where relname = 'only_here'") == []
        await crash(c)
        timelines.show_as_taken(d, 3, 6)
        assert (await running.promote(d, settings(), GENEROUS)).timeline == 6
        await query(d, f"select pg_create_physical_replication_slot('{slot_name(b.name)}')")
        await running.follow(b, settings(d))
        await until_streaming(b, d)
        assert (await standing(b)).position.timeline == 6

    play(story)


def test_a_promotion_that_did_not_come_to_its_end_leaves_nothing_that_a_start_trips_over() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        timelines.show_as_taken(b, 1, 4)
        await crash(b)
        timelines.forget_dead_ends(b, await read_control(b))
        await running.start(b, settings(a), spawn, GENEROUS)
        await until_streaming(b, a)

    play(story)


def test_a_standby_that_heard_of_a_timeline_which_left_before_its_log_ends_can_stand_still() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await query(a, "create table t (x int)", "checkpoint")
        await until_streaming(b, a)
        await query(b, "checkpoint")
        await crash(b)
        heard = b.folder / "pg_wal" / history_file(2)
        files.write_file(b, heard, "1\t0/100000\tno recovery target specified\n")
        fits = b.folder / "pg_wal" / history_file(3)
        files.write_file(b, fits, "1\tF/1000000\tno recovery target specified\n")
        timelines.forget_dead_ends(b, await read_control(b))
        assert heard.exists()  # one after it leads on
        assert fits.exists()
        fits.unlink()
        timelines.forget_dead_ends(b, await read_control(b))
        assert not heard.exists()
        await running.start(b, settings(is_standby=True), spawn, GENEROUS)
        assert not (await standing(b)).is_primary

    play(story)
