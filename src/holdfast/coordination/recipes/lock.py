"""A named lock: one holder at a time, in the order of asking, with a fencing token.

A lock with a time to live cannot by itself exclude a holder that was stopped and wakes up late. What it protects
should refuse smaller tokens; where that cannot be, the holder must have ended its work by `deadline`.
"""

from collections.abc import Callable
from random import Random

from holdfast.coordination.recipes.seats import Claim, Hold, Seats
from holdfast.model.time import Instant
from holdfast.ports.coordination import Coordinator, Session


class Lock:
    """A lock at a path."""

    def __init__(
        self, coordinator: Coordinator, path: str, *, now: Callable[[], Instant], chance: Random
    ) -> None:
        self._seats = Seats(coordinator, path, in_turn=True, now=now, chance=chance)

    async def acquire(self, session: Session, *, by: str, waits: bool = True) -> Hold:
        """Wait for the lock. The session has to be renewed meanwhile; SessionLostError when it is over.

        One who does not want to wait gets ConflictError instead.
        """
        return await self._seats.take(session, by=by, waits=waits)

    async def holder(self) -> Claim | None:
        """Return who holds it at present; None if nobody does."""
        holders = await self._seats.holders()
        return holders[0] if holders else None
