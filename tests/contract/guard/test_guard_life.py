"""The guard's own life: it survives its agent, its successor has the same deadlines, and nonsense changes nothing."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.guarding import Guarding, log_of
from holdfast.guard.messages import VERSION
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import SECOND
from tests.contract.components.stage import COMPONENT, FOREVER, pid_of, run, runs, staged, until
from tests.contract.guard.watch import (
    LONG,
    Watch,
    gone,
    now,
    read_field,
    remove_files,
    status_of,
    until_status,
    watched,
)

pytestmark = pytest.mark.e2e

SLEEPER = ProcessSpec(command=FOREVER)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with staged(tmp_path, use_cgroups=False) as stage, watched(stage) as watch:
        yield watch


# --- one guard after another ----------------------------------------------------------------------------


def test_a_guard_that_was_killed_is_replaced_and_its_successor_has_the_same_deadlines(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            first = (await status_of(guarding)).guard.pid
            pid = pid_of(await agent.start(SLEEPER))
            deadline = now() + LONG
            assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
            assert await guarding.extend({COMPONENT: deadline + SECOND}) == {}
            watch.kill_all()
            status = await status_of(guarding)
            assert status.guard.pid != first
            assert status.armed[COMPONENT].deadline == deadline + SECOND
            assert await guarding.extend({COMPONENT: deadline + 2 * SECOND}) == {}
            assert runs(pid)
            assert len(watch.told) == 2, "each start of a guard is told of"

    run(story())


def test_a_deadline_that_passes_while_no_guard_runs_is_acted_on_by_the_next(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent:
            pid = pid_of(await agent.start(SLEEPER))
            async with watch.guarding() as guarding:
                await status_of(guarding)
                deadline = now() + SECOND
                assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
                watch.kill_all()
                await until(lambda: now() > deadline)
            assert runs(pid), "nobody was there to end it"
            guard_by_hand = watch.start()
            await gone(pid)
            _end(guard_by_hand.pid)
            guard_by_hand.communicate(timeout=20)

    run(story())


def test_a_guard_that_is_frozen_is_replaced(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            first = (await status_of(guarding)).guard.pid
            pid = pid_of(await agent.start(SLEEPER))
            deadline = now() + LONG
            assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
            os.kill(first, signal.SIGSTOP)
            async with watch.guarding(within=SECOND) as impatient:
                for _ in range(2):
                    refused = await impatient.extend({COMPONENT: deadline + SECOND})
                    assert "did not answer" in refused[COMPONENT]
                async with asyncio.timeout(60):
                    while await impatient.extend({COMPONENT: deadline + SECOND}):
                        pass
                assert (await status_of(impatient)).guard.pid != first
            assert not runs(first)
            assert runs(pid)

    run(story())


def test_an_understudy_takes_over_from_a_guard_that_is_killed_though_no_agent_lives(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent:
            pid = pid_of(await agent.start(SLEEPER))
            async with watch.guarding() as guarding:
                first = (await status_of(guarding)).guard.pid
                assert watch.guards() == [first], "while nothing is armed there is none"
                deadline = now() + 6 * SECOND
                assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
                await until(lambda: bool(watch.understudies(first)))
            os.kill(first, signal.SIGKILL)
            await gone(pid)
            assert now() >= deadline
        async with watch.guarding() as guarding:
            status = await until_status(guarding, lambda status: bool(status.ended))
            assert status.ended[-1].component == COMPONENT
            await until(
                lambda: len(watch.guards()) == 1
            )  # its own understudy went when nothing was armed any more
            assert watch.told == [watch.told[0]], "nobody had to start one"

    run(story())


def test_an_understudy_takes_over_from_a_guard_that_stands_still(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent:
            pid = pid_of(await agent.start(SLEEPER))
            async with watch.guarding() as guarding:
                first = (await status_of(guarding)).guard.pid
                assert await guarding.arm(COMPONENT, watch.facts(), now() + 6 * SECOND) is None
                await until(lambda: bool(watch.understudies(first)))
            os.kill(first, signal.SIGSTOP)
            await gone(pid, first)

    run(story())


def test_a_guard_that_its_agent_dismisses_leaves_and_one_of_the_unit_stays(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            guard = (await status_of(guarding)).guard.pid
            await agent.start(SLEEPER)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
            async with watch.guarding() as other:
                await other.dismiss()
            await until_status(guarding, lambda status: status.guard.is_leaving)
            assert await guarding.disarm(COMPONENT) is None
            await gone(guard)
            await until(lambda: not watch.guards())
            await guarding.dismiss()
            assert isinstance(await guarding.status(), str), "none is started for who wants none"
        of_the_unit = watch.start()
        async with watch.guarding() as guarding:
            await guarding.dismiss()
            assert not (await status_of(guarding)).guard.is_leaving
        _end(of_the_unit.pid)
        of_the_unit.communicate(timeout=20)

    run(story())


def test_a_second_guard_stands_by_and_takes_over(watch: Watch) -> None:
    async def story() -> None:
        async with watch.guarding() as guarding:
            first = (await status_of(guarding)).guard.pid
            second = watch.start()
            assert len(watch.guards()) == 2
            assert (await status_of(guarding)).guard.pid == first
            os.kill(first, signal.SIGKILL)
            await until_status(guarding, lambda status: status.guard.pid == second.pid)
            _end(second.pid)
            second.communicate(timeout=20)

    run(story())


def test_a_guard_that_is_asked_to_leave_stays_until_nothing_is_armed(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            guard = (await status_of(guarding)).guard.pid
            pid = pid_of(await agent.start(SLEEPER))
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
            os.kill(guard, signal.SIGTERM)
            await until_status(guarding, lambda status: status.guard.is_leaving)
            assert await guarding.extend({COMPONENT: now() + LONG}) == {}
            assert await guarding.disarm(COMPONENT) is None
            await gone(guard)
            assert runs(pid)
            assert not watch.memory().exists()

    run(story())


def test_the_guard_does_not_belong_to_the_agents_session_and_is_first_in_line(watch: Watch) -> None:
    async def story() -> None:
        async with watch.guarding() as guarding:
            pid = (await status_of(guarding)).guard.pid
            assert os.getsid(pid) == pid
            said = log_of(watch.directory).read_text()
            assert ("memory is not locked" in said) == (read_field(pid, "VmLck") == 0)
            is_first = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
            assert ("no real-time priority" in said) != is_first

    run(story())


# --- who may speak, and what is understood --------------------------------------------------------------


def test_the_socket_is_closed_to_others_and_made_anew_when_it_is_removed(watch: Watch) -> None:
    async def story() -> None:
        async with watch.guarding() as guarding:
            pid = (await status_of(guarding)).guard.pid
            place = watch.directory / "guard.sock"
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
            place.unlink()
            await until(place.exists)
        async with watch.guarding() as guarding:
            assert (await status_of(guarding)).guard.pid == pid

    run(story())


def test_malformed_requests_are_refused_and_change_nothing(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            pid = pid_of(await agent.start(SLEEPER))
            deadline = now() + LONG
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
            before = await status_of(guarding)
            for said in _nonsense(watch, deadline):
                packet = said if isinstance(said, bytes) else json.dumps(said).encode()
                answer = json.loads(await asyncio.to_thread(watch.ask, packet))
                assert answer["ok"] is False, said
                assert answer["error"], said
            assert await status_of(guarding) == before
            assert runs(pid)

    run(story())


def _nonsense(watch: Watch, deadline: int) -> list[object]:
    arm = {
        "v": VERSION,
        "do": "arm",
        "component": "stock/b",
        "facts": watch.facts().as_json(),
        "deadline": deadline,
    }
    facts = watch.facts().as_json()
    return [
        b"\0\1\2",
        b"[" * 60_000,
        b'"x' * 40_000,
        [],
        {},
        {"v": VERSION},
        {"v": VERSION + 1, "do": "ask"},
        {"v": VERSION, "do": "obey"},
        {"v": VERSION, "do": "disarm"},
        {"v": VERSION, "do": "disarm", "component": 7},
        {"v": VERSION, "do": "disarm", "component": "orders"},
        {"v": VERSION, "do": "extend", "deadlines": {COMPONENT: deadline + SECOND, "stock/b": "soon"}},
        {"v": VERSION, "do": "extend", "deadlines": {COMPONENT: deadline + SECOND, "x": 1}},
        {"v": VERSION, "do": "extend", "deadlines": [COMPONENT]},
        arm | {"deadline": -1},
        arm | {"deadline": True},
        arm | {"deadline": deadline + 0.5},
        arm | {"deadline": now() + 10**15},
        arm | {"component": "a" * 300 + "/b"},
        arm | {"more": 1},
        arm | {"facts": None},
        arm | {"facts": facts | {"pid": 1}},
        arm | {"facts": facts | {"pid": watch.guards()[0]}},
        arm | {"facts": facts | {"marks": ["no mark"]}},
        arm | {"facts": facts | {"cgroup": "relative"}},
        arm | {"facts": facts | {"cgroup": "/sys/../etc"}},
        arm | {"facts": facts | {"more": 1}},
    ]


def test_a_new_agent_goes_on_where_the_last_one_stopped(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent:
            await agent.start(SLEEPER)
            async with watch.guarding() as guarding:
                await status_of(guarding)
                assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
        async with watch.guarding() as guarding:
            assert await guarding.extend({COMPONENT: now() + LONG}) == {}
            assert await guarding.disarm(COMPONENT) is None
            assert "not armed" in (await guarding.extend({COMPONENT: now() + LONG}))[COMPONENT]

    run(story())


def test_where_no_guard_can_be_had_every_call_says_so(watch: Watch, tmp_path: Path) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent:
            await agent.start(SLEEPER)
            facts = watch.facts()
        nowhere = tmp_path / "nowhere"
        nowhere.mkdir()
        guarding = Guarding(nowhere, within=SECOND)
        shutil.rmtree(nowhere)
        assert await guarding.arm(COMPONENT, facts, now() + LONG)
        assert set(await guarding.extend({COMPONENT: now() + LONG, "stock/b": now() + LONG})) == {
            COMPONENT,
            "stock/b",
        }
        assert await guarding.disarm(COMPONENT)
        assert isinstance(await guarding.status(), str)
        await guarding.close()
        await until(lambda: b"No such file" in log_of(nowhere).read_bytes())
        remove_files(nowhere)

    run(story())


def test_calls_at_once_get_their_own_answers(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
            many = {f"stock/{number}": now() + LONG for number in range(300)}
            *extended, refused, status = await asyncio.gather(
                *(guarding.extend({COMPONENT: now() + LONG}) for _ in range(20)),
                guarding.extend(many),
                guarding.status(),
            )
            assert all(each == {} for each in extended)
            assert isinstance(refused, dict)
            assert refused.keys() == many.keys()
            assert not isinstance(status, str)

    run(story())


def test_a_call_that_is_cancelled_leaves_the_next_one_alone(watch: Watch) -> None:
    async def story() -> None:
        async with watch.guarding() as guarding:
            await status_of(guarding)
            for _ in range(20):
                call = asyncio.ensure_future(guarding.status())
                await asyncio.sleep(0)
                call.cancel()
                assert await guarding.disarm(COMPONENT) is None
                await asyncio.gather(call, return_exceptions=True)

    run(story())


def test_the_verb_becomes_the_guard(watch: Watch) -> None:
    command = [sys.executable, "-m", "holdfast.cli.main", "guard", "--directory", str(watch.directory)]
    guard = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    assert guard.stderr is not None
    assert b"watches over" in guard.stderr.readline()
    assert watch.guards() == [guard.pid]
    guard.terminate()
    guard.communicate(timeout=20)
    assert guard.returncode == 0


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
