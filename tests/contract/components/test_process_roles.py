"""Roles: what is recorded beside a process, and when; what hooks are given, and what becomes of them."""

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.cgroups import Cgroups
from holdfast.model.events import Ending
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND
from holdfast.model.value import replace
from holdfast.ports.components import Result
from tests.contract.components.stage import COMPONENT, FOREVER, Stage, pid_of, run, shell, staged, until

pytestmark = pytest.mark.e2e

SLEEPER = ProcessSpec(command=FOREVER)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, use_cgroups=Cgroups.find("try").of("a/b") is not None) as stage:
        yield stage


def _hooked(script: str) -> ProcessSpec:
    hook = ("sh", "-c", script)
    return replace(SLEEPER, promote=hook, demote=hook)


def _promoted(stage: Stage, spec: ProcessSpec) -> Result:
    async def story() -> Result:
        async with stage.agent() as agent:
            await agent.start(spec, epoch=4)
            return await agent.processes.promote(COMPONENT, spec, 5)

    return run(story())


def test_without_hooks_a_role_is_what_is_recorded(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(SLEEPER, epoch=4)
            assert (await agent.processes.promote(COMPONENT, SLEEPER, 5)).ending is Ending.DONE
            assert (stage.record().is_primary, stage.record().epoch) == (True, 5)
            assert (await agent.processes.demote(COMPONENT, SLEEPER)).ending is Ending.DONE
            assert (stage.record().is_primary, stage.record().epoch) == (False, 5)
            assert [(seen.is_primary, seen.epoch) for seen in await agent.processes.survey()] == [(False, 5)]

    run(story())


def test_a_hook_runs_where_and_as_what_its_component_runs_and_learns_the_epoch(stage: Stage) -> None:
    spec = _hooked('echo "$COLOUR $HOLDFAST_HOOK $HOLDFAST_COMPONENT $HOLDFAST_EPOCH"; pwd -P')
    result = _promoted(stage, replace(spec, env={"COLOUR": "green"}))
    assert result == Result(Ending.DONE)
    assert stage.output() == f"green promote {COMPONENT} 5\n{stage.folder.working}\n"


def test_the_role_is_on_record_before_the_promote_hook_runs(stage: Stage) -> None:
    _promoted(stage, _hooked("cat ../record.json"))
    assert '"is_primary":true' in stage.output()


def test_the_hook_of_one_that_ended_while_the_agent_stood_still_is_not_run(stage: Stage) -> None:
    async def story() -> Result:
        async with stage.agent() as agent:
            spec = _hooked("touch ../promoted")
            handle = os.pidfd_open(pid_of(await agent.start(spec, epoch=4)))
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            assert select.select([handle], [], [], 20)[0]  # nothing of the loop runs meanwhile
            os.close(handle)
            return await agent.processes.promote(COMPONENT, spec, 5)

    result = run(story())
    assert (result.ending, result.error) == (
        Ending.FAILED,
        f"{COMPONENT} ended before it could become primary",
    )
    assert not (stage.folder.path / "promoted").exists()


def test_the_role_is_on_record_until_the_demote_hook_has_ended(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = replace(_hooked("cat ../record.json"), promote=())
            await agent.start(spec, is_primary=True)
            assert (await agent.processes.demote(COMPONENT, spec)).ending is Ending.DONE
        assert '"is_primary":true' in stage.output()
        assert not stage.record().is_primary

    run(story())


def test_a_promote_hook_that_fails_says_why_and_the_role_stays_on_record(stage: Stage) -> None:
    result = _promoted(stage, _hooked("echo no quorum; exit 3"))
    assert result.ending is Ending.FAILED
    assert result.error == "promote hook exited with 3; it said: no quorum"
    assert stage.record().is_primary


def test_a_demote_hook_that_fails_leaves_the_role(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = replace(_hooked("kill -9 $$"), promote=())
            await agent.start(spec, is_primary=True)
            result = await agent.processes.demote(COMPONENT, spec)
            assert (result.ending, result.error) == (Ending.FAILED, "demote hook was ended by signal 9")
            assert stage.record().is_primary

    run(story())


def test_a_hook_that_takes_too_long_is_unknown_and_is_killed_with_its_children(stage: Stage) -> None:
    spec = replace(_hooked("echo waiting; sleep 1000"), hook_timeout=300 * MILLISECOND)

    async def story() -> None:
        async with stage.agent() as agent:
            main = await agent.start(spec)
            result = await agent.processes.promote(COMPONENT, spec, 5)
            assert result.ending is Ending.UNKNOWN
            assert (
                result.error
                == "promote hook did not end within 0.3s (run.hook_timeout) and was killed; it said: waiting"
            )
            await until(lambda: stage.marked() == [pid_of(main)])
            assert agent.ears.exits == []

    run(story())


def test_a_hook_is_not_waited_for_longer_than_it_runs_itself(stage: Stage) -> None:
    result = _promoted(stage, _hooked("sleep 1000 &"))
    assert result.ending is Ending.DONE


def test_what_a_hook_left_running_ends_with_the_component(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = _hooked("setsid sleep 1000 &")
            await agent.start(spec)
            assert (await agent.processes.promote(COMPONENT, spec, 5)).ending is Ending.DONE
            await until(lambda: len(stage.marked()) == 2)
            assert (await agent.stop(spec)).ending is Ending.DONE
            assert stage.marked() == []

    run(story())


def test_a_hook_that_outlived_its_agent_is_not_taken_for_the_component(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = replace(_hooked("sleep 1000"), hook_timeout=1000_000 * MILLISECOND)
            incarnation = await agent.start(spec)
            asking = asyncio.create_task(agent.processes.promote(COMPONENT, spec, 5))
            await until(lambda: len(stage.marked()) == 3)
            stage.folder.forget()
            async with stage.agent() as following:
                assert [seen.incarnation for seen in await following.processes.survey()] == [incarnation]
            asking.cancel()
            await asyncio.wait([asking])
            await until(lambda: stage.marked() == [pid_of(incarnation)])

    run(story())


def test_a_hook_that_cannot_be_started_says_why(stage: Stage) -> None:
    result = _promoted(stage, replace(SLEEPER, promote=("no-such-hook",)))
    assert result.ending is Ending.FAILED
    assert "promote hook: program 'no-such-hook' is not on PATH" in result.error


def test_what_does_not_run_cannot_become_primary(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            result = await agent.processes.promote(COMPONENT, SLEEPER, 5)
            assert result.ending is Ending.FAILED
            assert "does not run" in result.error

    run(story())


def test_demoting_what_does_not_run_runs_its_hook(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = _hooked("echo given back")
            assert (await agent.processes.demote(COMPONENT, spec)).ending is Ending.DONE
        assert stage.output() == "given back\n"

    run(story())


def test_an_epoch_that_is_over_is_refused(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(SLEEPER, epoch=9)
            result = await agent.processes.promote(COMPONENT, SLEEPER, 8)
            assert (result.ending, stage.record().epoch) == (Ending.FAILED, 9)
            assert not stage.record().is_primary

    run(story())


def test_a_role_that_cannot_be_recorded_is_not_taken(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = _hooked("echo promoted")
            await agent.start(spec)
            (stage.folder.path / "record.json.new").mkdir()  # in the way of whoever writes, root included
            result = await agent.processes.promote(COMPONENT, spec, 5)
            assert result.ending is Ending.FAILED
            assert "cannot be written" in result.error
            assert "promoted" not in stage.output()
            assert [seen.is_primary for seen in await agent.processes.survey()] == [False]

    run(story())


def test_a_process_that_ended_at_once_cannot_become_primary(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell("exit 0"))
            await agent.exit()
            assert (await agent.processes.promote(COMPONENT, SLEEPER, 5)).ending is Ending.FAILED

    run(story())
