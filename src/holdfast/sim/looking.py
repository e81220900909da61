"""Looking: the simulated probes, surveys and looks at the balancer, at the pace of the real ones."""

from functools import partial

from holdfast.model.decisions import Decision
from holdfast.model.duty import member_policy
from holdfast.model.events import Event, Probed, Surveyed, TrafficLost, TrafficSeen
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import ProbePolicy, Purpose
from holdfast.model.state import ProcessRunning, State
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clock
from holdfast.sim.delivering import Delivering
from holdfast.sim.faults import FaultKind
from holdfast.sim.shell import Shell
from holdfast.sim.truth import World

SURVEY_EVERY = 2 * SECOND
LOOK_EVERY = SECOND
_ASKED_AGAIN = (Outcome.PASSED, Outcome.DEGRADED)


class Looking:
    """The eyes of the simulated agent."""

    def __init__(self, clock: Clock, chance: Chance, world: World, shell: Shell, deliver: Delivering) -> None:
        self._clock = clock
        self._chance = chance
        self._world = world
        self._shell = shell
        self._deliver = deliver
        self._asked: dict[ComponentId, Incarnation | None] = {}

    def begin(self) -> None:
        """Look from now on, for one life of the agent: once at once, then regularly."""
        self._asked = {}
        self._survey()
        self._look()

    def __call__(self, event: Event, before: State, after: State, decisions: tuple[Decision, ...]) -> None:  # noqa: ARG002 - a follower
        """Ask each new life of a component."""
        if after.components is before.components:
            return
        for id_, component in after.components.items():
            process = component.process
            incarnation = process.incarnation if isinstance(process, ProcessRunning) else None
            if self._asked.get(id_) == incarnation:
                continue
            self._asked[id_] = incarnation
            member = member_policy(after, id_)
            if incarnation is None or member is None:
                continue
            for probe in member.probes:
                self._plan(id_, probe.name, incarnation, self._chance.between(MILLISECOND, 100 * MILLISECOND))

    def _plan(self, id_: ComponentId, name: str, incarnation: Incarnation, delay: Duration) -> None:
        self._shell.later(delay, lambda: self._ask(id_, name, incarnation))

    def _ask(self, id_: ComponentId, name: str, incarnation: Incarnation) -> None:
        member = member_policy(self._shell.state, id_)
        probe = next((p for p in member.probes if p.name == name), None) if member is not None else None
        if probe is None or self._asked.get(id_) != incarnation:
            return
        answer = self._answer(id_, probe, incarnation)
        event = Probed(id_, name, incarnation, answer)
        delay = answer.at - self._clock.now
        self._deliver.noise(event, id_, delay)
        every = probe.every_suspect if self._is_suspect(id_, name, answer) else probe.every
        self._plan(id_, name, incarnation, delay + every - self._chance.between(0, every // 10))

    def _is_suspect(self, id_: ComponentId, name: str, answer: Observation) -> bool:
        component = self._shell.state.components.get(id_)
        seen = component.probes.get(name) if component is not None else None
        verdict = seen.passed if seen is not None else None
        return verdict is not (answer.outcome in _ASKED_AGAIN)

    def _answer(self, id_: ComponentId, probe: ProbePolicy, incarnation: Incarnation) -> Observation:
        world, now = self._world, self._clock.now
        life = world.lives.get(id_)
        quick = self._chance.between(2 * MILLISECOND, 20 * MILLISECOND)
        if life is None or life.incarnation != incarnation or now < life.ready_at:
            return Observation(
                Outcome.FAILED, Layer.CONNECT, Failure.REFUSED, quick, now + quick, "connection refused"
            )
        is_slow = world.has(FaultKind.SLOW, id_, now) and self._chance.often(0.7)
        if life.is_frozen or life.is_hung or is_slow:
            return Observation(
                Outcome.FAILED,
                Layer.ANSWER,
                Failure.TIMED_OUT,
                probe.timeout,
                now + probe.timeout,
                "no answer",
            )
        if probe.purpose in (Purpose.READINESS, Purpose.READING) and world.has(FaultKind.UNREADY, id_, now):
            return Observation(Outcome.FAILED, Layer.CONTENT, Failure.STATUS, quick, now + quick, "HTTP 503")
        if world.has(FaultKind.DEGRADED, id_, now):
            return Observation(Outcome.DEGRADED, Layer.CONTENT, Failure.NONE, quick, now + quick, "slow disk")
        return Observation(Outcome.PASSED, Layer.CONTENT, Failure.NONE, quick, now + quick)

    def _survey(self) -> None:
        taken_at = self._clock.now
        delay = self._chance.between(MILLISECOND, 30 * MILLISECOND)
        if self._world.has(FaultKind.LATE_SURVEYS, "", taken_at):
            delay += self._chance.between(0, 3 * SECOND)
        # Looking takes time: what is found may be as old as its beginning, or as new as its end.
        early = self._world.seen() if not self._chance.is_steady and self._chance.often(0.5) else None
        self._shell.later(
            delay,
            lambda: self._shell.put(Surveyed(taken_at, early if early is not None else self._world.seen())),
        )
        self._shell.later(SURVEY_EVERY + delay, self._survey)

    def _look(self) -> None:
        now, policy = self._clock.now, self._shell.state.policy
        self._shell.later(LOOK_EVERY, self._look)
        if not any(service.is_builtin for service in policy.services.values()):
            return
        life = self._world.balancer_life(policy)
        if life is None or life.is_frozen or life.is_hung:
            self._shell.put(TrafficLost(now, "HAProxy does not answer"))
            return
        for service in policy.services.values():
            if service.traffic is not None:
                active, members = self._world.traffic(service, now)
                event = TrafficSeen(now, service.name, active, members, self._world.readers(service))
                self._shell.later(
                    self._chance.between(MILLISECOND, 10 * MILLISECOND), partial(self._shell.put, event)
                )
