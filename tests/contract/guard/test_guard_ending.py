"""A deadline that passes ends the component, all of it and nothing else, whatever the agent does. Real processes."""

import os
import select
import signal
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components import procfs
from holdfast.components.guarding import facts_to_be
from holdfast.guard.armed import Armed, ArmedSet
from holdfast.guard.facts import Facts
from holdfast.guard.remembering import Memory
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND, SECOND
from tests.contract.components.stage import (
    COMPONENT,
    FOREVER,
    Stranger,
    pid_of,
    program,
    run,
    runs,
    shell,
    staged,
    until,
)
from tests.contract.guard.watch import (
    LONG,
    GuardedAgent,
    Watch,
    gone,
    nothing_overdue,
    now,
    read_field,
    status_of,
    until_status,
    watched,
)

pytestmark = pytest.mark.e2e

OTHER = "stock/b"
SLEEPER = ProcessSpec(command=FOREVER)
SOON = 300 * MILLISECOND


@pytest.fixture(params=["cgroups", "marks"])
def watch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watch]:
    with staged(tmp_path, use_cgroups=request.param == "cgroups") as stage, watched(stage) as watch:
        yield watch


# --- the deadline passes --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_a_component_of_an_agent_that_is_frozen_or_killed_is_ended_with_all_its_daemons(
    watch: Watch, fault: signal.Signals
) -> None:
    # Who leaves the session and cleans its environment is found by its control group only.
    what = "daemonise-clean" if watch.stage.use_cgroups else "daemonise"
    agent = GuardedAgent(watch, program(what).command)
    try:
        assert agent.line() == "extended"
        run(until(lambda: "daemons away" in watch.stage.output()))
        group = watch.stage.cgroups.of(COMPONENT) if watch.stage.use_cgroups else None
        pids = watch.stage.marked() if group is None else group.pids()
        assert len(pids) >= 3, "main process, child and at least one daemon"
        agent.send(fault)
        run(gone(*pids))
        assert watch.stage.marked() == []
    finally:
        agent.end()


def test_children_that_ignore_what_can_be_ignored_end_too(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            incarnation = await agent.start(shell("trap '' TERM INT HUP; sleep 1000 & sleep 1000 & wait"))
            await until(lambda: len(watch.stage.marked()) == 3)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + SOON) is None
            await until(lambda: not watch.stage.marked())
            assert (await agent.exit()).signal == "KILL"
            (ended,) = (await until_status(guarding, lambda status: not status.armed)).ended
            assert ended.component == COMPONENT
            assert not runs(pid_of(incarnation))

    run(story())


