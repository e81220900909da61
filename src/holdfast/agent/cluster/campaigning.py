"""Campaigning: whenever this host has a session it stands for leader, and says when it leads and when no longer."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from holdfast.agent.cluster.session import SessionKeeping
from holdfast.coordination.recipes.election import Election
from holdfast.coordination.recipes.seats import Hold
from holdfast.model.cluster_events import ClusterEvent, Deposed, Elected
from holdfast.ports.coordination import (
    ConflictError,
    Session,
    SessionLostError,
    UnavailableError,
    UnknownError,
)

_AGAIN_S = 0.2


class Campaigning:
    """One candidate, through all its terms."""

    def __init__(
        self,
        election: Election,
        keeping: SessionKeeping,
        put: Callable[[ClusterEvent], None],
        *,
        by: str,
        above: Callable[[], int],
    ) -> None:
        """`above`: the highest leader's epoch that this host obeyed, which a coordinator may have forgotten."""
        self._election = election
        self._keeping = keeping
        self._put = put
        self._by = by
        self._above = above
        self.hold: Hold | None = None  # while this host leads
        self._is_over = False

    async def run(self) -> None:
        """Stand for leader until cancelled."""
        number = 0
        while True:
            session = await self._keeping.opened(after=number)
            number = self._keeping.number
            work = asyncio.ensure_future(self._serve_terms(session))
            over = asyncio.ensure_future(self._keeping.ended(session))
            try:
                await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _cancelled(work, over)
                self._depose()
            if not work.cancelled():
                work.result()  # a fault of ours: who stood for leader no more, and said nothing, would be missed by nobody

    async def _serve_terms(self, session: Session) -> None:
        while not self._is_over:
            try:
                self.hold = await self._election.campaign(session, by=self._by, above=self._above())
            except SessionLostError:
                return
            except (UnavailableError, UnknownError, ConflictError):
                await asyncio.sleep(_AGAIN_S)
                continue
            self._put(Elected(self.hold.token))
            await _gone(self.hold)
            self._depose()

    def _depose(self) -> None:
        if self.hold is not None:
            self.hold = None
            self._put(Deposed())

    async def resign(self) -> None:
        """Give the office up, and stand for it no more."""
        self._is_over = True
        if self.hold is not None:
            with suppress(UnavailableError, UnknownError, SessionLostError):
                await self.hold.release()


async def _gone(hold: Hold) -> None:
    """Wait until the seat is another's. It is ours until the session ends, whether it can be watched or not."""
    while hold.deadline:
        try:
            await hold.gone()
        except (UnavailableError, UnknownError):
            await asyncio.sleep(_AGAIN_S)


async def _cancelled(*tasks: "asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
