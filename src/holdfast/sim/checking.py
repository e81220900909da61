"""Checking: what must hold after every step, judged by the truth of the simulated world.

Each rule has a short stable name; a schedule that breaks one ends there, with everything that led to it.
"""

from typing import NoReturn

from holdfast.loop.chronicle import CLOSED_KEPT, ENTRIES_MAX
from holdfast.loop.reconcile import reconcile
from holdfast.model.decisions import Decision, Promote, Route, Start, name_of, service_of_decision, subject_of
from holdfast.model.duty import balancer_runs, is_wanted
from holdfast.model.events import Event, PolicyChanged, RestartRequested, ResumeRequested, Ticked
from holdfast.model.ids import ComponentId, Epoch, ServiceName, component_id, member_of, service_of
from holdfast.model.observation import Outcome
from holdfast.model.policy import Mode, Purpose
from holdfast.model.routing import Lane, Routing
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProbeState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import SECOND, Instant, show_duration
from holdfast.model.value import replace
from holdfast.sim.clockwork import Clockwork
from holdfast.sim.truth import World

_OVERDUE = 1500 * 1_000_000  # a deadline is met by the next wake, at the latest by the regular tick
_IDLE_MAX = 3 * SECOND  # what is down is acted on, or it is said why not, within this
_WRONG_LANE_MAX = 12 * SECOND  # a Route may be lost once, and is given up after five seconds
_TICKS_MAX = 60  # ticks within one second: more is a busy loop
_MISSED_MAX = SECOND + 200 * 1_000_000
_FULL_LOOK_EVERY = 7  # ticks between two comparisons with a full look; they cost a turn each


