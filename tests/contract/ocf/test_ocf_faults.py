"""Agents that hang, lie and fail: what is answered then is what is so, and nothing of them stays."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.model.events import Ending
from holdfast.model.policy import Mode, OcfAgent
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.contract.components.stage import run, until
from tests.contract.ocf.stage import OcfStage, ocf_staged

pytestmark = pytest.mark.e2e


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OcfStage]:
    with ocf_staged(tmp_path) as stage:
        yield stage


def hasty(stage: OcfStage, name: str) -> OcfAgent:
    """Return the agent of the tests with a second for each action."""
    times = dict.fromkeys(("monitor_timeout", "start_timeout", "stop_timeout", "promote_timeout"), SECOND)
    return replace(stage.odd(name), **times)


# --- hanging ----------------------------------------------------------------------------------------------


def test_a_start_that_hangs_is_killed_with_its_children_and_has_failed(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": hasty(stage, "a")})
    stage.behave("a", "start", "sleep 1000 & sleep 1000")

    async def story() -> None:
        async with stage.agent() as hold:
            result = await hold.tried(component)
            assert result.ending is Ending.FAILED, (
                "what was begun was ended, so it is certain that it does not run"
            )
            assert result.error == "start: did not end within 1s (timeouts.start), and was killed"
            assert stage.marked() == []
            assert await hold.agents.survey() == ()

    run(story())


def test_a_monitor_that_hangs_has_failed(stage: OcfStage) -> None:
    (component,) = stage.add(
        "orders", Mode.SINGLETON, {"a": replace(hasty(stage, "a"), monitor_every=SECOND)}
    )

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            stage.behave("a", "monitor", "sleep 1000")
            await until(lambda: bool(hold.ears.exits))
            ((_, _, how),) = hold.ears.exits
            assert how.code is None
            assert how.detail == "monitor: did not end within 1s (monitor.timeout), and was killed"
            stage.behave("a", "monitor", None)
            assert (await hold.stop(component)).ending is Ending.DONE

    run(story())


def test_a_stop_does_not_wait_for_a_monitor_that_hangs(stage: OcfStage) -> None:
    agent = replace(stage.odd("a"), monitor_every=SECOND, monitor_timeout=600 * SECOND)
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": agent})

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            stage.behave(
                "a",
                "monitor",
                'if [ "$OCF_RESKEY_CRM_meta_interval" = 1000 ] && [ -f "$folder/role" ]; then sleep 1000; fi',
            )
            asked = len(stage.calls("a"))
            await until(lambda: len(stage.calls("a")) > asked)
            began = time.monotonic()
            assert (await hold.stop(component, at_once=True)).ending is Ending.DONE
            assert time.monotonic() - began < 60

    run(story())


def test_a_stop_that_hangs_is_tried_again_once_its_processes_are_gone(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": hasty(stage, "a")})
    stage.behave("a", "stop", 'if [ ! -f "$folder/hung" ]; then touch "$folder/hung"; sleep 1000; fi')

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            assert (await hold.stop(component)).ending is Ending.DONE
        assert stage.calls("a").count("stop") == 2

    run(story())


# --- failing and lying ------------------------------------------------------------------------------------


def test_a_start_that_fails_says_why_and_is_cleaned_up(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})
    stage.behave("a", "start", 'echo noise >&2; echo "ocf-exit-reason:port 80 is taken" >&2; exit 1')

    async def story() -> None:
        async with stage.agent() as hold:
            result = await hold.tried(component)
            assert result.ending is Ending.FAILED
            assert result.error == "start: failed (exit code 1); the agent says: port 80 is taken"
        assert "noise" in stage.output(component)
        assert stage.calls("a") == ["start", "stop", "monitor"]

    run(story())


def test_a_start_that_only_says_so_has_failed(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})
    stage.behave("a", "start", "exit 0")

    async def story() -> None:
        async with stage.agent() as hold:
            result = await hold.tried(component)
            assert (result.ending, result.error) == (Ending.FAILED, "monitor: not running (exit code 7)")

    run(story())


def test_a_stop_that_only_says_so_is_not_believed(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": stage.odd("a")})
    stage.behave("a", "stop", "exit 0")

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            result = await hold.stop(component)
            assert (result.ending, result.error) == (Ending.UNKNOWN, "monitor: ok (exit code 0)")
            (seen,) = await hold.agents.survey()
            assert seen.component == component, "it runs, and is looked after as before"
            refused = await hold.tried(component)
            assert refused.ending is Ending.FAILED
            assert refused.error.startswith("not started beside its last life")
            stage.behave("a", "stop", None)
            assert (await hold.stop(component)).ending is Ending.DONE

    run(story())


def test_a_promotion_that_only_says_so_has_failed(stage: OcfStage) -> None:
    (component,) = stage.add(
        "orders", Mode.ACTIVE_STANDBY, {"a": replace(stage.odd("a"), is_promotable=True)}
    )
    stage.behave("a", "promote", "exit 0")

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            result = await hold.promote(component, 2)
            assert result.ending is Ending.FAILED
            assert result.error == "promote ended well, and yet monitor: ok (exit code 0)"
            (seen,) = await hold.agents.survey()
            assert not seen.is_primary, "the monitor says what is so"

    run(story())


def test_an_agent_that_is_not_installed_is_named(stage: OcfStage) -> None:
    (component,) = stage.add("orders", Mode.SINGLETON, {"a": OcfAgent("holdfast:nowhere")})

    async def story() -> None:
        async with stage.agent() as hold:
            assert await hold.agents.survey() == ()
            result = await hold.tried(component)
            assert result.ending is Ending.FAILED
            assert "/holdfast/nowhere does not exist" in result.error
            assert (await hold.stop(component)).ending is Ending.DONE

    run(story())


# --- roles ------------------------------------------------------------------------------------------------


def pair(stage: OcfStage) -> tuple[str, str]:
    """Name two members of one service on this host, of an agent that knows roles."""
    agents = {name: replace(stage.odd(name), is_promotable=True) for name in ("a", "b")}
    first, second = stage.add("orders", Mode.ACTIVE_STANDBY, agents)
    return first, second


def test_roles_are_as_the_monitor_sees_them_whoever_changed_them(stage: OcfStage) -> None:
    first, second = pair(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            assert (await hold.promote(first, 2)).ending is Ending.DONE
            roles = {seen.component: seen.is_primary for seen in await hold.agents.survey()}
            assert roles == {first: True, second: False}
        (stage.folder("b") / "role").write_text("primary\n")
        async with stage.agent() as following:
            roles = {seen.component: seen.is_primary for seen in await following.agents.survey()}
            assert roles == {first: True, second: True}
            assert (await following.demote(second)).ending is Ending.DONE
            assert (await following.promote(first, 1)).error == f"epoch 1 is over: {first} is at epoch 2"

    run(story())


@pytest.mark.parametrize("end", ["exit 9", "exit 1", "sleep 1000"])
def test_nobody_is_promoted_beside_a_primary_that_failed_and_was_not_ended(stage: OcfStage, end: str) -> None:
    agents = {name: replace(hasty(stage, name), is_promotable=True) for name in ("a", "b")}
    first, second = stage.add("orders", Mode.ACTIVE_STANDBY, agents)

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            await hold.promote(first, 2)
            stage.behave("a", "monitor", f'if [ -f "$folder/role" ]; then {end}; fi')
            hold.agents._resources[first].wanted_now.set()
            await until(lambda: bool(hold.ears.exits))
            refused = await hold.promote(second, 3)
            assert refused.error == f"{first} failed, is not ended yet, and may still be primary"
            assert (await hold.stop(first, at_once=True)).ending is Ending.DONE
            assert (await hold.promote(second, 3)).ending is Ending.DONE

    run(story())


def test_a_primary_is_demoted_before_it_is_stopped_and_everybody_is_told(stage: OcfStage) -> None:
    first, second = pair(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            await hold.promote(first, 2)
            assert (await hold.stop(first)).ending is Ending.DONE
            await until(lambda: "post-stop" in _told(stage, "b"))
        changes = ("promote", "demote", "stop")
        assert _told(stage, "b") == [
            "post-start",
            *(f"{kind}-{change}" for change in changes for kind in ("pre", "post")),
        ]
        actions = [call for call in stage.calls("a") if call not in ("monitor", "notify")]
        assert actions == ["start", "promote", "demote", "stop"]

    run(story())


def test_a_promotion_waits_for_no_notice_that_hangs(stage: OcfStage) -> None:
    first, second = pair(stage)
    stage.behave("a", "notify", "case $OCF_RESKEY_CRM_meta_notify_type in post) sleep 1000 ;; esac")
    stage.behave("b", "notify", "case $OCF_RESKEY_CRM_meta_notify_type in post) sleep 1000 ;; esac")

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            # `TIMES` would end the notices after twenty seconds, and the test by its own limit.
            async with asyncio.timeout(15):
                assert (await hold.promote(first, 2)).ending is Ending.DONE
                assert (await hold.demote(first)).ending is Ending.DONE
                assert (await hold.promote(second, 3)).ending is Ending.DONE

    run(story())


def test_one_whose_stop_was_given_up_before_it_began_is_looked_at_as_before(stage: OcfStage) -> None:
    agents = {name: replace(stage.odd(name), is_promotable=True, monitor_every=SECOND) for name in ("a", "b")}
    first, second = stage.add("orders", Mode.ACTIVE_STANDBY, agents)
    stage.behave("b", "promote", "sleep 1000")

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            promoting = asyncio.create_task(hold.promote(second, 2))
            await until(lambda: any(line.startswith("promote ") for line in stage.lines("b")))
            stopping = asyncio.create_task(hold.stop(first))
            await until(lambda: first not in hold.agents._looks)  # it waits for the other one's turn to end
            for given_up in (stopping, promoting):
                given_up.cancel()
                await asyncio.wait([given_up])
            stage.behave("a", "monitor", "exit 7")
            await until(lambda: any(component == first for component, *_ in hold.ears.exits))

    run(story())


def _told(stage: OcfStage, name: str) -> list[str]:
    return [line.rpartition(" ")[2] for line in stage.lines(name) if line.startswith("notify")]


def test_two_members_that_change_at_once_do_not_wait_for_each_other_for_ever(stage: OcfStage) -> None:
    first, second = pair(stage)

    async def story() -> None:
        async with stage.agent() as hold:
            await asyncio.gather(hold.start(first), hold.start(second))
            await asyncio.gather(hold.promote(first, 2), hold.stop(second), hold.stop(first))
            assert await hold.agents.survey() == ()

    run(story())
