"""Singleton: one member runs, never two.

A member is started only when every other one is proven absent. What fails is restarted where it is, by
recovery; it moves when its budget there is spent, when it is drained, or when an operator moves it.
"""

from holdfast.failover import candidates
from holdfast.model.decisions import Start, Stop
from holdfast.model.duty import may_linger, may_run, others_holding, waits_for
from holdfast.model.ids import component_id, member_of
from holdfast.model.policy import ServicePolicy
from holdfast.model.state import ComponentState, ProcessUnknown, State
from holdfast.model.time import Instant
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold


def place_singleton(state: State, policy: ServicePolicy, now: Instant) -> Wishes:
    """Return what it takes that the right member, and only it, runs."""
    service = state.services[policy.name]
    if state.is_going_down or policy.is_leased:
        return (
            NOTHING  # leased: whoever holds the lease is wanted, and recovery starts and stops what is wanted
        )
    unproven = candidates.unproven(state, policy.name)
    if unproven:
        why = f"not yet known whether {', '.join(unproven)} runs"
        return withhold(policy.name, "start", "unproven", why)
    if service.assigned is None:
        return _adopt_or_choose(state, policy, now)
    assigned = state.components[component_id(policy.name, service.assigned)]
    reason = why_move(state, policy, assigned)
    if not reason:
        return NOTHING
    target = _target(state, policy, assigned, now)
    if target is None:
        why = f"{reason}; but {_why_none(state, policy, assigned, now)}"
        return withhold(
            assigned.id, "move", "no_candidate", why, until=candidates.soonest_retry(state, policy.name, now)
        )
    if blocking := [other for other in others_holding(state, target.id) if other.id != assigned.id]:
        names = ", ".join(member_of(other.id) for other in blocking)
        return withhold(target.id, "start", "never_two", f"{names} might still run, and never two may")
    if may_run(assigned) or may_linger(assigned):
        if assigned.flight is not None or isinstance(assigned.process, ProcessUnknown):
            return NOTHING
        if now < assigned.not_before:
            return Wishes(wakes=(assigned.not_before,))
        return wish(Stop(assigned.id, at_once=False, why=f"{reason}; {member_of(target.id)} takes over"))
    return _start(state, policy, target, f"{reason}; no other member runs")


def _adopt_or_choose(state: State, policy: ServicePolicy, now: Instant) -> Wishes:
    everyone = (*state.members(policy.name), *state.strays(policy.name))
    if running := [member_of(member.id) for member in everyone if may_run(member)]:
        # Noting assigns the newest one that runs; recovery stops the others.
        why = f"{', '.join(running)} might still run, and never two may"
        return withhold(policy.name, "start", "never_two", why)
    for member in state.members(policy.name):
        if not candidates.why_not_start(member, now):
            return _start(state, policy, member, "first choice of the file that may start")
    text = "; ".join(
        f"{member_of(member.id)}: {candidates.why_not_start(member, now)}"
        for member in state.members(policy.name)
    )
    return withhold(
        policy.name, "start", "no_candidate", text, until=candidates.soonest_retry(state, policy.name, now)
    )


def _start(state: State, policy: ServicePolicy, member: ComponentState, why: str) -> Wishes:
    missing = waits_for(state, policy.name)
    if missing:
        waiting = f"waits for {', '.join(missing)}, which it depends on"
        return withhold(member.id, "start", "dependency_down", waiting)
    return wish(Start(member.id, state.services[policy.name].epoch + 1, 0, why))


def why_move(state: State, policy: ServicePolicy, assigned: ComponentState) -> str:
    """Return why a singleton should run elsewhere than where it is assigned; empty if it should not."""
    switchover = state.services[policy.name].switchover
    if switchover is not None and switchover.to != member_of(assigned.id):
        return f"switchover asked for by {switchover.by}"
    has_others = len(policy.everywhere) > 1
    if has_others and assigned.drain is not None:
        return f"drained by {assigned.drain.by}"
    if has_others and assigned.gave_up_at is not None and not may_run(assigned):
        return f"{member_of(assigned.id)} fails again after each restart"
    return ""


def _target(
    state: State, policy: ServicePolicy, assigned: ComponentState, now: Instant
) -> ComponentState | None:
    switchover = state.services[policy.name].switchover
    others = [member for member in state.members(policy.name) if member.id != assigned.id]
    if switchover is not None:
        others.sort(key=lambda member: member_of(member.id) != switchover.to)
    return next((member for member in others if not candidates.why_not_start(member, now)), None)


def _why_none(state: State, policy: ServicePolicy, assigned: ComponentState, now: Instant) -> str:
    others = [member for member in state.members(policy.name) if member.id != assigned.id]
    return (
        "; ".join(f"{member_of(m.id)}: {candidates.why_not_start(m, now)}" for m in others)
        or "it has no other member"
    )
