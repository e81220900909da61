"""How long to pause before trying again: twice as long each time, up to a bound, and never all at once."""

import asyncio
from random import Random

from holdfast.model.time import MILLISECOND, SECOND, Duration

FIRST, LONGEST = 20 * MILLISECOND, 1 * SECOND


class Pauses:
    """The pauses of one attempt at something."""

    def __init__(self, chance: Random, *, first: Duration = FIRST, longest: Duration = LONGEST) -> None:
        self._chance = chance
        self._first = first
        self._longest = longest
        self._failures = 0

    def next(self) -> Duration:
        """Return how long the next pause is: between half of its step and the whole."""
        step = min(self._longest, self._first << min(self._failures, 16))
        self._failures += 1
        return round(step * self._chance.uniform(0.5, 1.0))

    def begin_anew(self) -> None:
        """Something worked: the next pause is short again."""
        self._failures = 0

    async def pause(self) -> None:
        """Wait for the next pause's time."""
        await asyncio.sleep(self.next() / SECOND)
