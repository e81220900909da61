"""Bootstrapping, cloning and rewinding: data that is made, copied, and brought back onto the right way."""

import shutil

import pytest

from holdfast.model.value import replace
from holdfast.postgresql import files, running
from holdfast.postgresql.bootstrap import NotDone, adopt, bootstrap, bootstrap_by_command
from holdfast.postgresql.cloning import Manner, clone
from holdfast.postgresql.control import State, read_control
from holdfast.postgresql.instance import SETTINGS, Instance
from holdfast.postgresql.rewinding import Way, advise, rewind
from holdfast.postgresql.running import NotStarted
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    INITDB,
    PASSWORDS,
    Stage,
    crash,
    play,
    query,
    settings,
    standing,
    until,
    until_streaming,
    where,
    with_parameters,
)

# --- bootstrap ------------------------------------------------------------------------------------------


def test_a_half_done_bootstrap_is_never_started_and_is_begun_anew() -> None:
    async def story(stage: Stage) -> None:
        a = stage.instance("a")
        with pytest.raises(NotDone, match="initdb"):
            await bootstrap(a, settings(), PASSWORDS, options=(*INITDB, "--no-such-option"))
        files.give_to_owner(a, a.folder)
        (a.folder / "PG_VERSION").write_text("15\n")
        with pytest.raises(NotStarted, match="bootstrap began and did not end"):
            await running.start(a, settings(), spawn, GENEROUS)
        control = await bootstrap(a, settings(), PASSWORDS, options=INITDB)
        assert control.has_checksums
        assert files.unfinished(a) is None
        with pytest.raises(NotDone, match="holds data already"):
            await bootstrap(a, settings(), PASSWORDS, options=INITDB)

    play(story)


def test_a_users_command_bootstraps_from_a_backup_up_to_its_target() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        await query(a, "create table t (x int)", "insert into t values (1)")
        backup = stage.bootstrapped("backup")
        await clone(backup, where(a), await stage.system(a))
        await running.stop(a, GENEROUS)
        b = stage.instance("b")
        script = (
            f'cp -a {backup.data}/. "$HOLDFAST_DATA" && touch "$HOLDFAST_DATA/recovery.signal" && '
            "printf \"restore_command = 'cp "
            + a.data
            + "/pg_wal/%%f %%p'\\nrecovery_target_timeline = 'current'\\n\""
            ' >> "$HOLDFAST_DATA/postgresql.auto.conf"'
        )
        await bootstrap_by_command(b, settings(), PASSWORDS, ("sh", "-c", script), spawn, within=GENEROUS)
        await running.start(b, settings(), spawn, GENEROUS)
        said = await standing(b)
        assert said.is_primary
        assert said.position.timeline == 2
        assert await query(b, "select x from t") == [("1",)]

    play(story)


def test_an_existing_cluster_is_adopted_with_one_line_in_its_own_file() -> None:
    async def story(stage: Stage) -> None:
        a = stage.bootstrapped("a")
        # As somebody would have it who never heard of us: settings of their own, one of them by ALTER SYSTEM.
        shutil.rmtree(f"{a.data}.holdfast")
        for name in (SETTINGS, "holdfast_hba.conf", "holdfast_ident.conf"):
            (a.folder / name).unlink(missing_ok=True)
        conf = a.folder / "postgresql.conf"
        before = "\n".join(conf.read_text().splitlines()[:-1]) + "\nwork_mem = '5MB'\n"
        conf.write_text(before)
        with (a.folder / "pg_hba.conf").open("a") as hba:
            hba.write("host all all 127.0.0.2/32 trust\n")
        (a.folder / "postgresql.auto.conf").write_text(
            "primary_conninfo = 'host=nowhere'\nwork_mem = '6MB'\n"
        )
        await adopt(a, settings(), PASSWORDS)
        await running.start(a, settings(), spawn, GENEROUS)
        assert conf.read_text().startswith(before)
        assert len(conf.read_text().splitlines()) == len(before.splitlines()) + 1
        assert await query(a, "show work_mem") == [("6MB",)]
        assert await query(a, "show primary_conninfo") == [("",)]
        assert await query(a, "select count(*) from pg_hba_file_rules where address = '127.0.0.2'") == [
            ("1",)
        ]
        await stage.standby("b", a)

    play(story)


def test_a_configuration_outside_of_the_data_is_adopted_where_it_is() -> None:
    async def story(stage: Stage) -> None:
        # As Debian has it.
        found = stage.bootstrapped("a")
        etc = stage.folder / "etc"
        etc.mkdir()
        files.give_to_owner(found, etc)
        a = replace(found, config=str(etc / "postgresql.conf"))
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            (found.folder / name).rename(etc / name)
        with (etc / "postgresql.conf").open("a") as conf:
            conf.write(f"data_directory = '{a.data}'\nhba_file = '{etc}/pg_hba.conf'\nwork_mem = '5MB'\n")
        with (etc / "pg_hba.conf").open("a") as hba:
            hba.write("host all all 127.0.0.2/32 trust\n")
        await adopt(a, settings(), PASSWORDS)
        await running.start(a, settings(), spawn, GENEROUS)
        assert await query(a, "show work_mem") == [("5MB",)]
        assert await query(a, "show listen_addresses") == [("127.0.0.1",)]
        assert await query(a, "select count(*) from pg_hba_file_rules where address = '127.0.0.2'") == [
            ("1",)
        ]

    play(story)


