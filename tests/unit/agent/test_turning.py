# ruff: noqa: ASYNC110 - what is awaited is a condition of the code under test

import asyncio

from holdfast.agent import clock
from holdfast.agent.log import Line
from holdfast.agent.recalling import recall
from holdfast.agent.reloading import policy_changed
from holdfast.agent.turning import Turned, Turning
from holdfast.model.events import (
    AgentStarted,
    Exit,
    PauseRequested,
    ProcessExited,
    Surveyed,
    SwitchoverRequested,
    Ticked,
)
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import SECOND
from tests.unit.agent.rehearsal import RememberedTurns, policy


def fresh() -> tuple[Turning, RememberedTurns, list[Turned]]:
    journal = RememberedTurns()
    turning = Turning(State(policy=Policy("rehearsal", {})), journal)
    seen: list[Turned] = []
    turning.follow(seen.append)
    return turning, journal, seen


def test_every_turn_is_remembered_and_told_in_order() -> None:
    async def scene() -> None:
        turning, journal, seen = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        turning.turn(Surveyed(clock.now(), ()))
        assert [turned.event for turned in seen] == [turn.event for turn in journal.kept]
        assert seen[0].after is seen[1].before
        assert [type(decision).__name__ for decision in seen[2].decisions] == ["Start", "Start"]

    asyncio.run(scene())


def test_what_is_no_news_makes_no_turn() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        turning.turn(Surveyed(clock.now(), ()))
        count = len(journal.kept)
        for _ in range(10):
            turning.turn(Surveyed(clock.now(), ()))
        assert len(journal.kept) == count

    asyncio.run(scene())


def test_loop_ticks_by_itself_and_says_that_it_lives() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        idle = asyncio.Event()
        turning.when_idle(idle.set)
        task = asyncio.create_task(turning.run())
        async with asyncio.timeout(10):
            await idle.wait()
            while sum(isinstance(turn.event, Ticked) for turn in journal.kept) < 2:
                await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(scene())


def test_refused_command_becomes_no_event() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        count = len(journal.kept)
        reasons, decisions = turning.request(SwitchoverRequested("web", "web-2", "ann"))
        assert reasons
        assert decisions == ()
        assert len(journal.kept) == count
        reasons, _ = turning.request(PauseRequested("web", clock.now() + SECOND, "ann", "why"))
        assert reasons == ()
        assert turning.state.services["web"].pause is not None

    asyncio.run(scene())


def test_command_is_turned_after_what_was_there_before_it() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        turning.put(AgentStarted("boot", "1", 0, 1))
        turning.put(policy_changed(policy()))
        turning.request(PauseRequested("web", clock.now() + SECOND, "ann", "why"))
        assert [type(turn.event).__name__ for turn in journal.kept] == [
            "AgentStarted",
            "PolicyChanged",
            "PauseRequested",
        ]

    asyncio.run(scene())


def test_storm_of_events_leaves_the_loop_to_others_too() -> None:
    async def scene() -> None:
        turning, _, _ = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        for number in range(20_000):
            turning.put(ProcessExited("web/web-1", f"{number}:1", Exit()))
        task = asyncio.create_task(turning.run())
        rounds = 0
        async with asyncio.timeout(60):
            while turning._events:
                await asyncio.sleep(0)
                rounds += 1
        assert rounds > 3
        task.cancel()

    asyncio.run(scene())


def test_new_agent_recalls_the_same_state_from_the_same_turns() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        turning.turn(Surveyed(clock.now(), ()))
        lines: list[Line] = []
        assert recall(journal, "rehearsal", lines.append) == turning.state
        assert lines == []

    asyncio.run(scene())


def test_turn_that_cannot_be_played_again_is_said_and_the_state_before_it_is_used() -> None:
    async def scene() -> None:
        turning, journal, _ = fresh()
        turning.turn(AgentStarted("boot", "1", 0, 1))
        turning.turn(policy_changed(policy()))
        before = turning.state
        broken: list[object] = list(journal.kept)
        broken.append(journal.kept[0].__class__(3, "not an instant", Ticked(), ()))  # type: ignore[arg-type]
        journal.kept = broken  # type: ignore[assignment]
        lines: list[Line] = []
        assert recall(journal, "rehearsal", lines.append).services.keys() == before.services.keys()
        assert len(lines) == 1

    asyncio.run(scene())
