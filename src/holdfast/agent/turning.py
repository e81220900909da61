"""Turning: the one place where events become state and decisions.

Everything that happens is put into one queue. A turn takes one event, asks the core, remembers both in the journal,
and hands what the core wants on. Turning itself never waits for the world, so it cannot hang with it; it
wakes for the core's own deadlines, and once a second in any case.

What an operator asks for is turned at once, without the queue's delay: what was checked is what is acted on.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from holdfast.agent import clock
from holdfast.loop.commands import refusals
from holdfast.loop.news import is_news
from holdfast.loop.reconcile import reconcile
from holdfast.loop.waking import next_wake
from holdfast.model.decisions import Decision
from holdfast.model.events import Command, Event, Ticked
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import Value
from holdfast.ports.journal import Journal

TICK_EVERY = SECOND
_SLICE = 5 * MILLISECOND  # turn this long before other tasks of the loop get their say
_WAKE_MIN = MILLISECOND  # a deadline that the core repeats must not become a busy loop


class Turned(Value, frozen=True):
    """What one turn was: who follows along gets this."""

    at: Instant
    event: Event
    decisions: tuple[Decision, ...]
    before: State
    after: State


class Follower(Protocol):
    """Who is told of every turn, in order, before the next one. It must not wait, nor turn."""

    def __call__(self, turned: Turned, /) -> None:
        """Learn of one turn."""


class Turning:
    """The state, and the queue of what happened."""

    def __init__(self, state: State, journal: Journal, *, wake_every: Duration = TICK_EVERY) -> None:
        self.state = state
        self._journal = journal
        self._wake_every = wake_every  # at the latest; the idle calls may want it sooner than the core
        self._events: deque[Event] = deque()
        self._woken = asyncio.Event()
        self._followers: list[Follower] = []
        self._idle: list[Callable[[], None]] = []
        self._ticked_at: Instant = 0

    def follow(self, follower: Follower) -> None:
        """Tell `follower` of every turn from now on."""
        self._followers.append(follower)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call `call` each time before turning waits: at least every `wake_every` while the loop lives."""
        self._idle.append(call)

    def put(self, event: Event) -> None:
        """Turn this event soon."""
        self._events.append(event)
        self._woken.set()

    def request(self, command: Command) -> tuple[tuple[str, ...], tuple[Decision, ...]]:
        """Turn the operator's command now, unless the core refuses it; return why it does, or what was decided."""
        while self._events:
            self._turn_next()
        reasons = refusals(self.state, command, clock.now())
        return (reasons, ()) if reasons else ((), self._turn(command))

    def remember(self) -> None:
        """Wait until every turn so far is on disk. Blocks: not for the event loop's thread."""
        self._journal.flush()

    def turn(self, event: Event) -> None:
        """Turn this event now, after everything that waits."""
        self.put(event)
        while self._events:
            self._turn_next()

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            pause_at = clock.now() + _SLICE
            while self._events and clock.now() < pause_at:
                self._turn_next()
            self._tick_if_due()
            for call in self._idle:
                call()
            await self._wait()

    def _tick_if_due(self) -> None:
        now = clock.now()
        wake = next_wake(self.state, now)
        is_due = wake is not None and wake <= now and now - self._ticked_at >= _WAKE_MIN
        if is_due or now - self._ticked_at >= TICK_EVERY:
            self._turn(Ticked())
            self._ticked_at = clock.now()

    async def _wait(self) -> None:
        if self._events:
            await asyncio.sleep(0)
            return
        self._woken.clear()
        now = clock.now()
        wake = min(self._ticked_at + TICK_EVERY, now + self._wake_every)
        if (asked := next_wake(self.state, now)) is not None:
            wake = min(wake, asked)
        try:
            async with asyncio.timeout(max(wake - now, _WAKE_MIN) / SECOND):
                await self._woken.wait()
        except TimeoutError:
            return

    def _turn_next(self) -> None:
        event = self._events.popleft()
        if is_news(self.state, event):
            self._turn(event)

    def _turn(self, event: Event) -> tuple[Decision, ...]:
        at = clock.now()
        before = self.state
        after, decisions = reconcile(before, event, at)
        self.state = after
        self._journal.append(at, event, decisions, before, after)
        turned = Turned(at, event, decisions, before, after)
        for follower in self._followers:
            follower(turned)
        return decisions
