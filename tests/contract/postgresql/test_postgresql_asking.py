"""Asking servers that are well, frozen, full, not ready or gone: the cause comes with the answer, and in time."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.postgresql import postmaster, running
from holdfast.postgresql.asking import (
    ask_followers,
    ask_history,
    ask_standing,
    local,
    look_at_room,
    remote,
    write,
)
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.noticing import ask_notes
from holdfast.postgresql.programs import run
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    PARAMETERS,
    SHORT,
    Stage,
    make_folder,
    play,
    query,
    settings,
    signal_everything,
    until,
    with_parameters,
)
from tests.lab.network import own_name


async def fault(instance: Instance, within: int = SHORT) -> Fault:
    """Return why the instance does not write."""
    began = time.monotonic()
    with pytest.raises(Unanswered) as caught:
        await write(instance, within)
    # Generous, but far from the minutes that a driver would wait for a frozen server.
    assert time.monotonic() - began < 10
    return caught.value.fault


def test_a_frozen_postmaster_is_silent_to_a_new_connection_while_old_ones_are_served() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        main = postmaster.look(a).postmaster
        assert main is not None
        postmaster.send(main, signal.SIGSTOP)
        assert await fault(a) is Fault.SILENT
        seen = postmaster.look(a)
        assert seen.postmaster is not None
        assert seen.postmaster.is_stopped
        assert not seen.is_frozen
        signal_everything(a, signal.SIGSTOP)
        assert await fault(a) is Fault.SILENT
        assert postmaster.look(a).is_frozen
        signal_everything(a, signal.SIGCONT)
        assert await write(a, GENEROUS) >= 1

    play(story)


def test_a_backend_that_freezes_in_the_middle_costs_the_time_limit_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        asked = asyncio.create_task(ask(local(a, GENEROUS), "select pg_sleep(600)", within=2 * SECOND))

        async def is_asking() -> bool:
            return (await query(a, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")) == [
                ("1",)
            ]

        await until(is_asking)
        signal_everything(a, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(Unanswered, match="no answer to a new question") as caught:
            await asked
        assert caught.value.fault is Fault.SILENT
        assert time.monotonic() - began < 10
        signal_everything(a, signal.SIGCONT)

    play(story)


def test_connections_that_are_used_up_leave_the_reserved_ones_to_us() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a", parameters=with_parameters(max_connections="10"))
        await query(a, "create role app login", "grant pg_monitor to app")
        hba = a.folder / "pg_hba.conf"
        hba.write_text("local all app trust\n" + hba.read_text())
        await running.stop(a, GENEROUS)
        await running.start(a, settings(parameters=with_parameters(max_connections="10")), spawn, GENEROUS)
        app = local(replace(a, superuser="app"), GENEROUS)

        async def hold(target: str) -> None:
            while True:  # our own questions may take the last one for a moment; the test's end cancels it
                with contextlib.suppress(Unanswered):
                    await ask(target, "select pg_sleep(600)", within=GENEROUS)
                await asyncio.sleep(0.01)

        held = [asyncio.create_task(hold(app)) for _ in range(7)]

        async def is_full() -> bool:
            with contextlib.suppress(
                Unanswered
            ):  # one that has just ended may hold a reserved place for a moment
                said = await ask_standing(a)
                return said.connections >= said.connections_max
            return False

        await until(is_full)
        with pytest.raises(Unanswered) as caught:
            await ask(app, "select 1", within=GENEROUS)
        assert caught.value.fault is Fault.FULL
        assert await write(a, GENEROUS) >= 1  # by a reserved connection
        ours = [asyncio.create_task(hold(local(a, GENEROUS))) for _ in range(3)]
        await until_full(a)
        assert await fault(a, GENEROUS) is Fault.FULL
        for task in (*held, *ours):
            task.cancel()
        await asyncio.gather(*held, *ours, return_exceptions=True)

    async def until_full(a: Instance) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                await ask_standing(a)
            except Unanswered as unanswered:
                if unanswered.fault is Fault.FULL:
                    return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not fill up")

    play(story)


def test_a_server_that_is_gone_or_starting_says_which() -> None:
    async def story(stage: Stage) -> None:
        a = stage.bootstrapped("a")
        assert await fault(a) is Fault.REFUSED
        # A copy without the log that makes it whole, and nobody to get it from, is never consistent.
        b = await stage.primary("b")
        shutil.rmtree(a.data)
        connection = ("-h", "127.0.0.1", "-p", str(b.port), "-U", b.replicator, "-w")
        command = (b.program("pg_basebackup"), "-D", a.data, "-X", "none", "-c", "fast", *connection)
        done = await run(b, command, within=GENEROUS, variables={"PGPASSFILE": str(b.passwords)})
        assert done.is_good, done.output
        with pytest.raises(Unanswered) as caught:
            await running.start(a, settings(replace(b, port=1)), spawn, SECOND)
        assert caught.value.fault is Fault.NOT_READY
        await until_fault(a, Fault.NOT_READY)

    async def until_fault(a: Instance, wanted: Fault) -> None:
        end = time.monotonic() + 30
        while (found := await fault(a, GENEROUS)) is not wanted:
            assert time.monotonic() < end, found

    play(story)


def test_a_standby_refuses_the_write_and_shows_where_it_stands() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        assert await fault(b, GENEROUS) is Fault.READ_ONLY
        said = await ask_standing(b, GENEROUS)
        assert not said.is_primary
        assert said.upstream == f"127.0.0.1:{a.port}"
        assert said.position.timeline == 1
        (follower,) = await ask_followers(a, GENEROUS)
        assert (follower.name, follower.state, follower.sync) == ("b", "streaming", "async")
        walsender = remote("127.0.0.1", a.port, a.replicator, a.passwords, is_walsender=True)
        system, position, history = await ask_history(walsender, GENEROUS)
        assert system == said.system
        assert position.timeline == history.timeline == 1
        wrong = remote("127.0.0.1", a.port, "nobody", a.passwords)
        with pytest.raises(Unanswered) as caught:
            await ask(wrong, "select 1", within=GENEROUS)
        assert caught.value.fault is Fault.DENIED

    play(story)


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """Lend a file system of `size`."""
    folder = make_folder("disk")
    before = folder.stat()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", own_name("disk"), str(folder)], check=False
    )
    if made.returncode != 0:
        folder.rmdir()
        pytest.skip("we may not mount here")
    try:
        os.chown(folder, before.st_uid, before.st_gid)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_is_named() -> None:
    with small_disk("80m") as disk:

        async def story(stage: Stage) -> None:
            a = stage.bootstrapped("a", disk)
            await running.start(a, settings(), spawn, GENEROUS)
            with (disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 65536)
                    filler.flush()
            assert look_at_room(a).free < 1_000_000
            with pytest.raises(Unanswered) as caught:
                await ask(
                    local(a, GENEROUS),
                    "create table t as select repeat('x', 1000) from generate_series(1, 99999)",
                    within=GENEROUS,
                )
            assert caught.value.fault is Fault.DISK_FULL
            assert caught.value.sqlstate == "53100"
            (disk / "filler").unlink()
            assert await write(a, GENEROUS) >= 1
            await postmaster.kill_everything(a)

        play(story)


def test_a_read_only_file_system_is_told_from_missing_rights() -> None:
    with small_disk("1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        room = look_at_room(Instance("a", str(disk), "", 1))
        assert room.is_read_only
        assert not look_at_room(Instance("a", "/tmp", "", 1)).is_read_only


def test_parameters_that_wait_are_overridden_or_not_understood_are_told() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        wanted = with_parameters(max_connections="30", work_mem="5MB")
        assert await ask_notes(a, PARAMETERS) == ""
        await running.follow(a, settings(parameters=wanted))

        async def says(words: str) -> bool:
            return words in await ask_notes(a, wanted)

        await until(lambda: says("max_connections waits for a restart: it is 20, and will be 30"))
        await query(a, "alter system set work_mem = '7MB'")
        await until(lambda: says("ALTER SYSTEM set work_mem"))
        await query(a, "alter system reset work_mem")
        await running.follow(a, settings(parameters=with_parameters(work_mem="much")))
        await until(lambda: says("not understood: "))
        assert "max_connections stays 20 though 5 is wanted" in await ask_notes(a, {"max_connections": "5"})

    play(story)


def test_a_standby_with_too_small_parameters_is_started_with_its_primarys() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a", parameters=with_parameters(max_connections="40"))
        b = await stage.standby("b", a)
        assert await query(b, "show max_connections") == [("40",)]
        # What the primary raised under a running standby stops its replay: promoting it would end it.
        await running.stop(a, GENEROUS)
        await running.start(a, settings(parameters=with_parameters(max_connections="50")), spawn, GENEROUS)
        await query(a, "create table t (x int)")

        async def is_paused() -> bool:
            return (await ask_standing(b)).is_replay_paused

        await until(is_paused)
        with pytest.raises(Unanswered, match="restart it with 50") as caught:
            await running.promote(b, settings(), GENEROUS)
        assert caught.value.fault is Fault.LIMIT

    play(story)


def test_a_full_queue_of_connections_or_a_dead_socket_is_no_answer_either(tmp_path: Path) -> None:
    nobody = Instance("a", "/tmp/holdfast-pg-nobody", "", 1)

    async def story() -> None:
        with pytest.raises(Unanswered) as caught:
            await ask(local(nobody, SECOND), "select 1", within=100 * MILLISECOND)
        assert caught.value.fault is Fault.REFUSED

    asyncio.run(story())
