"""Surveying: looking at the world again and again, so that no lost event stays lost.

What changes by itself is reported within milliseconds. Surveying is the net under that: every managed process
and every balancer state is looked at in full every few seconds, and at once when the balancer says that
something changed.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from holdfast.agent import clock
from holdfast.agent.log import Level, Line
from holdfast.model.events import (
    Event,
    Exit,
    ProcessContinued,
    ProcessDying,
    ProcessExited,
    ProcessStopped,
    Surveyed,
    TrafficLost,
    TrafficSeen,
)
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.time import SECOND, Duration
from holdfast.ports.components import Components
from holdfast.ports.traffic import Traffic

SURVEY_EVERY = 2 * SECOND
LOOK_EVERY = SECOND

Put = Callable[[Event], None]
Say = Callable[[Line], None]


class Surveying:
    """The eyes of one agent."""

    def __init__(self, components: Components, traffic: Traffic, put: Put, say: Say) -> None:
        self._components = components
        self._traffic = traffic
        self._put = put
        self._say = say
        self._changed = asyncio.Event()

    def watch(self) -> None:
        """Pass on what changes by itself from now on."""
        self._components.watch(self)
        self._traffic.watch(self._changed.set)

    def on_exit(self, component: ComponentId, incarnation: Incarnation, how: Exit) -> None:
        """Learn that a process ended."""
        self._put(ProcessExited(component, incarnation, how))

    def on_stopped(self, component: ComponentId, incarnation: Incarnation, is_stopped: bool) -> None:  # noqa: FBT001 - the port's
        """Learn that a process was stopped by a signal, or continued."""
        kind = ProcessStopped if is_stopped else ProcessContinued
        self._put(kind(component, incarnation))

    def on_dying(self, component: ComponentId, incarnation: Incarnation) -> None:
        """Learn that a process began to end."""
        self._put(ProcessDying(component, incarnation))

    async def survey(self) -> None:
        """Look for every managed process once."""
        taken_at = clock.now()
        self._put(Surveyed(taken_at, await self._components.survey()))

    async def look(self) -> None:
        """Read back once what the balancer does."""
        taken_at = clock.now()
        services = await self._traffic.look()
        if services is None:
            self._put(TrafficLost(taken_at, "the balancer does not answer"))
            return
        for seen in services:
            self._put(TrafficSeen(taken_at, seen.service, seen.active, seen.members, seen.readers))

    async def keep_surveying(self) -> None:
        """Look for processes until cancelled."""
        while True:
            await asyncio.sleep(SURVEY_EVERY / SECOND)
            await self._guarded(self.survey)

    async def keep_looking(self, has_balancer: Callable[[], bool]) -> None:
        """Read the balancer back until cancelled: regularly, and at once after it changed something."""
        while True:
            await _either(self._changed, LOOK_EVERY)
            if has_balancer():
                await self._guarded(self.look)

    async def _guarded(self, look: Callable[[], Awaitable[None]]) -> None:
        # An adapter that raises is our fault. Not looking again because of it would be a second one.
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - see above
            trace = " | ".join(traceback.format_exception(error)).replace("\n", " ")
            self._say(Line(Level.ERROR, "agent", "fault", f"while looking: {trace}"))


async def _either(changed: asyncio.Event, at_most: Duration) -> None:
    try:
        async with asyncio.timeout(at_most / SECOND):
            await changed.wait()
    except TimeoutError:
        pass
    changed.clear()
