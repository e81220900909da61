"""Delivering: how events reach the agent. Mostly at once; in a fault's window late, twice or never."""

from holdfast.model.events import Event
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clock
from holdfast.sim.faults import FaultKind
from holdfast.sim.shell import Shell
from holdfast.sim.truth import World


class Delivering:
    """The way from the world to the agent."""

    def __init__(self, clock: Clock, chance: Chance, world: World, shell: Shell) -> None:
        self._clock = clock
        self._chance = chance
        self._world = world
        self._shell = shell

    def noise(self, event: Event, subject: str, delay: Duration) -> None:
        """Report what happened by itself."""
        if not self._shell.is_alive:
            return
        if self._meets(FaultKind.LOSE_EVENTS, subject):
            return
        if self._meets(FaultKind.LATE_EVENTS, subject):
            delay += self._chance.between(100 * MILLISECOND, 3 * SECOND)
        self._send(event, delay)
        if self._meets(FaultKind.DOUBLE_EVENTS, subject):
            self._send(event, delay + self._chance.between(MILLISECOND, 3 * SECOND))

    def answer(self, event: Event, subject: str, delay: Duration) -> None:
        """Report how a decision ended."""
        if self._meets(FaultKind.LOSE_FINISHED, subject):
            return
        if self._meets(FaultKind.LATE_FINISHED, subject):
            delay += self._chance.between(SECOND, 14 * SECOND)
        self._send(event, delay)
        if self._meets(FaultKind.DOUBLE_EVENTS, subject):
            self._send(event, delay + self._chance.between(MILLISECOND, 6 * SECOND))

    def _meets(self, kind: FaultKind, subject: str) -> bool:
        return self._world.has(kind, subject, self._clock.now) and self._chance.often(0.5)

    def _send(self, event: Event, delay: Duration) -> None:
        self._shell.later(delay, lambda: self._shell.put(event))
