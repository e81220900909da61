"""A world for the agent's unit tests: processes and a balancer that do what they are told, in memory."""

# ruff: noqa: ARG002 - a method of a port takes what the port says

import asyncio
from collections.abc import Callable, Iterator

from holdfast.agent.reloading import policy_changed
from holdfast.loop.reconcile import reconcile
from holdfast.model.decisions import Decision
from holdfast.model.events import AgentStarted, Ending, Event, Exit, ProcessSeen, Surveyed
from holdfast.model.ids import ComponentId, Epoch, ServiceName
from holdfast.model.incidents import Incident
from holdfast.model.policy import (
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Purpose,
    ServicePolicy,
)
from holdfast.model.routing import Routing
from holdfast.model.state import State
from holdfast.model.time import SECOND, Instant
from holdfast.ports.components import ComponentListener, Result
from holdfast.ports.journal import Memory, Turn
from holdfast.ports.traffic import ServiceTraffic


class RememberedTurns:
    """A journal in memory."""

    def __init__(self) -> None:
        self.kept: list[Turn] = []
        self.snapshot: State | None = None

    def append(
        self, at: Instant, event: Event, decisions: tuple[Decision, ...], before: State, after: State
    ) -> None:
        self.snapshot = self.snapshot or before
        self.kept.append(Turn(len(self.kept) + 1, at, event, decisions))

    def flush(self) -> None: ...

    def recall(self) -> Memory | None:
        return None if self.snapshot is None else Memory(self.snapshot, tuple(self.kept))

    def turns(self, *, after: int = 0) -> Iterator[Turn]:
        return iter(self.kept[after:])

    def incidents(self, *, limit: int = 50) -> tuple[Incident, ...]:
        return ()

    def close(self) -> None: ...


class ObedientProcesses:
    """Processes that start and stop at once, unless `answers` says otherwise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ComponentId]] = []
        self.under_way = 0
        self.under_way_max = 0
        self.epochs: list[Epoch] = []
        self.primaries: set[ComponentId] = set()
        self.gate: asyncio.Event | None = None  # when set, calls wait for it
        self.lets_go: asyncio.Event | None = None  # when set, a call that is cancelled ends no sooner
        self.raises: Exception | None = None
        self._next = 100

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,
        not_after: int | None = None,
    ) -> Result:
        assert not_after is not None
        self.epochs.append(epoch)
        if is_primary:
            self.primaries.add(component)
        self._next += 1
        return await self._call("start", component, Result(Ending.DONE, incarnation=f"{self._next}:1"))

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        return await self._call("stop", component, Result(Ending.DONE, exit=Exit(code=0)))

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        self.epochs.append(epoch)
        return await self._call("promote", component, Result(Ending.DONE))

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        return await self._call("demote", component, Result(Ending.DONE))

    async def survey(self) -> tuple[ProcessSeen, ...]:
        return ()

    def watch(self, listener: ComponentListener) -> None: ...

    async def close(self) -> None: ...

    async def _call(self, word: str, component: ComponentId, result: Result) -> Result:
        self.calls.append((word, component))
        self.under_way += 1
        self.under_way_max = max(self.under_way, self.under_way_max)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.raises is not None:
                raise self.raises
        except asyncio.CancelledError:
            if self.lets_go is not None:
                await self.lets_go.wait()
            raise
        finally:
            self.under_way -= 1
        return result


class ObedientBalancer:
    """A balancer that confirms everything."""

    def __init__(self) -> None:
        self.routed: dict[ServiceName, Routing] = {}
        self.refuses = ""
        self.policies: list[Policy] = []
        self.gate: asyncio.Event | None = None  # when set, a configuration waits for it

    async def configure(self, policy: Policy) -> Result:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuses:
            return Result(Ending.FAILED, self.refuses)
        self.policies.append(policy)
        return Result(Ending.DONE)

    async def route(self, service: ServiceName, routing: Routing) -> Result:
        self.routed[service] = routing
        return Result(Ending.DONE)

    async def look(self) -> tuple[ServiceTraffic, ...] | None:
        return ()

    def watch(self, on_change: Callable[[], None]) -> None: ...

    async def release(self) -> None: ...

    async def close(self) -> None: ...


def policy(mode: Mode = Mode.ACTIVE_STANDBY, members: int = 2, name: str = "web") -> Policy:
    """Return a policy of one service with members `NAME-1` and on, each with one probe."""
    probe = ProbePolicy("alive", Purpose.LIVENESS, HttpCheck("127.0.0.1", 1))
    services = {
        name: ServicePolicy(
            name,
            mode,
            tuple(
                MemberPolicy(f"{name}-{number}", ProcessSpec(("run", str(number))), (probe,))
                for number in range(1, members + 1)
            ),
        )
    }
    return Policy("rehearsal", services, revision="r1")


def play(state: State, *events: Event, at: Instant = SECOND) -> State:
    """Return the state after the events, all at one instant."""
    for event in events:
        state, _ = reconcile(state, event, at)
    return state


def running(given: Policy, *, at: Instant = SECOND) -> State:
    """Return the state in which every component was found running, as life `100:1`, `101:1` and on."""
    fresh = State(policy=Policy(given.system, {}))
    components = [id_ for service in given.services.values() for id_ in service.components]
    changed = policy_changed(given)
    seen = tuple(
        ProcessSeen(id_, f"{100 + number}:1", run_digest=changed.run_digests[id_])
        for number, id_ in enumerate(components)
    )
    configured = play(fresh, AgentStarted("boot", "1", 0, 1), changed, at=at)
    return play(configured, Surveyed(at + 1, seen), at=at + 2)
