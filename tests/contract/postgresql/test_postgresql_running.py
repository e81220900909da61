"""Starting, following, promoting and stopping real servers."""

import asyncio
import signal
from pathlib import Path

import pytest

from holdfast.model.time import SECOND
from holdfast.postgresql import postmaster, running
from holdfast.postgresql.asking import ask_standing, write
from holdfast.postgresql.control import State, read_control
from holdfast.postgresql.postmaster import Phase
from holdfast.postgresql.running import Ending, NotStarted
from holdfast.postgresql.settings import write_settings
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    Stage,
    crash,
    play,
    query,
    settings,
    signal_everything,
    standing,
    until,
    until_streaming,
)


def test_a_bootstrapped_instance_starts_as_primary_and_writes() -> None:
    async def story(stage: Stage) -> None:
        primary = await stage.primary("a")
        said = await standing(primary)
        assert said.is_primary
        assert said.position.timeline == 1
        assert said.system == await stage.system(primary)
        assert [await write(primary), await write(primary)] == [1, 2]
        assert postmaster.look(primary).phase is Phase.READY
        assert (await running.stop(primary, GENEROUS)).ending is Ending.FAST
        assert (await read_control(primary)).state is State.SHUT_DOWN
        assert (await running.stop(primary, GENEROUS)).ending is Ending.NONE

    play(story)


def test_a_standby_is_promoted_and_its_former_primary_follows_it() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        c = await stage.standby("c", a)
        await query(a, "create table t (x int)", "insert into t values (1)")
        await running.stop(a, GENEROUS)
        position = await running.promote(b, settings(), GENEROUS)
        assert position.timeline == 2
        await query(b, "insert into t values (2)")
        # The third one changes over by a reload: it is not restarted.
        main = postmaster.look(c).postmaster
        await query(b, "select pg_create_physical_replication_slot('holdfast_c')")
        await running.follow(c, settings(b))
        await until_streaming(c, b)
        assert postmaster.look(c).postmaster is not None
        assert main is not None
        assert postmaster.look(c).postmaster.pid == main.pid  # type: ignore[union-attr]  # checked above
        # It was stopped in good order, so it needs no rewind.
        await query(b, "select pg_create_physical_replication_slot('holdfast_a')")
        await running.start(a, settings(b), spawn, GENEROUS)
        await until_streaming(a, b)
        for each in (a, b, c):
            assert await query(each, "select x from t order by x") == [("1",), ("2",)]

    play(story)


def test_a_server_is_told_whom_to_follow_though_its_file_says_so_already() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        # As if whoever wrote it had been interrupted before the server was told.
        write_settings(b, settings(), (await read_control(b)).minimums)
        assert (await ask_standing(b)).is_receiving
        await running.follow(b, settings())

        async def is_alone() -> bool:
            return not (await ask_standing(b)).is_receiving

        await until(is_alone)

    play(story)


def test_a_primary_is_demoted_by_a_restart_as_standby() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await running.stop(a, GENEROUS)
        await running.promote(b, settings(), GENEROUS)
        await query(b, "select pg_create_physical_replication_slot('holdfast_a')")
        await running.start(a, settings(b), spawn, GENEROUS)
        await until_streaming(a, b)
        # And back again: both are stopped in good order, so nothing diverges.
        await running.stop(b, GENEROUS)
        assert (await running.promote(a, settings(), GENEROUS)).timeline == 3
        await query(
            a,
            "select pg_create_physical_replication_slot('holdfast_b') where not exists"
            " (select from pg_replication_slots where slot_name = 'holdfast_b')",
        )
        said = await running.demote(b, settings(a), spawn, GENEROUS, GENEROUS)
        assert not said.is_primary
        await until_streaming(b, a)

    play(story)


def test_a_planned_stop_brings_all_up_to_its_shutdown_checkpoint_to_the_standby() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await query(a, "create table t as select generate_series(1, 10000) as x")
        await running.checkpoint(a)
        stopping = asyncio.create_task(running.stop(a, GENEROUS))
        control = await running.until_shut_down(a, GENEROUS)
        assert control is not None
        assert (await stopping).ending is Ending.FAST

        async def has_all() -> bool:
            # The record begins at this place, so who has it all is past it.
            return (await ask_standing(b)).position.lsn > control.checkpoint

        await until(has_all)

    play(story)


