"""The contract of `ports.components`, held by agents that behave: what was promised of processes holds for what is none."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.model.digests import run_digest
from holdfast.model.events import Ending
from holdfast.model.policy import Mode, ProcessSpec, SecretFrom
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.contract.components.stage import run, runs, until
from tests.contract.ocf.stage import OcfStage, ocf_staged

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["cgroups", "marks"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OcfStage]:
    with ocf_staged(tmp_path, use_cgroups=request.param == "cgroups") as stage:
        yield stage


def one(stage: OcfStage, **parameters: str | SecretFrom) -> str:
    """Name a single component in the file, as a singleton."""
    return stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a", **parameters)})[0]


# --- it is not bound to the agent's life -----------------------------------------------------------------


def test_a_survey_tells_what_was_started_and_as_what(stage: OcfStage) -> None:
    component = one(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            assert await hold.agents.survey() == ()
            incarnation = await hold.start(component, epoch=4, is_primary=True)
            (seen,) = await hold.agents.survey()
            assert (seen.component, seen.incarnation) == (component, incarnation)
            assert (seen.epoch, seen.is_primary, seen.is_stopped, seen.adopted) == (4, True, False, False)
            assert seen.run_digest == run_digest(stage.spec(component))

    run(story())


def test_the_next_agent_finds_it_by_asking(stage: OcfStage) -> None:
    component = one(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            incarnation = await hold.start(component, epoch=4, is_primary=True)
        async with stage.agent() as following:
            (seen,) = await following.agents.survey()
            assert (seen.incarnation, seen.epoch, seen.is_primary) == (incarnation, 4, True)
            assert seen.adopted
        (stage.folder("a") / "role").unlink()
        async with stage.agent() as last:
            assert await last.agents.survey() == (), "the monitor says that it does not run"

    run(story())


def test_what_runs_though_nobody_remembers_is_found_and_can_be_stopped(stage: OcfStage) -> None:
    component = one(stage, daemon="yes")

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component, epoch=4, is_primary=True)
        shutil.rmtree(stage.directory / "components" / "orders")
        async with stage.agent() as following:
            (seen,) = await following.agents.survey()
            assert (seen.component, seen.run_digest, seen.adopted) == (component, "", True)
            assert (await following.stop(component)).ending is Ending.DONE
            assert await following.agents.survey() == ()
        assert stage.marked() == []

    run(story())


def test_what_the_file_no_longer_names_is_still_known_and_stopped_by_its_own_agent(stage: OcfStage) -> None:
    component = one(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
        stage.policy = replace(stage.policy, services={})
        async with stage.agent() as following:
            (seen,) = await following.agents.survey()
            assert seen.component == component
            result = await following.agents.stop(component, ProcessSpec(command=()), at_once=False)
            assert result.ending is Ending.DONE
        assert stage.calls("a")[-2:] == ["stop", "monitor"]

    run(story())


def test_each_life_has_a_number_of_its_own_whatever_agent_gave_it(stage: OcfStage) -> None:
    component = one(stage)

    async def story() -> None:
        seen = []
        for _ in range(3):
            async with stage.agent() as hold:
                seen.append(await hold.start(component))
                await hold.stop(component)
        assert seen == ["ocf:1", "ocf:2", "ocf:3"]

    run(story())


# --- never two, and nothing left --------------------------------------------------------------------------


def test_two_starts_leave_one_of_its_processes(stage: OcfStage) -> None:
    component = one(stage, daemon="yes")

    async def story() -> None:
        async with stage.agent() as hold:
            await asyncio.gather(hold.start(component), hold.start(component))
            assert len(stage.marked()) == 1
            (seen,) = await hold.agents.survey()
            assert seen.incarnation == "ocf:2"
            assert (await hold.stop(component)).ending is Ending.DONE
            assert stage.marked() == []

    run(story())


@pytest.mark.parametrize("at_once", [False, True])
def test_what_an_agent_leaves_behind_is_gone_after_stop(stage: OcfStage, at_once: bool) -> None:
    component = one(stage, daemon="yes")
    # As Debian's nginx does when its first process was killed: it says that it stopped, and the workers stay.
    stage.behave("a", "stop", 'rm -f "$folder/role" "$folder/pid"; exit 0')

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            (left,) = stage.marked()
            assert (await hold.stop(component, at_once=at_once)).ending is Ending.DONE
            assert not runs(left)

    run(story())


def test_stopping_what_does_not_run_is_done_and_asks_the_agent_only_how_it_is(stage: OcfStage) -> None:
    component = one(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            for at_once in (False, True):
                assert (await hold.stop(component, at_once=at_once)).ending is Ending.DONE
        assert set(stage.calls("a")) == {"monitor"}

    run(story())


def test_a_cancelled_start_is_known_and_can_be_stopped(stage: OcfStage) -> None:
    component = one(stage)
    stage.behave("a", "start", 'echo standby >"$folder/role"; sleep 1000')

    async def story() -> None:
        async with stage.agent() as hold:
            starting = asyncio.create_task(hold.tried(component))
            await until((stage.folder("a") / "role").exists)
            starting.cancel()
            await asyncio.wait([starting])
            await until(lambda: stage.marked() == [])
            (seen,) = await hold.agents.survey()
            assert seen.incarnation == "ocf:1"
            assert (await hold.stop(component, at_once=True)).ending is Ending.DONE
            assert await hold.agents.survey() == ()

    run(story())


# --- what ends is reported --------------------------------------------------------------------------------


def test_a_daemon_that_dies_is_noticed_at_once_though_the_next_look_is_far_away(stage: OcfStage) -> None:
    component = one(stage, daemon="yes")

    async def story() -> None:
        async with stage.agent() as hold:
            incarnation = await hold.start(component)
            (pid,) = stage.marked()
            os.kill(pid, signal.SIGKILL)
            await until(lambda: bool(hold.ears.exits))
            ((what, life, how),) = hold.ears.exits
            assert (what, life, how.code) == (component, incarnation, None)
            assert how.detail == "monitor: not running (exit code 7); the agent says: its daemon is gone"
            assert await hold.agents.survey() == ()

    run(story())


def test_what_is_no_process_is_looked_at_again_and_again(stage: OcfStage) -> None:
    agent = replace(stage.odd("a"), monitor_every=SECOND)
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": agent})

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.agents.survey()
            await hold.start(component)
            (stage.folder("a") / "role").unlink()
            await until(lambda: bool(hold.ears.exits))
            assert hold.ears.exits[0][2].detail == "monitor: not running (exit code 7)"
        # Some agents write down their score in a first look only: which that is has to be told.
        assert stage.lines("a")[0] == "monitor every=0 -"
        assert set(stage.lines("a")[1:]) == {"start every=0 -", "monitor every=1000 -"}

    run(story())


# --- what an agent is told --------------------------------------------------------------------------------


def test_a_secret_is_read_when_it_is_needed_and_stands_in_no_file_and_no_message(
    stage: OcfStage, tmp_path: Path
) -> None:
    place = tmp_path / "password"
    place.write_text("hunter2-and-more\n")
    component = one(stage, secret=SecretFrom(file=str(place)))
    stage.behave("a", "start", 'echo "ocf-exit-reason:no access with $OCF_RESKEY_secret" >&2; exit 4')

    async def story() -> None:
        async with stage.agent() as hold:
            result = await hold.tried(component)
            assert result.ending is Ending.FAILED
            assert "no access with ***" in result.error
        kept = (stage.directory / "components" / component / "ocf.json").read_text("utf-8")
        assert "hunter2" not in kept
        assert str(place) in kept

    run(story())


def test_a_parameter_is_never_among_the_arguments(stage: OcfStage) -> None:
    component = one(stage, secret="in-plain-sight")
    stage.behave("a", "start", 'tr "\\0" " " </proc/$$/cmdline >"$folder/cmdline"')

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.tried(component)
        assert (stage.folder("a") / "cmdline").read_text("utf-8").strip().endswith("/holdfast/odd start")

    run(story())