class Violation(Exception):  # noqa: N818 - it names what happened, not an error of ours
    """A rule was broken."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
        self.text = text


class Checking:
    """The judge of one schedule."""

    def __init__(self, clock: Clockwork, world: World) -> None:
        self._clock = clock
        self._world = world
        self._granted: dict[ServiceName, Epoch] = {}
        self._restarts: dict[ComponentId, list[Instant]] = {}
        self._pauses: dict[ServiceName | None, Instant] = {}
        self._idle_from: dict[ComponentId, Instant] = {}
        self._wrong_from: dict[ComponentId, Instant] = {}
        self._ticks: list[Instant] = []
        self._tick_count = 0
        self._missed: dict[tuple[str, str], Instant] = {}

    # --- told by the simulation

    def __call__(
        self,
        event: Event,
        before: State,  # noqa: ARG002 - a follower of the shell is told both
        after: State,
        decisions: tuple[Decision, ...],
    ) -> None:
        """Judge one turn."""
        now = self._clock.now
        self._forgive(event)
        for decision in decisions:
            self._judge_decision(after, decision, now)
        if len({subject_of(decision) for decision in decisions}) < len(decisions):
            self._break("one_at_a_time", f"two decisions about one subject in a turn: {decisions}")
        self._judge_health(after)
        self._judge_pace(event, now)
        if isinstance(event, Ticked):
            self._judge_sizes(after)
            self._judge_flights(after, now)
            self._judge_idle(after, now)
            self._judge_missed(after, decisions, now)

    def judge_truth(self) -> None:
        """Judge what is so in the world; called after everything that happens."""
        running: dict[ServiceName, list[ComponentId]] = {}
        for id_, life in self._world.lives.items():
            if self._world.modes.get(service_of(id_)) is not Mode.ACTIVE_ACTIVE and life.is_primary:
                running.setdefault(service_of(id_), []).append(id_)
        for service, ids in running.items():
            if len(ids) > 1:
                is_single = self._world.modes[service] is Mode.SINGLETON
                rule = "never_two" if is_single else "one_primary"
                self._break(rule, f"{', '.join(ids)} at once")

    def judge_lanes(self, *, is_excused: bool) -> None:
        """Judge that no traffic goes to a member that has to be promoted first, but for a short time."""
        now, world = self._clock.now, self._world
        for id_ in world.hooked:
            life = world.lives.get(id_)
            service, _, member = id_.partition("/")
            carried = world.balancer.get(service)
            is_in = carried is not None and carried.lanes.get(member) is Lane.IN
            if is_excused or life is None or life.is_primary or not is_in:
                self._wrong_from.pop(id_, None)
            elif now - self._wrong_from.setdefault(id_, now) > _WRONG_LANE_MAX:
                self._break("standby_reached", f"{id_} gets traffic and is not primary")

    def paused(self, service: ServiceName | None, until: Instant) -> None:
        """Learn that an operator's pause was confirmed."""
        self._pauses[service] = until

    def forgot(self) -> None:
        """Learn that the agent forgot turns: what it may have forgotten is not held against it."""
        self._restarts.clear()
        self._idle_from.clear()
        self._missed.clear()

    def rebooted(self) -> None:
        """Learn that the host restarted: a pause counts in the time of one boot."""
        self._pauses.clear()

    # --- rules

    def _break(self, rule: str, text: str) -> NoReturn:
        raise Violation(rule, text)

    def _forgive(self, event: Event) -> None:
        """A person looked, or the file changed: budgets begin anew, the pause that is named ends."""
        if isinstance(event, ResumeRequested):
            self._pauses.pop(event.target, None)
        if isinstance(event, PolicyChanged):
            self._pauses = {
                name: at for name, at in self._pauses.items() if name is None or name in event.policy.services
            }
        if isinstance(event, PolicyChanged | RestartRequested | ResumeRequested):
            self._restarts.clear()

    def _judge_decision(self, after: State, decision: Decision, now: Instant) -> None:
        subject, service = subject_of(decision), service_of_decision(decision)
        if not decision.why.strip():
            self._break("why", f"{name_of(decision)} {subject} has no reason")
        for target in (None, service):
            if now < self._pauses.get(target, 0):
                self._break("paused", f"{name_of(decision)} {subject} while paused: {decision.why}")
        if after.flights.get(decision.id) != subject:
            self._break("remembered", f"{name_of(decision)} {subject} is not remembered as in flight")
        if sum(known == subject for known in after.flights.values()) > 1:
            self._break("one_at_a_time", f"two decisions about {subject} in flight")
        match decision:
            case Start():
                policy = after.policy.services.get(service)
                if policy is not None and policy.mode is Mode.SINGLETON:
                    self._judge_epoch(decision)
                self._judge_start(after, decision, now)
            case Promote():
                self._judge_epoch(decision)
                self._judge_cut(after, decision)
            case Route():
                self._judge_route(after, decision)
            case _:
                pass

    def _judge_epoch(self, decision: Promote | Start) -> None:
        service = service_of(decision.component)
        if decision.epoch <= self._granted.get(service, 0):
            self._break(
                "epoch", f"{name_of(decision)} {decision.component} under epoch {decision.epoch} again"
            )
        self._granted[service] = decision.epoch

    def _judge_route(self, after: State, decision: Route) -> None:
        for name, lane in decision.routing.lanes.items():
            member = after.components[component_id(decision.service, name)]
            if member.id in self._world.hooked and lane is Lane.IN and member.role is not Role.PRIMARY:
                self._break("standby_reached", f"{member.id} is routed to and is {member.role}")
        for name, lane in decision.routing.readers.items():
            member = after.components[component_id(decision.service, name)]
            if lane is Lane.IN and (why := _why_unread(after, member, decision.routing)):
                self._break("stale_read", f"{member.id} is read from, though {why}")

    def _judge_cut(self, after: State, decision: Promote) -> None:
        """Judge that nobody else is reached any more, as far as there is a balancer that says so."""
        id_ = decision.component
        name = service_of(id_)
        service, policy = after.services[name], after.policy.services[name]
        answers = after.balancer_silence is None and not service.route_failures and balancer_runs(after)
        if id_ not in self._world.hooked or policy.traffic is None or not answers:
            return
        lanes = service.routed.lanes if service.routed is not None else None
        others = [each for each in policy.components if each != id_]
        cut = (Lane.OUT, Lane.DOWN)
        reached = [o for o in others if lanes is None or lanes.get(member_of(o), Lane.OUT) not in cut]
        if reached:
            self._break("cut_first", f"promote {id_} while {', '.join(reached)} may still be reached")

    def _judge_start(self, after: State, decision: Start, now: Instant) -> None:
        id_ = decision.component
        policy = after.policy.services[service_of(id_)]
        starting = [name for name in policy.depends_on if not after.services[name].serving]
        if starting:
            self._break("dependency_order", f"start {id_} while {', '.join(starting)} does not serve")
        if not isinstance(after.components[id_].process, ProcessAbsent):
            self._break("proof", f"start {id_}, which is not proven absent")
        if decision.attempt:
            rules = policy.restart
            times = [at for at in self._restarts.get(id_, []) if now - at < rules.window]
            times.append(now)
            self._restarts[id_] = times
            if len(times) > rules.restarts_max + 1:  # and the one attempt after the budget was spent
                self._break(
                    "budget", f"{id_} restarted {len(times)} times within {show_duration(rules.window)}"
                )

    def _judge_health(self, state: State) -> None:
        expected = expected_health(state)
        if abs(expected - state.health) > 1e-9:
            self._break("health", f"S = {state.health}, but the mean is {expected}")

    def _judge_pace(self, event: Event, now: Instant) -> None:
        if not isinstance(event, Ticked):
            return
        self._ticks = [at for at in self._ticks if now - at < SECOND]
        self._ticks.append(now)
        if len(self._ticks) > _TICKS_MAX:
            self._break("busy", f"{len(self._ticks)} ticks within a second")

    def _judge_sizes(self, state: State) -> None:
        for incident in state.incidents.values():
            if len(incident.timeline) > ENTRIES_MAX:
                self._break("bounded", f"{incident.id} has {len(incident.timeline)} entries")
        if sum(not incident.is_open for incident in state.incidents.values()) > CLOSED_KEPT:
            self._break("bounded", f"{len(state.incidents)} incidents")
        named = {service.incident for service in state.services.values()}
        for incident in state.incidents.values():
            if incident.is_open and incident.id not in named:
                self._break("forgotten", f"{incident.id} is open and no service belongs to it")

    def _judge_flights(self, state: State, now: Instant) -> None:
        for id_, subject in state.flights.items():
            entry = state.components.get(subject) if "/" in subject else state.services.get(subject)
            if entry is None or entry.flight is None or entry.flight.decision != id_:
                self._break(
                    "forgotten",
                    f"decision {id_} about {subject} is in flight, but {subject} knows nothing of it",
                )
            elif entry.flight.deadline + _OVERDUE < now:
                self._break("forgotten", f"{entry.flight.action} {subject} is past its deadline")

    def _judge_idle(self, state: State, now: Instant) -> None:
        held = {held.subject for some in state.withheld.values() for held in some}
        for service in state.policy.services.values():
            for id_ in service.components:
                component = state.components[id_]
                is_held = id_ in held or service.name in held
                if is_held or not _is_idle(state, component, now):
                    self._idle_from.pop(id_, None)
                elif now - self._idle_from.setdefault(id_, now) > _IDLE_MAX:
                    self._break(
                        "forgotten",
                        f"{id_} is {component.status} ({component.reason}), and nothing is done or said",
                    )

    def _judge_missed(self, state: State, decisions: tuple[Decision, ...], now: Instant) -> None:
        """Compare with a full look: what only it would do must not stay undone."""
        self._tick_count += 1
        if not self._missed and self._tick_count % _FULL_LOOK_EVERY:
            return
        if decisions:
            self._missed.clear()
            return
        _, found = reconcile(replace(state, looked_at=0), Ticked(), now)
        keys = {(name_of(decision), subject_of(decision)) for decision in found}
        self._missed = {key: self._missed.get(key, now) for key in keys}
        for (action, subject), since in self._missed.items():
            if now - since > _MISSED_MAX:
                self._break("missed", f"{action} {subject} has been due for {show_duration(now - since)}")


