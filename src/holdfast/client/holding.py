"""Holding something while a block runs: its session, its renewals, and the news that it is lost."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any, Protocol, TypeVar

from holdfast.client.errors import LostError, WaitedTooLongError
from holdfast.coordination import clock
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.pausing import Pauses
from holdfast.coordination.recipes.seats import Hold
from holdfast.model.time import SECOND, Instant
from holdfast.model.value import Value
from holdfast.ports.coordination import (
    ConflictError,
    CoordinationError,
    Coordinator,
    Session,
    SessionLostError,
    UnavailableError,
)

T = TypeVar("T")


class Held:
    """What is held at present, for as long as its block runs and it is not lost."""

    def __init__(self, hold: Hold, keeping: Keeping) -> None:
        self._hold = hold
        self._keeping = keeping

    @property
    def token(self) -> int:
        """Return the fencing token: larger than that of every earlier holder. Hand it to whatever you change."""
        return self._hold.token

    @property
    def deadline(self) -> Instant:
        """Return until when nobody else can hold it: nanoseconds on CLOCK_BOOTTIME; 0 once it is over."""
        return 0 if self.lost.is_set() else self._hold.deadline

    @property
    def remaining(self) -> float:
        """Return how many seconds are surely left; never negative. Renewals make it grow again."""
        return max(0, self.deadline - clock.now()) / SECOND

    @property
    def is_held(self) -> bool:
        """Return whether it is surely still held, by our own clock alone. Ask right before you act."""
        return clock.now() < self.deadline

    @property
    def lost(self) -> asyncio.Event:
        """Return the event that is set as soon as it is known to be lost, at the deadline at the latest."""
        return self._keeping.lost

    @property
    def why(self) -> str:
        """Return why it was lost; empty while it is not."""
        return self._keeping.why

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` while this is held: when it is lost, the work is cancelled and LostError raised."""
        working = asyncio.ensure_future(work)
        losing = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
        finally:
            for task in (working, losing):
                task.cancel()
            await asyncio.gather(working, losing, return_exceptions=True)
        raise LostError(self.why)

    def check(self) -> None:
        """Raise LostError unless it is surely still held."""
        if not self.is_held:
            raise LostError(self.why or "its deadline has passed")


class Acquire(Protocol):
    """How a lock, a place or an office is acquired on a session."""

    async def __call__(self, session: Session, *, by: str, waits: bool) -> Hold:
        """Acquire it; ConflictError if that would mean to wait and it shall not."""


class Terms(Value, frozen=True):
    """On what terms something is held."""

    by: str
    ttl: float  # seconds
    wait: float | None  # seconds; None: however long it takes, 0: only if it is free


@asynccontextmanager
async def holding(
    coordinator: Coordinator, acquire: Acquire, terms: Terms, chance: Random
) -> AsyncGenerator[Held, None]:
    """Acquire, hold while the block runs, release."""
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(terms.wait or None):
                hold, keeping = await _acquired(coordinator, acquire, terms, chance, stack)
        except (TimeoutError, ConflictError):
            raise WaitedTooLongError(f"it could not be had within {terms.wait:g}s") from None
        watching = asyncio.create_task(_watch(hold, keeping, chance), name=f"holdfast: watch {hold.key}")
        try:
            yield Held(hold, keeping)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            with suppress(UnavailableError):  # the session, which ends now, takes the seat with it
                await hold.release()


async def _acquired(
    coordinator: Coordinator, acquire: Acquire, terms: Terms, chance: Random, stack: AsyncExitStack
) -> tuple[Hold, Keeping]:
    """Acquire on a session of its own; if that is lost on the way, on another."""
    pauses = Pauses(chance)
    while True:
        session = await coordinator.open_session(round(terms.ttl * SECOND))
        async with AsyncExitStack() as attempt:
            keeping = await attempt.enter_async_context(Keeping(session, now=clock.now, chance=chance))
            try:
                hold = await acquire(session, by=terms.by, waits=terms.wait != 0)
            except SessionLostError:
                await pauses.pause()
                continue
            stack.push_async_exit(attempt.pop_all())
            return hold, keeping


async def _watch(hold: Hold, keeping: Keeping, chance: Random) -> None:
    """Say so at once when the engine gives the seat away, whatever we believe of our session."""
    pauses = Pauses(chance)
    while True:
        try:
            keeping.lose(await hold.gone())
            return
        except CoordinationError:
            await pauses.pause()  # not known at present; the deadline decides meanwhile
