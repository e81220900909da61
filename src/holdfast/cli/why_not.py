"""Why something is not done: every rule, what it needs, what it has, and which one decides.

The rules live in the core. This module only asks the core's own questions about the state, so that the table
cannot say something else than what the core would do.
"""

from holdfast.detect.judging import describe_exit
from holdfast.failover import candidates
from holdfast.model import duty
from holdfast.model.ids import ComponentId, ServiceName, member_of
from holdfast.model.policy import Mode
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, Pause, ProcessAbsent, ProcessRunning, ProcessUnknown, State
from holdfast.model.time import Instant, show_duration
from holdfast.model.value import Value


class Rule(Value, frozen=True):
    """One rule of the table."""

    rule: str
    need: str
    have: str
    is_met: bool


class WhyNot(Value, frozen=True):
    """The answer: the rules in the order in which they are asked; the first unmet one decides."""

    action: str
    subject: str
    rules: tuple[Rule, ...]
    recorded: tuple[str, ...]  # what the agent itself noted as withheld

    @property
    def decides(self) -> Rule | None:
        """Return the rule that decides; None if nothing speaks against it."""
        return next((rule for rule in self.rules if not rule.is_met), None)


def why_not_failover(state: State, service: ServiceName, now: Instant) -> WhyNot:
    """Return why the service's traffic or role does not move to another member now."""
    policy = state.policy.services[service]
    rules = [_calm(state, service, now)]
    unproven = candidates.unproven(state, service)
    rules.append(
        Rule("processes known", "all", f"unknown: {', '.join(unproven)}" if unproven else "all", not unproven)
    )
    active = _active(state, service)
    if policy.mode is Mode.ACTIVE_ACTIVE:
        usable = sum(duty.is_usable(member) for member in state.members(service))
        have = f"all members serve together; {usable} of {len(policy.members)} can"
        rules.append(Rule("one member serves alone", "active-standby or singleton", have, is_met=False))
    elif active is None:
        rules.append(Rule("a member has to give up", "-", "no member serves now", is_met=True))
    else:
        rules.append(_has_to_leave(active, now))
    rules += [_candidate(policy.mode, other, now) for other in _others(state, service, active)]
    return WhyNot("failover", service, one_is_enough(rules), _recorded(state, service))


def why_not_restart(state: State, component: ComponentId, now: Instant) -> WhyNot:
    """Return why the component is not started or restarted now."""
    known = state.components[component]
    service = component.partition("/")[0]
    restart = state.policy.services[service].restart
    missing = duty.waits_for(state, service)
    recent = len([at for at in known.restarted_at if now - at < restart.window])
    wanted = duty.is_wanted(state, component)
    rules = (
        _calm(state, service, now),
        Rule("meant to run", "yes", "yes" if wanted else "no", wanted),
        _does_not_run(known),
        Rule(
            "dependencies serve", "all", f"missing: {', '.join(missing)}" if missing else "all", not missing
        ),
        Rule(
            "restart budget",
            f"fewer than {restart.restarts_max} in {show_duration(restart.window)}",
            f"{recent} used" + (", gave up" if known.gave_up_at is not None else ""),
            recent < restart.restarts_max and known.gave_up_at is None,
        ),
        Rule("nothing under way", "-", known.flight.action if known.flight else "-", known.flight is None),
        _time_has_come(known, now),
    )
    return WhyNot("restart", component, rules, _recorded(state, service, component))


def _calm(state: State, service: ServiceName, now: Instant) -> Rule:
    pause: Pause | None = duty.pause_of(state, service, now)
    if pause is None:
        return Rule("not paused", "no pause", "no pause", is_met=True)
    have = f'paused by {pause.by} for another {show_duration(pause.until - now)}: "{pause.why}"'
    return Rule("not paused", "no pause", have, is_met=False)


def _active(state: State, service: ServiceName) -> ComponentState | None:
    if (primary := duty.primary_of(state, service)) is not None:
        return primary
    assigned = state.services[service].assigned
    return next((m for m in state.members(service) if member_of(m.id) == assigned), None)


def _others(state: State, service: ServiceName, active: ComponentState | None) -> list[ComponentState]:
    return [member for member in state.members(service) if active is None or member.id != active.id]


def _has_to_leave(active: ComponentState, now: Instant) -> Rule:
    name = member_of(active.id)
    need = f"{name} down, drained, held back or about to be restarted"
    if active.status is Status.DOWN:
        return Rule("the active member has failed", need, f"down: {active.reason}", is_met=True)
    reason = (
        "drained"
        if active.drain is not None
        else duty.restart_reason(active) or _held(active, now) or active.fence
    )
    return Rule(
        "the active member has failed", need, reason or f"{name} is {active.status}", is_met=bool(reason)
    )


def _held(component: ComponentState, now: Instant) -> str:
    if component.held_until is None or now >= component.held_until:
        return ""
    return f"held back for {show_duration(component.held_until - now)} because it flaps"


def _candidate(mode: Mode, other: ComponentState, now: Instant) -> Rule:
    is_cold = mode is Mode.SINGLETON
    against = candidates.why_not_start(other, now) if is_cold else duty.why_not_primary(other, now)
    if not against and other.flight is not None:
        against = f"{other.flight.action} under way"
    have = against or ("ready to be started" if is_cold else str(other.status))
    return Rule(f"candidate {member_of(other.id)}", "fit to take over", have, is_met=not against)


def one_is_enough(rules: list[Rule]) -> tuple[Rule, ...]:
    """Return the rules, of which one fit candidate is enough: the others' shortcomings are told, but do not decide."""
    found = [rule for rule in rules if rule.rule.startswith("candidate ")]
    is_enough = any(rule.is_met for rule in found)
    have = f"{sum(rule.is_met for rule in found)} of {len(found)}"
    kept = [rule for rule in rules if rule not in found]
    told = [Rule(f"  {rule.rule}", rule.need, rule.have, rule.is_met or is_enough) for rule in found]
    return (*kept, Rule("a fit candidate", "at least 1", have, is_enough), *told)


def _does_not_run(component: ComponentState) -> Rule:
    need = "process gone, or liveness probes failed"
    match component.process:
        case ProcessUnknown():
            return Rule("it has failed", need, "not known whether it runs", is_met=False)
        case ProcessAbsent() as absent:
            return Rule("it has failed", need, describe_exit(absent), is_met=True)
        case ProcessRunning():
            is_met = component.status is Status.DOWN or bool(duty.restart_reason(component))
            have = duty.restart_reason(component) or component.reason or f"runs, {component.status}"
            return Rule("it has failed", need, have, is_met)


def _time_has_come(component: ComponentState, now: Instant) -> Rule:
    left = component.not_before - now
    return Rule("back-off over", "now", f"in {show_duration(left)}" if left > 0 else "now", left <= 0)


def _recorded(state: State, service: ServiceName, component: ComponentId | None = None) -> tuple[str, ...]:
    return tuple(
        f"{held.subject} {held.action} ({held.rule}): {held.why}"
        for held in state.withheld.get(service, ())
        if component is None or held.subject == component
    )
