"""The contract of `ports.components`, held with real processes: with control groups, and without."""

import asyncio
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from holdfast.model.digests import run_digest
from holdfast.model.events import Ending
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from tests.contract.components.stage import (
    COMPONENT,
    FOREVER,
    DyingAgent,
    Stage,
    Stranger,
    end_child,
    pid_of,
    program,
    run,
    runs,
    shell,
    staged,
    until,
)

pytestmark = pytest.mark.e2e

SLEEPER = ProcessSpec(command=FOREVER, stop_grace=5 * SECOND)


@pytest.fixture(params=["cgroups", "marks", "by-kind"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    is_by_kind = request.param == "by-kind"
    with staged(tmp_path, use_cgroups=request.param == "cgroups", is_by_kind=is_by_kind) as stage:
        yield stage


# --- a process is not bound to the agent's life ---------------------------------------------------------


def test_a_survey_tells_what_was_started_and_as_what(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(SLEEPER, epoch=4, is_primary=True)
            (seen,) = await agent.processes.survey()
            assert (seen.component, seen.incarnation) == (COMPONENT, incarnation)
            assert (seen.epoch, seen.is_primary, seen.is_stopped, seen.adopted) == (4, True, False, False)
            assert seen.run_digest == run_digest(SLEEPER)

    run(story())


def test_the_next_agent_finds_the_process_and_the_role_that_it_was_given(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(SLEEPER, epoch=4)
            assert (await agent.processes.promote(COMPONENT, SLEEPER, 5)).ending is Ending.DONE
        async with stage.agent() as following:
            (seen,) = await following.processes.survey()
            assert (seen.incarnation, seen.epoch, seen.is_primary) == (incarnation, 5, True)
            assert seen.run_digest == run_digest(SLEEPER)

    run(story())


def test_what_somebody_removed_from_the_directory_is_written_again(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(SLEEPER, epoch=4)
            assert (await agent.processes.promote(COMPONENT, SLEEPER, 5)).ending is Ending.DONE
            shutil.rmtree(stage.directory / "components")
            await agent.processes.survey()
        async with stage.agent() as following:
            (seen,) = await following.processes.survey()
            assert (seen.incarnation, seen.epoch, seen.is_primary) == (incarnation, 5, True)

    run(story())


def test_an_agent_killed_at_any_instant_of_start_leaves_at_most_one_process_and_it_is_found(
    stage: Stage,
) -> None:
    chance = random.Random(11)
    was_found, took = run(_start_and_kill_agent(stage, None))
    assert was_found, "it was killed after it had said that the process runs"
    for _ in range(20):
        run(_start_and_kill_agent(stage, chance.uniform(0, took)))


async def _start_and_kill_agent(stage: Stage, after: float | None) -> tuple[bool, float]:
    """Kill an agent some seconds into a start, or after it; tell whether a process was found, and the time it took."""
    dying = DyingAgent(stage)
    assert dying.line() == "starting"
    began = time.monotonic()
    if after is None:
        dying.line()
    else:
        await asyncio.sleep(after)
    took = time.monotonic() - began
    dying.kill()
    if not stage.use_cgroups:
        # What was just forked carries no mark before it becomes its program, about a millisecond later.
        await until(lambda: not dying.has_unfinished_child())
    async with stage.agent() as agent:
        seen = await agent.processes.survey()
        assert [pid_of(process.incarnation) for process in seen] == stage.marked()
        assert len(seen) <= 1
        for process in seen:
            assert (process.component, process.epoch, process.is_primary) == (COMPONENT, 7, True)
            assert process.run_digest == run_digest(SLEEPER)
        assert (await agent.stop(SLEEPER, at_once=True)).ending is Ending.DONE
        assert stage.marked() == []
    return bool(seen), took


def test_a_process_without_a_record_is_found_and_can_be_stopped(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(shell("sleep 1000 & wait"), epoch=3, is_primary=True)
        stage.folder.forget()
        async with stage.agent() as following:
            (seen,) = await following.processes.survey()
            assert (seen.incarnation, seen.epoch, seen.is_primary) == (incarnation, 3, True)
            assert stage.record().identity.incarnation == incarnation
            assert (await following.stop(SLEEPER)).ending is Ending.DONE
        assert stage.marked() == []

    run(story())


def test_what_a_dead_process_left_behind_is_not_taken_for_it(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(program("daemonise"))
            await until(lambda: "daemons away" in stage.output())
        os.kill(pid_of(incarnation), signal.SIGKILL)
        end_child(pid_of(incarnation))
        assert len(stage.marked()) == 3
        async with stage.agent() as following:
            assert await following.processes.survey() == ()
            assert (await following.stop(SLEEPER)).ending is Ending.DONE
        assert stage.marked() == []

    run(story())


def test_a_record_whose_pid_is_now_a_stranger_is_not_believed(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(SLEEPER)
            await agent.stop(SLEEPER)
        stranger = Stranger()
        async with stage.agent() as agent:
            await agent.start(SLEEPER)
            record = stage.record()
            await agent.stop(SLEEPER)
        stage.folder.write(replace(record, pid=stranger.identity.pid, ticks=stranger.identity.ticks - 1))
        async with stage.agent() as following:
            assert await following.processes.survey() == ()
            assert (await following.stop(SLEEPER, at_once=True)).ending is Ending.DONE
            await following.start(SLEEPER)
        assert stranger.end(), "a stranger was killed"

    run(story())


def test_a_record_of_another_boot_is_not_believed(stage: Stage) -> None:
    async def story() -> None:
        stranger = Stranger()
        async with stage.agent() as agent:
            await agent.start(SLEEPER)
            record = stage.record()
            await agent.stop(SLEEPER)
        stage.folder.write(
            replace(record, pid=stranger.identity.pid, ticks=stranger.identity.ticks, boot="another")
        )
        async with stage.agent() as following:
            assert await following.processes.survey() == ()
        assert stranger.end(), "a stranger was killed"

    run(story())


def test_agents_of_two_directories_leave_each_other_alone(stage: Stage, tmp_path: Path) -> None:
    other = Stage(tmp_path / "other", use_cgroups=stage.use_cgroups)

    async def story() -> None:
        async with stage.agent() as agent, other.agent() as neighbour:
            incarnation = await agent.start(SLEEPER)
            await neighbour.start(SLEEPER)
            assert (await neighbour.stop(SLEEPER)).ending is Ending.DONE
            assert [seen.incarnation for seen in await agent.processes.survey()] == [incarnation]

    run(story())
    other.clear()


# --- never two --------------------------------------------------------------------------------------------


def test_two_starts_leave_one_process(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            first, second = await asyncio.gather(agent.start(SLEEPER), agent.start(SLEEPER))
            assert stage.marked() == [pid_of(second)]
            assert [seen.incarnation for seen in await agent.processes.survey()] == [second]
            assert [exit_[1] for exit_ in agent.ears.exits] == [first]

    run(story())


def test_leftovers_that_hold_the_port_do_not_block_a_restart(stage: Stage) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def story() -> None:
        async with stage.agent() as agent:
            first = await agent.start(program("listen", port))
            await until(lambda: stage.output().count("listening") == 1)
            os.kill(pid_of(first), signal.SIGKILL)
            await until(lambda: bool(agent.ears.exits))
            await agent.start(program("listen", port))
            await until(lambda: stage.output().count("listening") == 2)
            assert len(agent.ears.exits) == 1

    run(story())


def test_a_cancelled_start_leaves_a_process_on_the_books(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.processes.survey()
            for delay in (0.0, 0.002, 0.004, 0.008):
                starting = asyncio.create_task(agent.start(SLEEPER))
                await asyncio.sleep(delay)
                starting.cancel()
                await asyncio.wait([starting])
                known = [pid_of(seen.incarnation) for seen in await agent.processes.survey()]
                assert known == stage.marked()
                assert len(known) <= 1

    run(story())


# --- after stop nothing is left -----------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("environment", ["daemonise", "daemonise-clean"])
def test_children_and_daemons_are_gone_after_stop(stage: Stage, environment: str, at_once: bool) -> None:
    if environment == "daemonise-clean" and not stage.use_cgroups:
        pytest.skip("without control groups a daemon that cleans its environment escapes, see docs/limits.md")

    async def story() -> None:
        async with stage.agent() as agent:
            spec = program(environment)
            main = pid_of(await agent.start(spec))
            await until(lambda: "daemons away" in stage.output())
            group = stage.cgroups.of(COMPONENT)
            left = set(stage.marked()) | set(group.pids() if group is not None else [])
            assert len(left) == 4
            assert main in left
            assert (await agent.stop(spec, at_once=at_once)).ending is Ending.DONE
            assert not any(map(runs, left))
            assert group is None or not group.path.exists()

    run(story())


def test_a_process_that_ignores_the_stop_signal_is_killed_after_its_grace(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = program("ignore", "TERM", grace=100 * MILLISECOND)
            await agent.start(spec)
            await until(lambda: "ignoring" in stage.output())
            result = await agent.stop(spec)
            assert result.ending is Ending.DONE
            assert result.exit is not None
            assert result.exit.signal == "KILL"
            assert stage.marked() == []

    run(story())


def test_a_later_stop_at_once_replaces_one_that_waits(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = program("ignore", "TERM", grace=1000 * SECOND)
            await agent.start(spec)
            await until(lambda: "ignoring" in stage.output())
            patient = asyncio.create_task(agent.stop(spec))
            await asyncio.sleep(0.05)
            patient.cancel()
            await asyncio.wait([patient])
            assert (await agent.stop(spec, at_once=True)).ending is Ending.DONE
            assert stage.marked() == []

    run(story())


@pytest.mark.parametrize("of_agent", [signal.default_int_handler, signal.SIG_IGN])
def test_the_stop_signal_is_the_one_that_was_asked_for_though_the_agent_ignores_it(
    stage: Stage, of_agent: Callable[[int, FrameType | None], None] | signal.Handlers
) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = shell("trap 'exit 7' INT; echo ready; while :; do sleep 0.01; done", stop_signal="INT")
            await agent.start(spec)
            await until(lambda: "ready" in stage.output())
            result = await agent.stop(spec)
            assert result.exit is not None
            assert result.exit.code == 7

    before = signal.signal(signal.SIGINT, of_agent)
    try:
        run(story())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_stopped_by_a_signal_is_continued_so_that_it_can_end_by_itself(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
            main = pid_of(await agent.start(spec))
            await until(lambda: "ready" in stage.output())
            os.kill(main, signal.SIGSTOP)
            await until(lambda: bool(agent.ears.stops))
            result = await agent.stop(spec)
            assert result.exit is not None
            assert result.exit.code == 7

    run(story())


def test_stopping_what_does_not_run_is_done(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            for at_once in (False, True):
                result = await agent.stop(SLEEPER, at_once=at_once)
                assert (result.ending, result.exit) == (Ending.DONE, None)

    run(story())
