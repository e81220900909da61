"""Ending what runs and should not: what hangs, what is not wanted here, what has to be restarted by plan."""

from holdfast.model.decisions import Stop
from holdfast.model.duty import (
    elsewhere,
    has_left,
    has_lost_lease,
    has_role,
    is_unjudged,
    is_usable,
    is_wanted,
    may_run,
    member_policy,
    next_to_restart,
    restart_reason,
    waits_for,
    why_not_primary,
)
from holdfast.model.ids import ComponentId, member_of, service_of
from holdfast.model.policy import Mode, Purpose, ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import Instant, show_duration
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold


def stop_unwanted(state: State, component: ComponentState) -> Wishes:
    """End a component that runs but is not meant to; when all goes down, dependents first."""
    if isinstance(component.process, ProcessAbsent):
        return wish(Stop(component.id, at_once=True, why="what its last life may have left behind is ended"))
    service = service_of(component.id)
    if not state.is_going_down:
        return wish(_stop_chosen_against(state, component))
    policy = state.policy.services.get(service)
    if policy is not None and policy.is_builtin:
        before: tuple[str, ...] = tuple(name for name in state.policy.services if name != service)
    else:
        before = state.policy.dependents(service)
    for name in before:
        if any(may_run(member) for member in state.members(name)):
            return NOTHING  # its exit brings the next turn
    return wish(Stop(component.id, at_once=False, why="everything is being stopped"))


def _stop_chosen_against(state: State, component: ComponentState) -> Stop:
    policy = state.policy.services.get(service_of(component.id))
    is_lost = policy is not None and has_lost_lease(state, policy) and policy.mode is Mode.SINGLETON
    if is_lost and has_role(component):
        why = "its lease is lost: it must not serve a moment longer"
    elif member_policy(state, component.id) is None:
        why = "the file no longer names it"
    elif policy is not None and policy.is_leased:
        why = "its lease is given up, or another host's"
    else:
        why = "another member was chosen"
    return Stop(component.id, at_once=is_lost or bool(component.fence), why=why)


def mend_running(
    state: State, policy: ServicePolicy, component: ComponentState, process: ProcessRunning, now: Instant
) -> Wishes:
    """Return what a running component needs: usually nothing."""
    if process.is_dying:
        return NOTHING  # its end comes by itself
    if now < component.not_before:
        return Wishes(wakes=(component.not_before,))
    if component.fence:
        return wish(Stop(component.id, at_once=True, why=component.fence))
    if process.stopped_since is not None:
        return _end_frozen(policy, component, process.stopped_since, now)
    if reason := restart_reason(component):
        return _restart_by_plan(state, policy, component, reason, now)
    if component.status is Status.DOWN:
        return _end_failing(state, policy, component, now)
    return NOTHING


def _end_frozen(policy: ServicePolicy, component: ComponentState, since: Instant, now: Instant) -> Wishes:
    # Whoever stopped it (a debugger, a suspend, an operator) gets a moment to let it continue. Traffic left at once.
    due = since + policy.restart.hang_grace
    if now < due:
        why = f"stopped by a signal; it may continue within {show_duration(policy.restart.hang_grace)}"
        return withhold(component.id, "stop", "hang_grace", why, until=due)
    why = f"stopped by a signal for {show_duration(policy.restart.hang_grace)}: only ending it brings it back"
    return wish(Stop(component.id, at_once=True, why=why))


def _end_failing(state: State, policy: ServicePolicy, component: ComponentState, now: Instant) -> Wishes:
    if not _fails_to_live(state, component):
        why = (
            f"{component.reason}: only its readiness fails, so traffic leaves and the process is left running"
        )
        return withhold(component.id, "restart", "readiness_only", why)
    missing = waits_for(state, policy.name)
    if missing:
        why = f"{', '.join(missing)} does not serve: restarting what depends on it would not help"
        return withhold(component.id, "restart", "dependency_down", why)
    first = _goes_first(state, policy, component)
    if first is not None:
        why = f"{first} is being restarted: one at a time, as its process still runs"
        return withhold(component.id, "restart", "one_at_a_time", why)
    others = (m for m in state.members(policy.name) if m.id != component.id)
    if has_role(component) and not all(why_not_primary(other, now, in_need=True) for other in others):
        return NOTHING  # fail-over takes the role first
    # A balancer that does not answer cannot end its sessions in good order either, and all traffic waits for it.
    return wish(Stop(component.id, at_once=policy.is_builtin, why=component.reason))