def test_a_standby_that_follows_nobody_stands_still() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await running.follow(b, settings(None))

        async def is_alone() -> bool:
            return not (await ask_standing(b)).upstream

        await until(is_alone)
        before = (await standing(b)).position
        await query(a, "create table t as select generate_series(1, 1000)")
        assert (await standing(b)).position == before
        await running.follow(b, settings(a))
        await until_streaming(b, a)

    play(story)


def test_a_paused_replay_does_not_hold_a_promotion_up() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        await query(b, "select pg_wal_replay_pause()")
        await query(a, "create table t as select generate_series(1, 1000) as x")

        async def has_all() -> bool:
            return (await ask_standing(b)).position.lsn >= (await ask_standing(a)).position.lsn

        await until(has_all)
        assert (await standing(b)).is_replay_paused
        await crash(a)
        await running.promote(b, settings(), GENEROUS)
        assert await query(b, "select count(*) from t") == [("1000",)]

    play(story)


def test_what_a_killed_postmaster_left_is_ended_before_the_next_start() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        client = asyncio.create_task(query(a, "select pg_sleep(60)"))

        async def is_busy() -> bool:
            return (await ask_standing(a)).connections >= 1

        await until(is_busy)
        seen = postmaster.look(a)
        assert seen.postmaster is not None
        # A backend that is frozen does not notice that its postmaster is gone.
        for process in seen.others:
            postmaster.send(process, signal.SIGSTOP)
        postmaster.send(seen.postmaster, signal.SIGKILL)

        async def is_gone() -> bool:
            return postmaster.look(a).postmaster is None

        await until(is_gone)
        left = postmaster.look(a)
        assert left.is_stale
        # The backend that answered whether one is busy may still have been on its way out.
        orphans = {process.pid for process in left.orphans}
        assert orphans <= {process.pid for process in seen.others}
        assert len(orphans) >= len(seen.others) - 1
        await running.start(a, settings(), spawn, GENEROUS)
        assert (await standing(a)).is_primary
        with pytest.raises(Exception, match=r"."):
            await client

    play(story)


def test_a_stale_pid_file_with_the_pid_of_another_process_does_not_stop_a_start() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        other = await stage.primary("other")
        text = (Path(a.data) / "postmaster.pid").read_text()
        await crash(a)
        stranger = postmaster.look(other).postmaster
        assert stranger is not None
        stale = "\n".join([str(stranger.pid), *text.splitlines()[1:]]) + "\n"
        (Path(a.data) / "postmaster.pid").write_text(stale)
        await running.start(a, settings(), spawn, GENEROUS)
        assert (await standing(a)).is_primary
        assert (await standing(other)).is_primary

    play(story)


def test_a_frozen_server_is_killed_without_waiting_for_its_good_will() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        signal_everything(a, signal.SIGSTOP)

        async def is_frozen() -> bool:
            return postmaster.look(a).is_frozen

        await until(is_frozen)
        async with asyncio.timeout(10):
            assert (await running.stop(a, 600 * SECOND)).ending is Ending.KILLED
        assert not postmaster.look(a).everything

    play(story)


def test_a_second_postmaster_is_refused_in_a_directory_or_on_a_port_that_is_taken() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        with pytest.raises(NotStarted, match="runs already"):
            await running.start(a, settings(), spawn, GENEROUS)
        b = stage.bootstrapped("b")
        with pytest.raises(NotStarted, match="another program listens"):
            await running.start(
                type(b)("b", b.data, b.programs, a.port, user=b.user), settings(), spawn, GENEROUS
            )

    play(story)


def test_a_server_that_does_not_come_up_is_told_at_once() -> None:
    async def story(stage: Stage) -> None:
        a = stage.bootstrapped("a")
        with pytest.raises(NotStarted, match="contains errors"):
            await running.start(a, settings(parameters={"shared_buffers": "nonsense"}), spawn, 5 * SECOND)

    play(story)
