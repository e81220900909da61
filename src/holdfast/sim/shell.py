"""The agent's shell as the simulator plays it: it turns events, hands decisions on, wakes, dies and comes back.

What it does is what the real one does (holdfast.agent.turning): no turn for what is no news, a tick at the
core's own deadlines and once a second in any case. What it forgets when it dies is the newest few turns.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from holdfast.loop import commands, news, reconcile, waking
from holdfast.model.decisions import Decision
from holdfast.model.events import AgentStarted, Command, Event, PolicyChanged, Ticked
from holdfast.model.ids import ComponentId, Epoch, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.sim.clockwork import Clock

TICK_EVERY = SECOND
WAKE_MIN = MILLISECOND
TURNS_LOST_MAX = 6  # the journal is written behind: that many turns may be missing from it


class Follower(Protocol):
    """Who is told of every turn."""

    def __call__(self, event: Event, before: State, after: State, decisions: tuple[Decision, ...]) -> None:
        """Learn of a turn, before the next one."""


class Shell:
    """One agent, through all its lives."""

    def __init__(self, clock: Clock, system: str) -> None:
        self._clock = clock
        self.state = State(policy=Policy(system=system, services={}))
        self.life = 0  # grows with each start: what was meant for an earlier one is dropped
        self.is_alive = False
        self.turns = 0
        self.boot = "boot-1"
        self.followers: list[Follower] = []
        self._remembered: deque[State] = deque(maxlen=TURNS_LOST_MAX + 1)
        self._ticked_at: Instant = 0
        self._alarm_at: Instant = 0

    def start(
        self, policy: Policy, digests: dict[ComponentId, str], salt: int, floors: dict[ServiceName, Epoch]
    ) -> None:
        """Begin a life, as agents do: say so, then read the file. Surveying follows."""
        self.life += 1
        self.is_alive = True
        self._ticked_at = self._clock.now
        self._alarm_at = 0
        self.turn(AgentStarted(self.boot, "sim", 0, salt, floors))
        self.turn(PolicyChanged(policy, digests))

    def die(self) -> None:
        """End, with whatever was under way."""
        self.is_alive = False

    def forget(self, lost: int) -> None:
        """Remember all but the newest `lost` turns, as after the journal's last write."""
        self.state = self._remembered[max(0, len(self._remembered) - 1 - lost)]
        self.sync()

    def put(self, event: Event) -> None:
        """Turn this event if it is news."""
        if self.is_alive and news.is_news(self.state, event):
            self.turn(event)

    def request(self, command: Command) -> tuple[str, ...]:
        """Turn an operator's command; or return why it is refused."""
        if not self.is_alive:
            return ("the agent does not run",)
        reasons = commands.refusals(self.state, command, self._clock.now)
        if not reasons:
            self.turn(command)
            self.sync()
        return reasons

    def sync(self) -> None:
        """Put everything on disk: nothing until now can be forgotten. Done before a command is confirmed."""
        self._remembered.clear()
        self._remembered.append(self.state)

    def turn(self, event: Event) -> None:
        """Take one event through the core."""
        before = self.state
        after, decisions = reconcile.reconcile(before, event, self._clock.now)
        self.turns += 1
        self.state = after
        self._remembered.append(after)
        for follower in self.followers:
            follower(event, before, after, decisions)
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._ticked_at + TICK_EVERY
        asked = waking.next_wake(self.state, self._clock.now)
        if asked is not None:
            due = min(due, max(asked, self._ticked_at + WAKE_MIN))
        now = self._clock.now
        if self._alarm_at <= now or due < self._alarm_at:
            self._alarm_at = due
            life = self.life
            self._clock.at(due, lambda: self._ring(life, due))

    def _ring(self, life: int, due: Instant) -> None:
        if life != self.life or not self.is_alive or due != self._alarm_at:
            return
        now = self._clock.now
        self._alarm_at = 0
        asked = waking.next_wake(self.state, now)
        if (asked is not None and asked <= now) or now - self._ticked_at >= TICK_EVERY:
            self._ticked_at = now
            self.turn(Ticked())
        else:
            self._set_alarm()

    def later(self, delay: int, call: Callable[[], None]) -> None:
        """Call `call` after `delay`, if this life of the agent still lasts then."""
        life = self.life

        def checked() -> None:
            if self.is_alive and self.life == life:
                call()

        self._clock.after(delay, checked)
