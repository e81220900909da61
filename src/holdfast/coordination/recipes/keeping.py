"""Keeps a session alive from its owner's event loop, and says at once when it is lost.

The renewals run where the work runs, on purpose: a loop that is stuck, or a process that is stopped, stops renewing and
loses what it holds, as it should. A renewing thread would go on and keep others out for a program that does nothing.
"""

import asyncio
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Self

from holdfast.coordination.session_deadline import attempt_limit, renew_every, retry_after
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.ports.coordination import Session, SessionLostError, UnavailableError, UnknownError


class Keeping:
    """A session that is renewed while this is entered, and closed at the end."""

    def __init__(self, session: Session, *, now: Callable[[], Instant], chance: Random) -> None:
        self.session = session
        self.lost = asyncio.Event()  # set when the session is lost, at its deadline at the latest
        self.why = ""  # it was lost
        self._renewed_at = now()  # at the latest: it has just been opened
        self._budget = max(1, session.deadline - self._renewed_at)
        self._now = now
        self._chance = chance
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep(), name=f"holdfast: keep session {self.session.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        # Cancelled or not, it is closed: nobody should have to wait for the ttl.
        await asyncio.shield(asyncio.ensure_future(self.session.close()))
        if not self._task.cancelled():
            self._task.result()  # a fault of ours comes to light

    def lose(self, why: str) -> None:
        """Note that what the session holds is lost, whoever found out."""
        if not self.lost.is_set():
            self.why = why
            self.lost.set()

    async def _keep(self) -> None:
        try:
            await self._renew_until_lost()
        finally:
            self.lose("it is no longer renewed")  # whatever ended this: nobody may believe that it goes on

    async def _renew_until_lost(self) -> None:
        failures = 0
        while not self.lost.is_set():
            pause = (
                retry_after(self._budget, failures, self._chance.random()) if failures else self._until_next()
            )
            left = self.session.deadline - self._now()
            await asyncio.sleep(max(0, min(pause, left)) / SECOND)
            left = self.session.deadline - self._now()
            if left <= 0:
                self.lose("it could not be renewed before its deadline")
                return
            failures = 0 if await self._renew(min(left, attempt_limit(self._budget))) else failures + 1

    def _until_next(self) -> Duration:
        return self._renewed_at + renew_every(self._budget) - self._now()

    async def _renew(self, limit: Duration) -> bool:
        sent_at = self._now()
        try:
            async with asyncio.timeout(limit / SECOND):
                await self.session.renew()
            self._renewed_at = sent_at
        except SessionLostError as error:
            self.lose(f"the engine ended its session: {error}")
        except (UnavailableError, UnknownError, TimeoutError):
            return False
        return True
