"""Carrying out: each decision becomes one call of an adapter, in a task of its own, and ends as one `Finished`.

What the world does wrong comes back as a Result. An exception from an adapter is a fault of ours: it is logged with
its trace and the decision ends as UNKNOWN, so the core looks at the world again instead of believing anything.

The core never has two decisions about one subject under way. When a second one comes, it gave the first one up:
that one is cancelled and waited for, so that two calls about one component never overlap.
"""

import asyncio
import traceback
from collections.abc import Callable
from typing import Protocol, assert_never

from holdfast.agent.epochs import EpochBook
from holdfast.agent.log import Level, Line
from holdfast.agent.turning import Turned
from holdfast.components.settling import settled
from holdfast.loop.commit import LATE_BY
from holdfast.model.decisions import Decision, Demote, Promote, Route, Start, Stop, name_of, subject_of
from holdfast.model.events import Ending, Event, Finished
from holdfast.model.ids import ComponentId, Epoch, component_id, service_of
from holdfast.model.policy import Mode, Policy, ProcessSpec
from holdfast.model.postgresql import PostgresServer
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.ports.components import Components, Result
from holdfast.ports.traffic import Traffic

# The core gives a start up after `commit.LATE_BY`; one that is slower must not run its program after all.
START_WITHIN = LATE_BY - SECOND


class Permits(Protocol):
    """Who has to allow that a member serves under a lease, last thing before it begins to."""

    async def permit(self, component: ComponentId, epoch: Epoch) -> tuple[str, Instant]:
        """Return why it must not; or nothing, and until when it may begin."""

    async def until_ended(self, component: ComponentId) -> str:
        """Await that nobody ends its last life any more, and would end its next one too; return why that goes on."""

    async def began(self, component: ComponentId) -> None:
        """Learn that it runs."""


Say = Callable[[Line], None]
Put = Callable[[Event], None]


