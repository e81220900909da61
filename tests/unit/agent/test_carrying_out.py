# ruff: noqa: ASYNC110 - what is awaited is a condition of the code under test

import asyncio
from pathlib import Path

from holdfast.agent import clock
from holdfast.agent.carrying_out import CarryingOut
from holdfast.agent.epochs import EpochBook
from holdfast.agent.log import Line
from holdfast.agent.turning import Turned
from holdfast.model.decisions import Decision, Demote, Promote, Route, Start, Stop
from holdfast.model.events import Ending, Event, Finished, Ticked
from holdfast.model.ids import ComponentId, Epoch
from holdfast.model.policy import Mode, ProcessSpec
from holdfast.model.postgresql import PostgresServer
from holdfast.model.routing import Lane, Routing
from holdfast.model.state import State
from holdfast.model.time import HOUR, SECOND, Instant
from holdfast.model.value import replace
from holdfast.ports.components import Result
from tests.unit.agent.rehearsal import ObedientBalancer, ObedientProcesses, policy


class Stage:
    """One CarryingOut over an obedient world."""

    def __init__(self, folder: Path, mode: Mode = Mode.ACTIVE_STANDBY) -> None:
        self.processes = ObedientProcesses()
        self.balancer = ObedientBalancer()
        self.book = EpochBook(folder / "epochs.json")
        self.events: list[Event] = []
        self.lines: list[Line] = []
        self.state = State(policy=policy(mode))
        self.carrying_out = CarryingOut(
            self.processes, self.balancer, self.book, self.events.append, self.lines.append
        )

    def decide(self, *decisions: Decision) -> None:
        self.carrying_out(Turned(1, Ticked(), decisions, self.state, self.state))

    async def finished(self, count: int) -> list[Finished]:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                await asyncio.sleep(0)
        return [event for event in self.events if isinstance(event, Finished)]


