"""One simulation: a policy, a plan of faults, a seed. The core is the real one; everything around it is virtual."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeAlias

from holdfast.model.decisions import Decision
from holdfast.model.events import Event
from holdfast.model.ids import IncidentId
from holdfast.model.incidents import Entry, Stage
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import Value
from holdfast.sim.acting import Acting
from holdfast.sim.chance import Chance
from holdfast.sim.checking import Checking, Violation
from holdfast.sim.clockwork import BEGINNING, Clockwork
from holdfast.sim.delivering import Delivering
from holdfast.sim.faults import Fault, FaultKind, Harm
from holdfast.sim.harming import Harming
from holdfast.sim.looking import Looking
from holdfast.sim.settling import unsettled
from holdfast.sim.shell import Shell
from holdfast.sim.truth import World

PATIENCE = 60 * SECOND  # beside what the file itself allows: time limits of decisions, an agent that restarts


class Schedule(Value, frozen=True):
    """What is played: a file and its variants, and what goes wrong when."""

    name: str
    variants: dict[str, Policy]
    faults: tuple[Fault, ...]
    faults_end: Duration  # nothing goes wrong after this


class Chapter(Value, frozen=True):
    """A new line of an incident."""

    incident: IncidentId
    entry: Entry


Told: TypeAlias = Event | Decision | Harm | Chapter
Teller: TypeAlias = Callable[[Instant, Told], None]  # when, since the beginning, and what


class Simulation:
    """One schedule being played."""

    def __init__(
        self, schedule: Schedule, random: Random | None, tell: Teller | None = None, *, judges: bool = True
    ) -> None:
        self.schedule = schedule
        self.clock = Clockwork()
        self.world = World()
        chance = Chance(random)
        self.shell = Shell(self.clock, schedule.variants["base"].system)
        deliver = Delivering(self.clock, chance, self.world, self.shell)
        self.acting = Acting(self.clock, chance, self.world, self.shell, deliver)
        looking = Looking(self.clock, chance, self.world, self.shell, deliver)
        self.checking = Checking(self.clock, self.world)
        self.harming = Harming(
            self.clock, chance, self.world, self.shell, self.acting, looking, deliver, schedule.variants, self
        )
        self._tell = tell
        self._settles_from = BEGINNING + schedule.faults_end
        self._excused_until: Instant = 0
        self._patience = PATIENCE + max(map(_longest_wait, schedule.variants.values()))
        self._judges = judges
        self._entries: dict[IncidentId, int] = {}  # how much of each incident was told
        self.shell.followers += [self._told, *([self.checking] if judges else []), self.acting, looking]
        for fault in schedule.faults:
            self.clock.at(BEGINNING + fault.at, partial(self.harming.harm, fault))
        self.clock.after(0, self.harming.begin)
        if judges:
            self.clock.after(SECOND, self._look_at_lanes)

    @property
    def since(self) -> Instant:
        """Return the time since the beginning."""
        return self.clock.now - BEGINNING

    def run_until(self, since: Duration) -> None:
        """Play until `since` the beginning; Violation if a rule breaks."""
        self.clock.run_until(BEGINNING + since)

    def settle(self) -> None:
        """Let faults end, and wait for everything to be well; Violation if that takes too long."""
        self.run_until(self.schedule.faults_end)
        self._end_faults()
        calm_for = 0
        left: list[str] = []
        while calm_for < 2:
            self.clock.run_until(self.clock.now + SECOND)
            left = unsettled(self.shell.state, self.world, self.harming.policy, self.clock.now)
            calm_for = 0 if left or not self.shell.is_alive else calm_for + 1
            if self.clock.now - self._settles_from > self._patience:
                raise Violation("liveness", "; ".join(left))

    def _end_faults(self) -> None:
        self.world.windows.clear()
        state = self.shell.state
        targets = [id_ for id_, component in state.components.items() if component.drain is not None]
        if not self.shell.is_alive:
            self.clock.after(SECOND, self._end_faults)
            return
        for target in targets:  # pauses end by themselves, and a resume of a service would also forgive it
            self.harming.harm(Fault(FaultKind.RESUME, self.since, target))

    def _told(self, event: Event, before: State, after: State, decisions: tuple[Decision, ...]) -> None:
        if self._judges:
            self.checking.judge_truth()
        if self._tell is None:
            return
        self._tell(self.since, event)
        for decision in decisions:
            self._tell(self.since, decision)
        if after.incidents is not before.incidents:
            self._tell_incidents(after, self._tell)

    def _tell_incidents(self, state: State, tell: Teller) -> None:
        for incident in state.incidents.values():
            known = self._entries.get(incident.id, 0)
            for entry in incident.timeline[known:]:
                if entry.stage not in (Stage.ACTED, Stage.WITHHELD):  # told as decisions, or steady
                    tell(self.since, Chapter(incident.id, entry))
            self._entries[incident.id] = len(incident.timeline)

    def harmed(self, fault: Fault, note: str) -> None:
        """Learn that a fault was put in."""
        if self._tell is not None:
            self._tell(self.since, Harm(fault, note))
        if fault.kind is FaultKind.REBOOT:
            self.checking.rebooted()
        if fault.kind is FaultKind.PAUSE and not note:
            self.checking.paused(fault.target or None, self.clock.now + fault.lasts)
        if fault.kind in (FaultKind.DRIFT, FaultKind.PAUSE, FaultKind.FAIL_ROUTE):
            self._excused_until = max(self._excused_until, self.clock.now + fault.lasts + 2 * SECOND)

    def forgot(self) -> None:
        """Learn that the agent forgot its newest turns."""
        self.checking.forgot()

    def _look_at_lanes(self) -> None:
        balancer = self.world.balancer_life(self.shell.state.policy)
        has_balancer = balancer is not None and not balancer.is_frozen and not balancer.is_hung
        excused = not self.shell.is_alive or not has_balancer or self.clock.now < self._excused_until
        self.checking.judge_lanes(is_excused=excused)
        self.checking.judge_truth()
        self.clock.after(SECOND, self._look_at_lanes)


def _longest_wait(policy: Policy) -> Duration:
    """Return how long holdfast may wait by the file's own rules: spent budgets, holds, slow starts."""
    waits = (
        s.restart.retry_after + s.restart.window + s.restart.startup_grace + s.flapping.hold_max
        for s in policy.services.values()
    )
    return max(waits, default=0)
