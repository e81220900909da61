"""Leader election: at most one leader at a time, each with a larger token than the one before.

Whoever leads must check two things: `deadline` before it acts, and that those who carry out its orders refuse
a smaller token than they have seen. The first keeps a leader honest that runs, the second one that was stopped between
checking and acting.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from random import Random

from holdfast.coordination.recipes.seats import BEAT_MAX, Claim, Hold, Seats, claim_in
from holdfast.coordination.recipes.viewing import views
from holdfast.model.time import Instant
from holdfast.ports.coordination import Coordinator, Session


class Election:
    """One office, and who holds it."""

    def __init__(
        self, coordinator: Coordinator, path: str, *, now: Callable[[], Instant], chance: Random
    ) -> None:
        self._seats = Seats(coordinator, path, in_turn=False, now=now, chance=chance)

    async def campaign(self, session: Session, *, by: str, waits: bool = True, above: int = 0) -> Hold:
        """Wait until elected. The session has to be renewed meanwhile; SessionLostError when it is over.

        One who does not want to wait gets ConflictError instead. The token is larger than any earlier one, and than `above`.
        """
        return await self._seats.take(session, by=by, waits=waits, above=above)

    async def leader(self) -> Claim | None:
        """Return who leads at present; None if nobody does."""
        holders = await self._seats.holders()
        return holders[0] if holders else None

    async def leaders(self) -> AsyncGenerator[Claim | None, None]:
        """Return who leads, again with each change of it; UnavailableError when that cannot be known."""
        (seat,) = self._seats.seats
        last: Claim | None = Claim(-1, "", "")
        async with aclosing(views(self._seats.coordinator, seat, BEAT_MAX)) as seen:
            async for view in seen:
                claim = claim_in(view.get(seat))
                if claim != last:
                    last = claim
                    yield claim


class Leadership:
    """One candidate's way through an election: acquire, lead until the deadline, resign."""

    def __init__(self, election: Election, session: Session, *, by: str) -> None:
        self._election = election
        self._session = session
        self._by = by
        self._hold: Hold | None = None

    async def acquire(self) -> int:
        """Wait until elected and return the token."""
        assert self._hold is None or self._hold.deadline == 0, "acquired already"
        self._hold = await self._election.campaign(self._session, by=self._by)
        return self._hold.token

    @property
    def token(self) -> int:
        """Return the fencing token; 0 before the first election."""
        return self._hold.token if self._hold else 0

    @property
    def deadline(self) -> Instant:
        """Return until when nobody else can lead; 0 while not elected."""
        return self._hold.deadline if self._hold else 0

    async def resign(self) -> None:
        """Give the office up; the next candidate has it within a watch's latency."""
        if self._hold is not None:
            await self._hold.release()
