"""The timer wheel: what is due at which tick.

Thousands of wake-ups a second fall on fifty ticks; one list per tick makes each of them an append.
Nothing is ever taken out early: an entry carries the tick it was put at, and whoever was planned anew
meanwhile has another tick in mind and is passed over by the caller.
"""

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items by the tick at which they are due."""

    def __init__(self) -> None:
        self._slots: dict[int, list[T]] = {}
        self._ticks: list[int] = []  # heap of the ticks that have a slot

    def put(self, tick: int, item: T) -> None:
        """Remember that `item` is due at `tick`."""
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = [item]
            heapq.heappush(self._ticks, tick)
        else:
            slot.append(item)

    def take(self, tick: int) -> list[tuple[int, T]]:
        """Take out all that is due at or before `tick`, the oldest first, each with its tick."""
        due: list[tuple[int, T]] = []
        while self._ticks and self._ticks[0] <= tick:
            at = heapq.heappop(self._ticks)
            due.extend((at, item) for item in self._slots.pop(at))
        return due

    def next_tick(self) -> int | None:
        """Return the earliest tick at which something is due."""
        return self._ticks[0] if self._ticks else None
