"""A semaphore: at most `count` holders at a time, in the order of asking, each with a token of its own.

All who use one semaphore must give the same count: it is a part of the program, not of the store.
"""

from collections.abc import Callable
from random import Random

from holdfast.coordination.recipes.seats import Claim, Hold, Seats
from holdfast.model.time import Instant
from holdfast.ports.coordination import Coordinator, Session

COUNT_MAX = 1000


class Semaphore:
    """A semaphore at a path."""

    def __init__(
        self, coordinator: Coordinator, path: str, count: int, *, now: Callable[[], Instant], chance: Random
    ) -> None:
        if not 1 <= count <= COUNT_MAX:
            raise ValueError(f"a semaphore of {count}: between 1 and {COUNT_MAX}")
        self._seats = Seats(coordinator, path, count=count, in_turn=True, now=now, chance=chance)

    async def acquire(self, session: Session, *, by: str, waits: bool = True) -> Hold:
        """Wait for a place. The session has to be renewed meanwhile; SessionLostError when it is over.

        One who does not want to wait gets ConflictError instead.
        """
        return await self._seats.take(session, by=by, waits=waits)

    async def holders(self) -> list[Claim]:
        """Return who holds a place at present."""
        return await self._seats.holders()
