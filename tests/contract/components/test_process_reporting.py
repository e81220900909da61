"""Reporting: what changes by itself is told once, with its evidence. Part of the contract of `ports.components`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.local import LOOK_AROUND_EVERY
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import SECOND
from tests.contract.components.stage import (
    COMPONENT,
    FOREVER,
    DyingAgent,
    Stage,
    give_up_orphans,
    pid_of,
    program,
    run,
    shell,
    staged,
    until,
)

pytestmark = pytest.mark.e2e

SLEEPER = ProcessSpec(command=FOREVER, stop_grace=5 * SECOND)


@pytest.fixture(params=["cgroups", "marks"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, use_cgroups=request.param == "cgroups") as stage:
        yield stage


def test_an_exit_is_reported_once_with_its_code_and_its_last_words(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(shell("echo first; echo cannot open the ledger >&2; exit 3"))
            how = await agent.exit()
            assert (how.code, how.signal) == (3, None)
            assert how.detail == "last output: first | cannot open the ledger"
            await agent.stop(SLEEPER)
            assert [seen[:2] for seen in agent.ears.exits] == [(COMPONENT, incarnation)]
            assert await agent.processes.survey() == ()

    run(story())


def test_an_exit_is_reported_after_its_start_was_answered(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            for _ in range(20):
                before = len(agent.ears.exits)
                incarnation = await agent.start(ProcessSpec(command=("true",)))
                assert len(agent.ears.exits) == before
                await until(lambda: len(agent.ears.exits) == before + 1)  # noqa: B023 - awaited at once
                assert agent.ears.exits[-1][1] == incarnation
                assert agent.ears.exits[-1][2].code == 0

    run(story())


def test_a_stop_reports_the_exit_too_and_once(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(SLEEPER)
            result = await agent.stop(SLEEPER)
            assert [(seen[1], seen[2]) for seen in agent.ears.exits] == [(incarnation, result.exit)]
            assert result.exit is not None
            assert result.exit.signal == "TERM"

    run(story())


def test_a_signal_is_named(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            os.kill(pid_of(await agent.start(SLEEPER)), signal.SIGSEGV)
            assert (await agent.exit()).signal == "SEGV"

    run(story())


def test_last_words_are_printable_and_bounded_and_of_this_life(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell("echo of the life before"))
            await agent.exit()
            agent.ears.exits.clear()
            noise = "head -c 100000 /dev/urandom; printf '\\033[31mred\\a\\n'; yes äää | head -c 3000"
            await agent.start(shell(noise))
            detail = (await agent.exit()).detail
            assert detail.isprintable()
            assert len(detail.encode()) <= 1024
            agent.ears.exits.clear()
            await agent.start(shell("exit 1"))
            assert (await agent.exit()).detail == ""

    run(story())


def test_a_process_stopped_by_a_signal_is_reported_and_so_is_its_going_on(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(SLEEPER)
            os.kill(pid_of(incarnation), signal.SIGSTOP)
            await until(lambda: agent.ears.stops == [(incarnation, True)])
            assert [seen.is_stopped for seen in await agent.processes.survey()] == [True]
            os.kill(pid_of(incarnation), signal.SIGCONT)
            await until(lambda: agent.ears.stops == [(incarnation, True), (incarnation, False)])
            assert agent.ears.exits == []

    run(story())


def test_a_process_with_much_memory_is_dying_before_it_is_gone(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            # Whether the timer looks while the kernel is at it is chance; more memory gives it more time.
            for mebibytes in (256, 512, 1024, 2048):
                spec = program("grow", mebibytes)
                incarnation = await agent.start(spec)
                await until(lambda: stage.output().endswith("grown\n"))
                os.kill(pid_of(incarnation), signal.SIGKILL)
                await until(lambda: bool(agent.ears.dying or agent.ears.exits))
                if agent.ears.dying:
                    assert agent.ears.dying == [incarnation]
                    await agent.exit()
                    break
                agent.ears.exits.clear()
                stage.folder.output.unlink()
            assert agent.ears.dying, "2 GiB were torn down between two looks"
            assert agent.ears.stops == []

    run(story())


def test_the_exit_of_an_adopted_process_is_reported_with_unknown_status(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            give_up_orphans()
            dying = DyingAgent(stage)
            lines = [dying.line() for _ in range(2)]
            dying.kill()
            (seen,) = await agent.processes.survey()
            assert seen.incarnation == lines[1]
            assert seen.adopted
            os.kill(pid_of(seen.incarnation), signal.SIGKILL)
            how = await agent.exit()
            assert (how.code, how.signal) == (None, None)
            assert "exit status unknown" in how.detail

    run(story())


def test_a_process_that_appears_later_is_found_by_a_later_survey(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            assert await agent.processes.survey() == ()
            async with stage.agent() as another:
                incarnation = await another.start(SLEEPER)
            surveys = [await agent.processes.survey() for _ in range(LOOK_AROUND_EVERY)]
            assert [seen.incarnation for seen in surveys[-1]] == [incarnation]

    run(story())