def _why_unread(state: State, member: ComponentState, routing: Routing) -> str:
    """Return why nobody should be sent to read from this member; empty if they may."""
    if not isinstance(member.process, ProcessRunning) or member.process.stopped_since is not None:
        return "it does not run"
    if member.role is Role.PRIMARY:
        others = [lane for name, lane in routing.readers.items() if name != member_of(member.id)]
        is_cut = routing.lanes[member_of(member.id)] is not Lane.IN
        return "it is primary" if is_cut or Lane.IN in others else ""
    policy = state.policy.services[service_of(member.id)].member(member_of(member.id))
    assert policy is not None
    reading = [probe.name for probe in policy.probes if probe.purpose is Purpose.READING]
    seen = [member.probes.get(name, ProbeState()) for name in reading]
    return "it says no" if any(probe.passed is False for probe in seen) else ""


def _is_idle(state: State, component: ComponentState, now: Instant) -> bool:
    if not is_wanted(state, component.id) or component.flight is not None or now < component.not_before:
        return False
    return component.status is Status.DOWN or isinstance(component.process, ProcessAbsent)


def expected_health(state: State) -> float:
    """Return S(t) by its definition, written down a second time."""
    total = weights = 0.0
    for service in state.policy.services.values():
        if service.is_builtin:
            continue
        entry = state.services[service.name]
        names = [member.name for member in service.members]
        if service.mode is Mode.SINGLETON and not state.is_going_down:
            names = [entry.assigned or names[0]]
        for member in service.members:
            if member.name not in names or state.is_going_down:
                continue
            component = state.components[component_id(service.name, member.name)]
            weights += member.weight * service.weight
            total += member.weight * service.weight * _share(component)
    return total / weights if weights else 1.0


def _share(component: ComponentState) -> float:
    if component.status not in (Status.UP, Status.SUSPECT, Status.DRAINING):
        return 0.0
    warns = any(
        seen.last is not None and seen.last.outcome is Outcome.DEGRADED for seen in component.probes.values()
    )
    return 0.5 if warns else 1.0
