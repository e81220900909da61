"""The host's session with the coordinator: opened, renewed, and opened again when it is lost.

It is renewed here, on the agent's own event loop and only while the loop's work goes on: the session says that this host
is looked after, and nobody else may say so. It is not closed when the agent ends. The next life of the agent takes over what it
holds, or it runs out.
"""

import asyncio
from collections.abc import Callable
from random import Random

from holdfast.agent import clock
from holdfast.agent.log import Level, Line
from holdfast.coordination.session_deadline import attempt_limit, renew_every, retry_after
from holdfast.model.cluster_events import ClusterEvent, SessionEnded, SessionOpened, SessionRenewed
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Coordinator,
    Session,
    SessionLostError,
    UnavailableError,
    UnknownError,
)

_OPEN_WITHIN_S = 5.0
_OPEN_AGAIN_MAX_S = 0.5
_TELL_EVERY: Duration = 5 * SECOND
_UNWELL_FOR_S = 0.05  # asked again that soon whether we may renew


class SessionKeeping:
    """One host's session, and whoever wants to know of it."""

    def __init__(
        self,
        coordinator: Coordinator,
        ttl: Duration,
        put: Callable[[ClusterEvent], None],
        say: Callable[[Line], None],
        *,
        is_well: Callable[[], bool],
        chance: Random,
    ) -> None:
        self._coordinator = coordinator
        self._ttl = ttl
        self._put = put
        self._say = say
        self._is_well = is_well
        self._chance = chance
        self.session: Session | None = None  # None: there is none at present
        self.number = 0  # of the present or last one
        self.problem = ""
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep a session until cancelled."""
        while True:
            session = await self._open()
            opened_at = clock.now()
            budget = session.deadline - opened_at
            self.session, self.problem = session, ""
            self.number += 1
            self._put(SessionOpened(session.deadline, budget))
            self._tell()
            why = await self._renew_until_lost(session, budget)
            self.session, self.problem = None, why
            self._put(SessionEnded(why))
            self._tell()

    async def opened(self, *, after: int) -> Session:
        """Wait for a session with a larger number than `after`."""
        while self.session is None or self.number <= after:
            await self._changed.wait()
        return self.session

    async def ended(self, session: Session) -> None:
        """Wait until this session is not the present one any more."""
        while self.session is session:
            await self._changed.wait()

    async def close(self) -> None:
        """End the session: everything on this host is stopped, and nothing is held any more."""
        if self.session is not None:
            await self.session.close()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _open(self) -> Session:
        failures, told_at = 0, clock.now()
        while True:
            try:
                return await self._open_once()
            except (UnavailableError, UnknownError, SessionLostError, TimeoutError) as error:
                self.problem = f"the coordinator cannot be reached: {error}"
            failures += 1
            if clock.now() - told_at >= _TELL_EVERY:
                told_at = clock.now()
                self._say(Line(Level.WARN, "agent", "session", f"none could be opened: {self.problem}"))
            pause = min(_OPEN_AGAIN_MAX_S, 0.05 * 2 ** min(failures, 10))
            await asyncio.sleep(pause * (0.5 + self._chance.random() / 2))

    async def _open_once(self) -> Session:
        """Open one. Whoever hangs in it is left behind: a lease that nobody renews ends by itself."""
        opening = asyncio.ensure_future(self._coordinator.open_session(self._ttl))
        opening.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # asked for: nobody else may
        try:
            await asyncio.wait({opening}, timeout=_OPEN_WITHIN_S)
            if not opening.done():
                raise TimeoutError(f"no answer within {_OPEN_WITHIN_S:g} s")
            return opening.result()
        finally:
            opening.cancel()

    async def _renew_until_lost(self, session: Session, budget: Duration) -> str:
        failures = 0
        renewed_at: Instant = clock.now()
        while True:
            pause = (
                retry_after(budget, failures, self._chance.random())
                if failures
                else renewed_at + renew_every(budget) - clock.now()
            )
            left = session.deadline - clock.now()
            await asyncio.sleep(max(0, min(pause, left)) / SECOND)
            left = session.deadline - clock.now()
            if left <= 0:
                return "it could not be renewed before its deadline"
            if not self._is_well():
                await asyncio.sleep(_UNWELL_FOR_S)
                continue
            sent_at = clock.now()
            try:
                async with asyncio.timeout(min(left, attempt_limit(budget)) / SECOND):
                    await session.renew()
            except SessionLostError as error:
                return f"the engine ended it: {error}"
            except (UnavailableError, UnknownError, TimeoutError):
                failures += 1
                continue
            failures, renewed_at = 0, sent_at
            self._put(SessionRenewed(session.deadline))