def test_a_standby_is_not_adopted_as_if_it_were_a_primary() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        with pytest.raises(NotDone, match="it runs"):
            await adopt(b, settings(), PASSWORDS)
        await running.stop(b, GENEROUS)
        with pytest.raises(NotDone, match="only a primary"):
            await adopt(b, settings(), PASSWORDS)

    play(story)


# --- cloning --------------------------------------------------------------------------------------------


def test_a_clone_that_fails_leaves_the_old_data_where_it_was() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = stage.bootstrapped("b")
        with pytest.raises(NotDone, match="copied another system"):
            await clone(b, where(a), "123")
        assert (await read_control(b)).system == await stage.system(a)
        assert [each.name for each in stage.folder.glob("b.*")] == ["b.holdfast"]
        nowhere = replace(where(a), port=1)
        with pytest.raises(NotDone, match=r"127\.0\.0\.1:1 gives no slot"):
            await clone(b, nowhere, await stage.system(a))
        assert files.unfinished(b) is None
        await running.start(b, settings(), spawn, GENEROUS)

    play(story)


def test_a_clone_tells_its_progress_and_can_keep_the_old_data() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = stage.bootstrapped("b")
        (b.folder / "salvage").write_text("what only b had")
        told: list[int] = []
        await clone(b, where(a), await stage.system(a), Manner(keep_old=True), told.append)
        assert told[-1] == 100
        assert [each.parent.name for each in stage.folder.glob("*/salvage")] == ["b.aside"]
        assert await query(a, "select slot_name from pg_replication_slots") == [("holdfast_b",)]

    play(story)


def test_a_users_method_makes_the_copy_and_basebackup_comes_after_one_that_fails() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        system = await stage.system(a)
        b = stage.bootstrapped("b")
        script = (
            '"$HOLDFAST_PROGRAMS/pg_basebackup" -D "$HOLDFAST_DATA" -h "$HOLDFAST_SOURCE_HOST"'
            ' -p "$HOLDFAST_SOURCE_PORT" -U holdfast_replicator -w -c fast && touch "$HOLDFAST_DATA/by_method"'
        )
        await clone(b, where(a), system, Manner(methods=(("false",), ("sh", "-c", script))))
        assert (b.folder / "by_method").exists()
        await clone(b, where(a), system, Manner(methods=(("false",),)))
        assert not (b.folder / "by_method").exists()
        await running.start(b, settings(a), spawn, GENEROUS)
        await until_streaming(b, a)

    play(story)


# --- rewinding ------------------------------------------------------------------------------------------


def test_a_crashed_primary_with_rows_of_its_own_is_rewound_and_follows() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        system = await stage.system(a)
        await query(a, "create table t (x int)", "insert into t values (1)")
        await until_streaming(b, a)
        await running.follow(b, settings(None))
        await query(a, "insert into t select generate_series(100, 200)")
        await crash(a)
        await running.promote(b, settings(), GENEROUS)
        await query(b, "insert into t values (2)", "select pg_create_physical_replication_slot('holdfast_a')")
        # Until the checkpoint on the new timeline nobody rewinds against it.
        assert (await advise(a, where(b), system)).way in {Way.WAIT, Way.REWIND}
        await running.checkpoint(b)
        advice = await advise(a, where(b), system)
        assert advice.way is Way.REWIND, advice
        own = (a.folder / "postgresql.conf").read_text()
        await rewind(a, where(b))
        assert (a.folder / "postgresql.conf").read_text() == own
        await running.start(a, settings(b), spawn, GENEROUS)
        await until_streaming(a, b)
        assert await query(a, "select x from t order by x") == [("1",), ("2",)]

    play(story)


def test_a_primary_that_was_stopped_in_good_order_needs_no_rewind() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        system = await stage.system(a)
        await running.stop(a, GENEROUS)
        assert (await advise(a, where(b), system)).way is Way.WAIT
        await running.promote(b, settings(), GENEROUS)
        await running.checkpoint(b)
        assert (await advise(a, where(b), system)).way is Way.STREAM
        assert (await advise(a, where(b), "123")).way is Way.REFUSE

    play(story)


