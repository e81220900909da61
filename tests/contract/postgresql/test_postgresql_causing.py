"""Why a server does not do its work is found on real ones: frozen, full, stuck, and others that only look so."""

import signal

import psycopg

from holdfast.model.ids import MemberName
from holdfast.model.time import SECOND
from holdfast.postgresql import postmaster, running, slots
from holdfast.postgresql.asking import ask_standing, local, write
from holdfast.postgresql.causing import Cause, Causing
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.keeping_slots import SlotKeeping
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    PARAMETERS,
    Stage,
    play,
    query,
    settings,
    signal_everything,
    until,
    where,
    with_parameters,
)

_WITHIN = SECOND // 4


async def cause(instance: Instance) -> Cause:
    """Return why the server does not write."""
    try:
        await write(instance, _WITHIN)
    except Unanswered as unanswered:
        return Causing(instance).of_silence(unanswered, is_standby=False)
    return Causing(instance).of_primary(await ask_standing(instance), can_be_replaced=True)


def test_a_frozen_postmaster_is_told_from_a_server_that_is_frozen_whole() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        assert await cause(a) == Cause()
        main = postmaster.look(a).postmaster
        assert main is not None
        postmaster.send(main, signal.SIGSTOP)
        assert "its postmaster is stopped by a signal" in (await cause(a)).text
        signal_everything(a, signal.SIGSTOP)
        assert "all of its processes are stopped by a signal" in (await cause(a)).text
        signal_everything(a, signal.SIGCONT)

    play(story)


def test_a_primary_whose_connections_are_all_taken_works() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a", parameters=with_parameters(max_connections="5"))
        target = local(a, GENEROUS)
        with psycopg.connect(target), psycopg.connect(target):
            full = await cause(a)
        assert full.is_bearable
        assert "2 of 2 are taken" in full.text

    play(story)


def test_a_schema_that_somebody_dropped_is_made_again() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        await query(a, "drop schema if exists holdfast cascade")
        assert await cause(a) == Cause()

    play(story)


def test_a_standby_whose_parameters_are_too_small_is_told_from_one_that_somebody_paused() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        assert await Causing(b).of_standby(await ask_standing(b), has_source=True) == Cause()
        await query(b, "select pg_wal_replay_pause()")
        paused = await Causing(b).of_standby(await ask_standing(b), has_source=True)
        assert paused.is_bearable
        assert "pg_wal_replay_pause" in paused.text
        await query(b, "select pg_wal_replay_resume()")
        await running.stop(a, GENEROUS)
        await running.start(a, settings(parameters=with_parameters(max_connections="30")), spawn, GENEROUS)

        async def has_stopped() -> bool:
            stopped = await Causing(b).of_standby(await ask_standing(b), has_source=True)
            return not stopped.is_bearable and "max_connections is 20 and its primary had 30" in stopped.text

        await until(has_stopped)
        await running.stop(b, GENEROUS)
        await running.start(b, settings(a, parameters=PARAMETERS), spawn, GENEROUS)

        async def follows() -> bool:
            return bool((await ask_standing(b)).upstream)

        await until(follows)

    play(story)


def test_slots_on_a_standby_go_with_those_of_its_primary() -> None:
    async def story(stage: Stage) -> None:
        a = await stage.primary("a")
        b = await stage.standby("b", a)
        names: tuple[MemberName, ...] = ("a", "b", "c")

        async def keep(instance: Instance) -> dict[str, int]:
            upstream = None if instance is a else ("a", where(a))
            await SlotKeeping(instance).keep(await ask_standing(instance), names, upstream)
            return {slot.name: slot.restart for slot in await slots.ask_slots(instance)}

        assert set(await keep(a)) == {"holdfast_b", "holdfast_c"}
        first = await keep(b)
        assert set(first) == {"holdfast_a", "holdfast_c"}
        await query(a, "create table t as select generate_series(1, 20000)")

        async def has_moved() -> bool:
            return (await keep(b))["holdfast_a"] > first["holdfast_a"]

        await until(has_moved)
        # Nobody ever streamed as c: what it may need stays, here as there, within max_slot_wal_keep_size.
        assert (await keep(b))["holdfast_c"] <= max(first["holdfast_c"], (await keep(a))["holdfast_c"])

    play(story)


def test_an_answer_that_says_full_is_no_failure() -> None:
    told = Unanswered(Fault.FULL, "remaining connection slots are reserved", "53300")
    nowhere = Instance("a", "/nonexistent/data", "/nonexistent", 1)
    assert Causing(nowhere).of_silence(told, is_standby=False).text
