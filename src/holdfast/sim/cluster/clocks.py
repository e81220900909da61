"""Each host has its own clock, and what a signal or a suspension stops on it stands still until it goes on.

A clock runs a little fast or slow and counts from anywhere. It goes on while its host stands still, as CLOCK_BOOTTIME
does; what was due meanwhile happens late, in its order.
"""

from collections.abc import Callable
from functools import partial

from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import BEGINNING, Clockwork

_MILLION = 1_000_000
_LAG_MAX = 4 * MILLISECOND  # who was stopped together goes on together, but not in one instant


class Gate:
    """Something that may stand still: a process, or a whole machine."""

    def __init__(self, world: Clockwork, chance: Chance) -> None:
        self._world = world
        self._chance = chance
        self._shut = 0  # how many reasons there are
        self.is_shut = False  # it stands still
        self.opened_at: Instant = 0
        self._waiting: list[tuple[HostClock, Callable[[], None]]] = []

    def shut(self) -> None:
        """Stand still, for one more reason."""
        self._shut += 1
        self.is_shut = True

    def open(self) -> None:
        """Go on, if that was the last reason."""
        self._shut -= 1
        if self._shut:
            return
        self.is_shut = False
        self.opened_at = self._world.now
        waiting, self._waiting = self._waiting, []
        lags: dict[int, Duration] = {}
        for clock, call in waiting:
            lag = lags.setdefault(id(clock), self._chance.between(0, _LAG_MAX))
            clock.behind_until = self._world.now + lag
            self._world.after(lag, partial(clock.passed, call))

    def wait(self, clock: "HostClock", call: Callable[[], None]) -> None:
        """Have `call` happen when it goes on."""
        self._waiting.append((clock, call))


class HostClock:
    """The clock of one host, as read by what stands still with `gates`."""

    def __init__(self, world: Clockwork, ppm: int, offset: Duration, *gates: Gate) -> None:
        self._world = world
        self._rate = _MILLION + ppm
        self._offset = offset
        self._began = BEGINNING + offset
        self._gates = gates
        self.behind_until: Instant = 0  # what waited comes first; what comes meanwhile waits behind it

    @property
    def now(self) -> Instant:
        """Return what the clock shows."""
        return self._began + (self._world.now - BEGINNING) * self._rate // _MILLION

    def after(self, delay: Duration, call: Callable[[], None]) -> None:
        """Call `call` when `delay` has passed by this clock, or as soon as nothing stands still after that."""
        # Rounded up twice: a timer never rings before its instant.
        due = 1 - (-delay * _MILLION // self._rate) if delay > 0 else 0
        self._world.after(due, partial(self.passed, call) if self._gates else call)

    def at(self, instant: Instant, call: Callable[[], None]) -> None:
        """Call `call` at `instant` of this clock."""
        self.after(instant - self.now, call)

    def passed(self, call: Callable[[], None]) -> None:
        """Call `call` now, or when nothing stands still any more."""
        for gate in self._gates:
            if gate.is_shut:
                gate.wait(self, call)
                return
        if self._world.now < self.behind_until:
            self._world.at(self.behind_until, partial(self.passed, call))
            return
        call()

    def true(self, instant: Instant) -> Instant:
        """Return when this clock shows `instant`, in the time of the simulation."""
        return BEGINNING + -(-(instant - BEGINNING - self._offset) * _MILLION // self._rate)