def test_a_standby_that_received_too_much_is_rewound_though_it_replayed_less() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        c = await stage.standby("c", a)
        system = await stage.system(a)
        await running.follow(b, settings(None))
        await query(c, "select pg_wal_replay_pause()")
        await query(a, "create table t as select generate_series(1, 10000) as x")
        await until_streaming(c, a)
        await running.stop(a, GENEROUS, is_immediate=True)
        await running.stop(c, GENEROUS)
        await running.promote(b, settings(), GENEROUS)
        await running.checkpoint(b)
        advice = await advise(c, where(b), system)
        assert advice.way is Way.REWIND, advice
        await query(
            b, "create table t as select 7 as x", "select pg_create_physical_replication_slot('holdfast_c')"
        )
        await rewind(c, where(b))
        await running.start(c, settings(b), spawn, GENEROUS)
        await until_streaming(c, b)
        assert await query(c, "select x from t") == [("7",)]

    play(story)


LARGER = with_parameters(max_connections="25")


async def half_way(stage: Stage) -> tuple[Instance, Instance]:
    """Return a new primary, and a standby that has begun to replay its timeline and not come to its first checkpoint.

    The standby's replay stops in between, at what the new primary says of its parameters.
    """
    a = await stage.primary("a")
    b, c = await stage.standby("b", a, parameters=LARGER), await stage.standby("c", a)
    await query(a, "create table t as select 1 as x")
    await until_streaming(b, a)
    await until_streaming(c, a)
    await crash(a)
    await running.promote(b, settings(parameters=LARGER), GENEROUS)
    await query(b, "select pg_create_physical_replication_slot('holdfast_c')")
    await running.follow(c, settings(b))

    async def is_stopped() -> bool:
        return (await standing(c)).is_replay_paused

    await until(is_stopped)
    await running.checkpoint(b)
    return b, c


async def stop_half_way(standby: Instance) -> None:
    await running.stop(standby, GENEROUS)
    control = await read_control(standby)
    assert (control.timeline, control.position.timeline) == (1, 2), control


def test_a_standby_that_replayed_some_of_its_primarys_timeline_streams_the_rest() -> None:
    async def story(stage: Stage) -> None:
        b, c = await half_way(stage)
        await stop_half_way(c)
        advice = await advise(c, where(b), await stage.system(b))
        assert advice.way is Way.STREAM, advice
        await query(b, "insert into t select generate_series(2, 100)")
        await running.start(c, settings(b, parameters=LARGER), spawn, GENEROUS)
        await until_streaming(c, b)
        assert await query(c, "select count(*) from t") == [("100",)]

    play(story)


def test_a_standby_that_received_too_much_of_a_timeline_that_it_had_begun_is_rewound() -> None:
    async def story(stage: Stage) -> None:
        b, c = await half_way(stage)
        d = await stage.standby("d", b, parameters=LARGER)
        await running.follow(d, settings(parameters=LARGER))
        await query(b, "insert into t select generate_series(2, 10000)")
        await until_streaming(c, b)
        await crash(b)
        await stop_half_way(c)
        await running.promote(d, settings(parameters=LARGER), GENEROUS)
        await running.checkpoint(d)
        advice = await advise(c, where(d), await stage.system(d))
        assert advice.way is Way.REWIND, advice
        await query(d, "insert into t values (0)", "select pg_create_physical_replication_slot('holdfast_c')")
        await rewind(c, where(d))
        await running.start(c, settings(d, parameters=LARGER), spawn, GENEROUS)
        await until_streaming(c, d)
        assert await query(c, "select x from t order by x") == [("0",), ("1",)]

    play(story)


def test_what_has_log_of_its_sources_timeline_is_never_rewound_as_that_would_write_more_of_it() -> None:
    async def story(stage: Stage) -> None:
        b, c = await half_way(stage)
        await stop_half_way(c)
        with pytest.raises(NotDone, match="timeline 2 already"):
            await rewind(c, where(b))
        assert (await read_control(c)).state is State.SHUT_DOWN_IN_RECOVERY
        assert files.unfinished(c) is None

    play(story)


def test_what_cannot_be_rewound_is_cloned_anew() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        system = await stage.system(a)
        await running.follow(b, settings(None))
        await query(a, "create table t as select 1 as x")
        await crash(a)
        await running.promote(b, settings(), GENEROUS)
        await running.checkpoint(b)
        assert (await advise(a, where(b), system)).way is Way.REWIND
        # The log back to where they parted is gone.
        for segment in (a.folder / "pg_wal").glob("0000*"):
            segment.unlink()
        with pytest.raises(NotDone):
            await rewind(a, where(b))
        with pytest.raises(NotStarted, match="rewind began and did not end"):
            await running.start(a, settings(b), spawn, GENEROUS)
        assert (await advise(a, where(b), system)).way is Way.CLONE
        await clone(a, where(b), system)
        await running.start(a, settings(b), spawn, GENEROUS)
        await until_streaming(a, b)
        assert (await read_control(a)).state is State.IN_RECOVERY

    play(story)