def test_a_primary_whose_main_process_died_before_is_ended_with_what_it_left(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            incarnation = await agent.start(program("daemonise"))
            await until(lambda: "daemons away" in watch.stage.output())
            assert await guarding.arm(COMPONENT, watch.facts(), now() + SECOND) is None
            os.kill(pid_of(incarnation), signal.SIGKILL)
            await agent.exit()
            assert watch.stage.marked(), "its daemons outlive it, and may serve"
            await until(lambda: not watch.stage.marked())

    run(story())


def test_a_component_that_was_armed_before_it_was_started_is_found_by_its_mark(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            facts = facts_to_be(watch.directory, COMPONENT)
            assert await guarding.arm(COMPONENT, facts, now() + 2 * SECOND) is None
            other = pid_of(await agent.start(SLEEPER, OTHER))
            pid = pid_of(await agent.start(SLEEPER))
            await gone(pid)
            assert (await nothing_overdue(guarding)).armed == {}
            assert runs(other)

    run(story())


def test_of_two_armed_components_only_the_one_past_its_deadline_is_ended(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            first = pid_of(await agent.start(SLEEPER))
            facts = watch.facts()
            other = pid_of(await agent.start(SLEEPER, OTHER))
            other_facts = watch.facts(OTHER)
            assert await guarding.arm(OTHER, other_facts, now() + LONG) is None
            assert await guarding.arm(COMPONENT, facts, now() + SOON) is None
            await gone(first)
            assert set((await nothing_overdue(guarding)).armed) == {OTHER}
            assert runs(other)

    run(story())


def test_what_is_started_once_the_guard_has_ended_the_last_life_lives(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            assert await guarding.until_ended(COMPONENT, 20 * SECOND) == "", "it was never armed"
            first = pid_of(await agent.start(SLEEPER))
            assert await guarding.arm(COMPONENT, watch.facts(), now() + SOON) is None
            assert await guarding.until_ended(COMPONENT, 20 * SECOND) == "", "its deadline has not passed"
            assert runs(first)
            await gone(first)
            assert await guarding.until_ended(COMPONENT, 20 * SECOND) == ""
            assert COMPONENT not in (await status_of(guarding)).armed
            second = pid_of(await agent.start(SLEEPER))
            await guarding.until_ended(COMPONENT, 20 * SECOND)
            assert len((await status_of(guarding)).ended) == 1
            assert runs(second)

    run(story())


def test_that_the_guard_has_not_ended_a_life_yet_is_told_after_a_while(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            await agent.start(SLEEPER)
            true = watch.facts()
            slow = Facts(true.pid, true.ticks, true.boot, true.marks, true.cgroup, (("/bin/sleep", "1000"),))
            assert await guarding.arm(COMPONENT, slow, now() + SOON) is None
            await until(lambda: not watch.stage.marked())
            assert "still ends" in await guarding.until_ended(COMPONENT, 100 * MILLISECOND)

    run(story())


# --- the deadline does not pass -------------------------------------------------------------------------


def test_a_component_whose_deadline_was_moved_in_time_lives(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            pid = pid_of(await agent.start(SLEEPER))
            first = now() + 2 * SECOND
            assert await guarding.arm(COMPONENT, watch.facts(), first) is None
            assert await guarding.extend({COMPONENT: now() + LONG}) == {}
            await until(lambda: now() > first + SOON)
            assert runs(pid)

    run(story())


def test_a_component_that_was_disarmed_lives(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            pid = pid_of(await agent.start(SLEEPER))
            deadline = now() + 2 * SECOND
            assert await guarding.arm(COMPONENT, watch.facts(), deadline) is None
            assert await guarding.disarm(COMPONENT) is None
            await until(lambda: now() > deadline + SOON)
            assert runs(pid)
            assert (await status_of(guarding)).armed == {}

    run(story())


def test_a_deadline_that_has_passed_when_it_is_armed_is_refused_and_nobody_is_ended(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            pid = pid_of(await agent.start(SLEEPER))
            refused = await guarding.arm(COMPONENT, watch.facts(), now() - MILLISECOND)
            assert refused is not None
            assert "has passed" in refused
            assert (await status_of(guarding)).armed == {}
            assert runs(pid)

    run(story())


def test_a_process_that_does_not_run_cannot_be_armed(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            true = watch.facts()
            for facts in (
                Facts(true.pid, true.ticks + 1, true.boot, true.marks),
                Facts(true.pid, true.ticks, "another boot", true.marks),
            ):
                assert await guarding.arm(COMPONENT, facts, now() + LONG) is not None
            assert (await status_of(guarding)).armed == {}

    run(story())


def test_a_process_that_was_given_the_pid_of_a_component_is_never_killed(watch: Watch) -> None:
    stranger = Stranger()

    async def story() -> None:
        pid, ticks = stranger.identity
        facts = Facts(
            pid, ticks - 1, procfs.boot_id(), ("HOLDFAST_INSTANCE=none", f"HOLDFAST_COMPONENT={COMPONENT}")
        )
        async with watch.guarding() as guarding:
            await status_of(guarding)
        _remember(watch, facts)
        async with watch.guarding() as guarding:
            (ended,) = (await until_status(guarding, lambda status: not status.armed)).ended
            assert ended.component == COMPONENT, "nothing of it runs, so it counts as ended"

    try:
        run(story())
    finally:
        assert stranger.end(), "the stranger was killed"


def _remember(watch: Watch, facts: Facts) -> None:
    """Let the next guard find `facts`, armed and past their deadline."""
    for pid in watch.guards():
        os.kill(pid, signal.SIGKILL)
    memory = Memory.take(str(watch.directory), is_patient=True)
    assert memory is not None
    armed = ArmedSet()
    armed.components[COMPONENT] = Armed(facts, now())
    assert memory.keep(armed, facts.boot) == ""
    memory.close()


# --- how late -------------------------------------------------------------------------------------------


def test_the_guard_acts_within_milliseconds(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    late: list[float] = []

    async def story() -> int:
        async with watch.guarding() as guarding:
            for _ in range(20):
                await status_of(guarding)
                stranger = Stranger()
                facts = Facts(stranger.identity.pid, stranger.identity.ticks, procfs.boot_id())
                deadline = now() + 200 * MILLISECOND
                assert await guarding.arm(COMPONENT, facts, deadline) is None
                late.append((_await_end(facts.pid) - deadline) / MILLISECOND)
                assert not stranger.end()
                await nothing_overdue(guarding)
            return read_field((await status_of(guarding)).guard.pid, "VmRSS")

    resident = run(story()) / 1024
    with capsys.disabled():
        sys.stdout.write(
            f"\nguard: ends {statistics.median(late):.1f} ms after the deadline (median of {len(late)}; worst"
            f" {max(late):.1f} ms); {resident:.1f} MiB resident\n"
        )
    assert statistics.median(late) < 1000  # generous: others use this machine
    assert resident < 32


def _await_end(pid: int) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        assert waiting.poll(20_000)
        return now()
    finally:
        os.close(pidfd)
