"""A component that becomes another kind in the file is stopped by whoever started it, and its daemons are no components."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.by_kind import ComponentsByKind
from holdfast.components.local import LocalProcesses
from holdfast.guard.facts import Facts
from holdfast.model.events import Ending
from holdfast.model.policy import Mode, OcfAgent, ProcessSpec
from holdfast.model.time import SECOND
from holdfast.ocf.adapter import OcfAgents
from tests.contract.components.stage import FOREVER, run
from tests.contract.ocf.stage import OcfStage, ocf_staged

pytestmark = pytest.mark.e2e

PROCESS = ProcessSpec(command=FOREVER, stop_grace=5 * SECOND)


@pytest.fixture(params=["cgroups", "marks"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OcfStage]:
    with ocf_staged(tmp_path, use_cgroups=request.param == "cgroups") as stage:
        yield stage


def everything(stage: OcfStage) -> ComponentsByKind:
    processes = LocalProcesses(stage.directory, use_cgroups=stage.use_cgroups)
    agents = OcfAgents(stage.directory, lambda: stage.policy, use_cgroups=stage.use_cgroups)
    return ComponentsByKind(stage.directory, processes, {OcfAgent: agents})


def test_what_a_process_was_and_is_an_agents_now_is_stopped_as_a_process(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})

    async def story() -> None:
        components = everything(stage)
        await components.start(component, PROCESS, 1, is_primary=True)
        (seen,) = await components.survey()
        assert not seen.incarnation.startswith("ocf:")
        stopped = await components.stop(component, PROCESS, at_once=False)
        assert stopped.ending is Ending.DONE
        assert stage.marked() == []
        started = await components.start(component, stage.spec(component), 2, is_primary=True)
        assert started.incarnation == "ocf:1"
        await components.stop(component, stage.spec(component), at_once=False)
        await components.close()

    run(story())


def test_what_was_an_agents_is_stopped_by_it_though_the_file_makes_a_process_of_it(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})

    async def story() -> None:
        components = everything(stage)
        await components.start(component, stage.spec(component), 1, is_primary=True)
        assert (await components.stop(component, PROCESS, at_once=False)).ending is Ending.DONE
        assert not (stage.folder("a") / "role").exists()
        assert (await components.start(component, PROCESS, 2, is_primary=True)).ending is Ending.DONE
        assert (await components.stop(component, PROCESS, at_once=True)).ending is Ending.DONE
        await components.close()

    run(story())


def test_a_daemon_of_an_agent_is_seen_once_and_never_as_a_process(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a", daemon="yes")})

    async def story() -> None:
        for _ in range(2):  # by the agent that started it, and by the next
            components = everything(stage)
            await components.start(component, stage.spec(component), 1, is_primary=True)
            (seen,) = await components.survey()
            assert seen.incarnation.startswith("ocf:")
            await components.close()
        components = everything(stage)
        (seen,) = await components.survey()
        assert seen.incarnation == "ocf:2"
        await components.stop(component, stage.spec(component), at_once=True)
        await components.close()

    run(story())


def test_the_guard_is_told_what_ends_each_kind(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})

    async def story() -> None:
        components = everything(stage)
        to_be = components.facts_to_be(component)
        assert [command[1:] for command in to_be.commands] == [("stop",)]
        assert not any(variable.startswith("HOLDFAST_COMPONENT=") for variable in to_be.variables)
        assert any(mark == f"HOLDFAST_COMPONENT={component}" for mark in to_be.marks)
        await components.start(component, stage.spec(component), 1, is_primary=True)
        running = components.facts_of(component)
        assert isinstance(running, Facts)
        assert running.commands == to_be.commands
        assert components.facts_to_be("other/a").commands == ()
        await components.stop(component, stage.spec(component), at_once=True)
        await components.close()

    run(story())