def test_each_decision_ends_as_one_finished(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        routing = Routing("web-1", {"web-1": Lane.IN})
        stage.decide(Start("web/web-1", 0, 0, "w", id=1), Route("web", routing, "w", id=2))
        finished = {event.decision: event for event in await stage.finished(2)}
        assert finished[1] == Finished(1, Ending.DONE, incarnation="101:1")
        assert finished[2] == Finished(2, Ending.DONE)
        assert stage.balancer.routed == {"web": routing}

    asyncio.run(scene())


def test_what_one_switchover_gives_to_open_transactions_counts_for_its_demotion_alone(tmp_path: Path) -> None:
    class Heard(ObedientProcesses):
        """Processes that keep how long each demotion was to wait."""

        def __init__(self) -> None:
            super().__init__()
            self.waits: list[int] = []

        async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
            assert isinstance(spec.managed, PostgresServer)
            self.waits.append(spec.managed.open_within)
            return await super().demote(component, spec)

    async def scene() -> None:
        stage, heard = Stage(tmp_path), Heard()
        server = ProcessSpec((), managed=PostgresServer("/data", "/bin", open_within=4 * SECOND))
        services = stage.state.policy.services
        members = tuple(replace(member, run=server) for member in services["web"].members)
        policy = replace(stage.state.policy, services={"web": replace(services["web"], members=members)})
        stage.state = replace(stage.state, policy=policy)
        stage.carrying_out = CarryingOut(
            heard, stage.balancer, stage.book, stage.events.append, stage.lines.append
        )
        for number, within in enumerate((None, 30 * SECOND, 0, None), 1):
            stage.decide(Demote("web/web-1", "w", id=number, open_within=within))
            await stage.finished(number)
        assert heard.waits == [4 * SECOND, 30 * SECOND, 0, 4 * SECOND]

    asyncio.run(scene())


def test_epoch_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.processes.gate = asyncio.Event()
        stage.decide(Promote("web/web-1", 5, "w", id=1))
        async with asyncio.timeout(10):
            while not stage.processes.calls:
                await asyncio.sleep(0)
        assert EpochBook(tmp_path / "epochs.json").covers("web", 5)
        stage.processes.gate.set()
        await stage.finished(1)

    asyncio.run(scene())


def test_epoch_that_cannot_be_put_on_disk_is_not_used(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        (tmp_path / "epochs.new").mkdir()  # where the book would be written
        stage.decide(Promote("web/web-1", 5, "w", id=1), Stop("web/web-2", at_once=False, why="w", id=2))
        finished = {event.decision: event for event in await stage.finished(2)}
        assert finished[1].ending is Ending.FAILED
        assert "cannot be put on disk" in finished[1].error
        assert finished[2].ending is Ending.DONE
        assert stage.processes.epochs == []

    asyncio.run(scene())


def test_singleton_is_primary_from_its_start_and_no_other_is(tmp_path: Path) -> None:
    async def scene(mode: Mode) -> set[str]:
        stage = Stage(tmp_path, mode)
        stage.decide(Start("web/web-1", 1, 0, "w", id=1))
        await stage.finished(1)
        return stage.processes.primaries

    assert asyncio.run(scene(Mode.SINGLETON)) == {"web/web-1"}
    assert asyncio.run(scene(Mode.ACTIVE_STANDBY)) == set()
    assert asyncio.run(scene(Mode.ACTIVE_ACTIVE)) == set()


def test_later_decision_about_the_same_component_ends_the_earlier_call_first(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.processes.gate = asyncio.Event()
        stage.decide(Start("web/web-1", 0, 0, "w", id=1))
        async with asyncio.timeout(10):
            while not stage.processes.calls:
                await asyncio.sleep(0)
        stage.decide(Stop("web/web-1", at_once=True, why="w", id=2))
        async with asyncio.timeout(10):
            while len(stage.processes.calls) < 2:
                await asyncio.sleep(0)
        stage.processes.gate.set()
        endings = {event.decision: event.ending for event in await stage.finished(2)}
        assert endings == {1: Ending.UNKNOWN, 2: Ending.DONE}
        assert stage.processes.under_way_max == 1

    asyncio.run(scene())


def test_a_third_decision_waits_for_the_first_too(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.processes.gate = asyncio.Event()
        stage.processes.lets_go = asyncio.Event()  # such as a thread that waits for a disk
        stage.decide(Start("web/web-1", 0, 0, "w", id=1))
        await settle()
        stage.decide(Stop("web/web-1", at_once=False, why="w", id=2))
        await settle()
        stage.decide(Stop("web/web-1", at_once=True, why="w", id=3))
        await settle()
        stage.processes.gate.set()
        await settle()
        assert stage.processes.calls == [("start", "web/web-1")]
        stage.processes.lets_go.set()
        endings = {event.decision: event.ending for event in await stage.finished(2)}
        assert endings == {1: Ending.UNKNOWN, 3: Ending.DONE}
        assert stage.processes.under_way_max == 1

    async def settle() -> None:
        for _ in range(20):  # nothing but turns of the loop is waited for
            await asyncio.sleep(0)

    asyncio.run(scene())


def test_fault_of_ours_in_an_adapter_is_logged_and_ends_as_unknown(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.processes.raises = KeyError("oops")
        stage.decide(Stop("web/web-1", at_once=False, why="w", id=1))
        (finished,) = await stage.finished(1)
        assert finished.ending is Ending.UNKNOWN
        assert "fault in holdfast: KeyError('oops')" in finished.error
        assert stage.lines[0].word == "fault"
        assert "_call" in stage.lines[0].text

    asyncio.run(scene())


def test_component_that_left_the_file_can_still_be_stopped(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.decide(Stop("gone/gone-1", at_once=False, why="w", id=1))
        (finished,) = await stage.finished(1)
        assert finished.ending is Ending.DONE

    asyncio.run(scene())


def test_closing_lets_go_of_what_takes_too_long(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.processes.gate = asyncio.Event()
        stage.decide(Stop("web/web-1", at_once=False, why="w", id=1))
        async with asyncio.timeout(10):
            await stage.carrying_out.close(0.05)
        assert stage.processes.under_way == 0

    asyncio.run(scene())


class Guard:
    """A guard that permits all, and still ends a last life for as long as it says so."""

    def __init__(self) -> None:
        self.ends = "its last deadline passed"

    async def permit(self, component: ComponentId, epoch: Epoch) -> tuple[str, Instant]:  # noqa: ARG002 - as a guard
        return "", clock.now() + HOUR

    async def until_ended(self, component: ComponentId) -> str:  # noqa: ARG002 - as a guard
        return self.ends

    async def began(self, component: ComponentId) -> None:
        """Learn nothing of it."""


def test_what_is_leased_is_not_started_while_its_last_life_is_ended_by_the_guard(tmp_path: Path) -> None:
    async def scene(*, is_leased: bool) -> tuple[list[Finished], list[str]]:
        stage, guard = Stage(tmp_path), Guard()
        services = {
            name: replace(each, is_leased=is_leased) for name, each in stage.state.policy.services.items()
        }
        stage.state = replace(stage.state, policy=replace(stage.state.policy, services=services))
        stage.carrying_out.permits = guard
        stage.decide(Start("web/web-1", 0, 0, "w", id=1))
        await stage.finished(1)
        guard.ends = ""
        stage.decide(Start("web/web-1", 0, 0, "w", id=2))
        return await stage.finished(2), [name for name, _ in stage.processes.calls]

    (first, second), calls = asyncio.run(scene(is_leased=True))
    assert (first.ending, first.is_unbegun) == (Ending.FAILED, True)  # it spends no budget
    assert second.ending is Ending.DONE
    assert calls == ["start"]
    (first, _), calls = asyncio.run(scene(is_leased=False))
    assert first.ending is Ending.DONE
    assert calls == ["start", "start"]