class CarryingOut:
    """What is being carried out, by subject."""

    def __init__(
        self, components: Components, traffic: Traffic, epochs: EpochBook, put: Put, say: Say
    ) -> None:
        self.permits: Permits | None = None  # None: one host, nothing is leased
        self._components = components
        self._traffic = traffic
        self._epochs = epochs
        self._put = put
        self._say = say
        self._specs: dict[
            ComponentId, ProcessSpec
        ] = {}  # those the file no longer names stay: they must be stopped
        self._modes: dict[str, Mode] = {}
        self._leased: set[str] = set()
        self._known: Policy | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._book = asyncio.Lock()

    def __call__(self, turned: Turned) -> None:
        """Begin what this turn decided."""
        self._learn(turned.after.policy)
        for decision in turned.decisions:
            subject = subject_of(decision)
            call = self._end(decision, self._tasks.get(subject), turned.at + START_WITHIN)
            task = asyncio.create_task(call, name=f"{name_of(decision)} {subject}")
            self._tasks[subject] = task
            task.add_done_callback(self._forget)

    async def close(self, within_s: float) -> None:
        """Let what is under way end, for a bounded time; then let go of it."""
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _end(self, decision: Decision, earlier: asyncio.Task[None] | None, not_after: Instant) -> None:
        if earlier is not None and not earlier.done():
            await _give_up(earlier)
        try:
            result = await self._call(decision, not_after)
        except asyncio.CancelledError:
            self._put(Finished(decision.id, Ending.UNKNOWN, "given up for a later decision"))
            raise
        except Exception as error:  # noqa: BLE001 - the fault is ours, and one component's must not end the others
            trace = " | ".join(traceback.format_exception(error)).replace("\n", " ")
            self._say(Line(Level.ERROR, subject_of(decision), "fault", f"in {name_of(decision)}: {trace}"))
            result = Result(Ending.UNKNOWN, f"fault in holdfast: {error!r}")
        self._put(
            Finished(
                decision.id,
                result.ending,
                result.error,
                result.incarnation,
                result.exit,
                is_unbegun=result.is_unbegun,
            )
        )

    async def _call(self, decision: Decision, not_after: Instant) -> Result:
        match decision:
            case Start(component=component, epoch=epoch):
                is_primary = self._starts_as_primary(component)
                # Who starts without the role uses no epoch: a full disk must not keep it from starting.
                if is_primary and (refusal := await self._cover(component, epoch)) is not None:
                    return refusal
                return await self._start(component, epoch, not_after, is_primary=is_primary)
            case Stop(component=component, at_once=at_once):
                return await self._components.stop(component, self._spec(component), at_once=at_once)
            case Promote(component=component, epoch=epoch):
                if (refusal := await self._cover(component, epoch)) is not None:
                    return refusal
                if why := (await self._permitted(component, epoch, not_after))[0]:
                    return Result(Ending.FAILED, why, is_unbegun=True)
                return await self._components.promote(component, self._spec(component), epoch)
            case Demote(component=component, open_within=within):
                return await self._components.demote(component, _waiting(self._spec(component), within))
            case Route(service=service, routing=routing):
                return await self._traffic.route(service, routing)
            case _:
                assert_never(decision)

    async def _start(
        self, component: ComponentId, epoch: Epoch, not_after: Instant, *, is_primary: bool
    ) -> Result:
        permits = self._permits_of(component)
        if permits is not None and (why := await permits.until_ended(component)):
            return Result(Ending.FAILED, why, is_unbegun=True)
        if is_primary:
            why, not_after = await self._permitted(component, epoch, not_after)
            if why:
                return Result(Ending.FAILED, why, is_unbegun=True)
        spec = self._spec(component)
        result = await self._components.start(
            component, spec, epoch, is_primary=is_primary, not_after=not_after
        )
        permits = self._permits_of(component)  # asked anew: a reload may have changed what is leased
        if result.ending is Ending.DONE and permits is not None:
            await permits.began(component)
        return result

    async def _permitted(
        self, component: ComponentId, epoch: Epoch, not_after: Instant
    ) -> tuple[str, Instant]:
        permits = self._permits_of(component)
        if permits is None:
            return "", not_after
        why, until = await permits.permit(component, epoch)
        return why, min(not_after, until)

    def _permits_of(self, component: ComponentId) -> Permits | None:
        """Return who has to allow that it serves; None where nothing of it is leased."""
        return self.permits if service_of(component) in self._leased else None

    async def _cover(self, component: ComponentId, epoch: Epoch) -> Result | None:
        """Make sure on disk that `epoch` is never given out again; otherwise say why it must not be used."""
        service = service_of(component)
        async with self._book:
            if self._epochs.covers(service, epoch):
                return None
            try:
                await asyncio.to_thread(self._epochs.raise_to, service, epoch)
            except OSError as error:
                return Result(
                    Ending.FAILED, f"epoch {epoch} cannot be put on disk, so it must not be used: {error}"
                )
        return None

    def _learn(self, policy: Policy) -> None:
        if policy is self._known:
            return
        self._known = policy
        for name, service in policy.services.items():
            self._modes[name] = service.mode
            (self._leased.add if service.is_leased else self._leased.discard)(name)
            for member in service.members:
                self._specs[component_id(name, member.name)] = member.run

    def _spec(self, component: ComponentId) -> ProcessSpec:
        # Found by a survey, but in no file that this agent has seen: it can be stopped with the defaults.
        return self._specs.get(component) or ProcessSpec(command=())

    def _starts_as_primary(self, component: ComponentId) -> bool:
        # A singleton's one process serves from its first moment; everywhere else the role is given by Promote.
        return self._modes.get(service_of(component)) is Mode.SINGLETON

    def _forget(self, task: asyncio.Task[None]) -> None:
        for subject, known in list(self._tasks.items()):
            if known is task:
                del self._tasks[subject]


def _waiting(spec: ProcessSpec, open_within: Duration | None) -> ProcessSpec:
    """Return the spec with how long transactions may stay open this time, where somebody said so."""
    if open_within is None or not isinstance(spec.managed, PostgresServer):
        return spec
    return replace(spec, managed=replace(spec.managed, open_within=open_within))


async def _give_up(earlier: asyncio.Task[None]) -> None:
    """End an earlier call, and see to it though we are given up ourselves meanwhile: who comes next waits for us alone."""
    earlier.cancel()
    cancelled = await settled(earlier)
    if cancelled is not None:
        raise cancelled
