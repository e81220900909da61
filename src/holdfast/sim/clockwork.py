"""Virtual time: a heap of what is still to happen, and nothing happens but by it."""

import heapq
from collections.abc import Callable
from typing import Protocol

from holdfast.model.time import SECOND, Duration, Instant

BEGINNING: Instant = 1000 * SECOND  # hosts do not begin at zero, and the core's zero means "never"


class Clock(Protocol):
    """What reads the time and waits: of one host, or of the simulation itself."""

    @property
    def now(self) -> Instant:
        """Return what it shows."""

    def after(self, delay: Duration, call: Callable[[], None]) -> None:
        """Call `call` when `delay` has passed."""

    def at(self, instant: Instant, call: Callable[[], None]) -> None:
        """Call `call` at `instant`."""


class Clockwork:
    """The clock of one simulated host."""

    def __init__(self) -> None:
        self.now: Instant = BEGINNING
        self._heap: list[tuple[Instant, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay: Duration, call: Callable[[], None]) -> None:
        """Call `call` when `delay` has passed; what is due together happens in the order it was asked for."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay if delay > 0 else self.now, self._count, call))

    def at(self, instant: Instant, call: Callable[[], None]) -> None:
        """Call `call` at `instant`."""
        self.after(instant - self.now, call)

    def run_until(self, until: Instant) -> None:
        """Let time pass."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call = heapq.heappop(heap)
            call()
        self.now = until