def _fails_to_live(state: State, component: ComponentState) -> bool:
    """Tell whether what fails asks for a restart: liveness, or a start that never came to an end."""
    if state.policy.services[service_of(component.id)].is_builtin:
        return True
    member = member_policy(state, component.id)
    assert member is not None
    purposes = {probe.name: probe.purpose for probe in member.probes}
    failed = [purposes.get(name) for name, seen in component.probes.items() if seen.passed is False]
    never_ready = component.reason.startswith("not up ")
    return never_ready or any(purpose in (Purpose.LIVENESS, Purpose.STARTUP) for purpose in failed)


def _goes_first(state: State, policy: ServicePolicy, component: ComponentState) -> ComponentId | None:
    """Return the member whose restart has to be over before this one's begins, if there is one.

    So many probes failing at once may be the probe's fault; restarting all at once would make an outage of it.
    """
    for other in state.members(policy.name):
        if other.id == component.id or not is_wanted(state, other.id):
            continue
        is_earlier = policy.components.index(other.id) < policy.components.index(component.id)
        is_failing = other.status is Status.DOWN and isinstance(other.process, ProcessRunning)
        is_starting = other.status is Status.UNKNOWN and may_run(other)
        is_ending = other.flight is not None and other.flight.action == "stop"
        if is_ending or is_starting or (is_earlier and is_failing and _fails_to_live(state, other)):
            return other.id
    return None


def _restart_by_plan(
    state: State, policy: ServicePolicy, component: ComponentState, reason: str, now: Instant
) -> Wishes:
    others = [
        other
        for other in state.members(policy.name)
        if other.id != component.id and is_wanted(state, other.id)
    ]
    if is_usable(component):
        somebody_else = any(is_usable(other) for other in others)
    else:
        somebody_else = any(not why_not_primary(other, now, in_need=True) for other in others)
    if (
        policy.is_leased and policy.mode is Mode.ACTIVE_STANDBY
    ):  # a singleton's move is no shorter than its restart
        somebody_else |= any(not report.unfit for report in elsewhere(state, policy))
    if has_role(component) and somebody_else:
        return withhold(
            component.id, "restart", "role_first", f"{reason}; its role moves to another member first"
        )
    if is_unjudged(component):
        # It may well be the one that serves: an agent that has just started does not know yet.
        return withhold(component.id, "restart", "unjudged", f"{reason}; how it is was not asked yet")
    if component.together or not is_usable(component):
        return wish(Stop(component.id, at_once=False, why=reason))
    due = next_to_restart(state, policy.name)
    if due is None or due.id != component.id:
        why = f"{reason}; one member at a time, and only while the others can serve"
        return withhold(component.id, "restart", "one_at_a_time", why)
    if not has_left(state, component):
        return _wait_for_sessions(state, policy, component, reason, now)
    return wish(Stop(component.id, at_once=False, why=reason))


def _wait_for_sessions(
    state: State, policy: ServicePolicy, component: ComponentState, reason: str, now: Instant
) -> Wishes:
    assert policy.traffic is not None  # otherwise there is nothing that has to leave
    service = state.services[policy.name]
    # The time that its sessions have begins when the balancer was told, not with whatever it was told before.
    is_leaving = (
        service.flight is None
        and service.routed is not None
        and service.routed.lanes.get(member_of(component.id)) is not Lane.IN
        and service.routed.readers.get(member_of(component.id)) is not Lane.IN
    )
    ends = service.routed_at + policy.traffic.drain_timeout
    if is_leaving and now >= ends:
        return wish(Stop(component.id, at_once=False, why=f"{reason}; its last sessions had their time"))
    why = f"{reason}; its sessions end first, for at most {show_duration(policy.traffic.drain_timeout)}"
    return withhold(component.id, "restart", "draining", why, until=ends if is_leaving else None)
