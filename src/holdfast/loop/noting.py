"""Noting what was judged: statuses and since when, falls, holds, health, who serves. Memory, no decisions."""

from holdfast.detect import health, judging
from holdfast.failover import roles
from holdfast.model.duty import (
    USABLE,
    elsewhere,
    entitlement_of,
    is_unjudged,
    is_usable,
    is_wanted,
    pause_of,
    primary_of,
    waits_for,
)
from holdfast.model.ids import ServiceName, component_id, member_of
from holdfast.model.policy import FlapPolicy, Mode, RestartPolicy, ServicePolicy
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessUnknown, ServiceState, State, Switchover
from holdfast.model.time import MINUTE, Instant
from holdfast.model.value import replace

# A planned move that is not done by then is dropped: the reason it waits for may never go away.
SWITCHOVER_FOR = 2 * MINUTE


def note(state: State, name: ServiceName, now: Instant) -> tuple[State, tuple[Instant, ...]]:
    """Return the state with one service judged, and when a judgement changes by itself."""
    policy = state.policy.services[name]
    wakes: list[Instant] = []
    state = _note_assigned(state, policy)
    for component in state.members(name):
        judgement = judging.judge(state, component, now)
        if judgement.wake is not None:
            wakes.append(judgement.wake)
        after = _note_component(state, policy, component, judgement, now)
        if after is not component:
            state = state.with_component(after)
        if after.held_until is not None:
            wakes.append(after.held_until)
    state, wake = _note_service(state, policy, now)
    pause = pause_of(state, name, now)
    wakes += [at for at in (wake, pause.until if pause else None) if at is not None]
    return state, tuple(wakes)


def _note_assigned(state: State, policy: ServicePolicy) -> State:
    """For exclusive services: who serves now is who should, until something says otherwise."""
    if policy.mode is Mode.ACTIVE_ACTIVE:
        return state
    service = state.services[policy.name]
    if policy.is_leased and policy.mode is Mode.SINGLETON and state.entitlements is not None:
        entitlement = entitlement_of(state, policy.name)
        assigned = entitlement.member if entitlement is not None else None
        return _with_epoch(
            state, service if assigned == service.assigned else replace(service, assigned=assigned)
        )
    if policy.mode is Mode.SINGLETON and service.assigned is not None:
        return _with_epoch(state, service)
    holder = primary_of(state, policy.name)
    assigned = member_of(holder.id) if holder is not None else service.assigned
    return _with_epoch(
        state, service if assigned == service.assigned else replace(service, assigned=assigned)
    )


def _with_epoch(state: State, service: ServiceState) -> State:
    """Lift the service's epoch to the highest that any member was seen with: it only grows."""
    epoch = max((member.epoch for member in state.members(service.name)), default=0)
    if epoch > service.epoch:
        service = replace(service, epoch=epoch)
    return state if service is state.services[service.name] else state.with_service(service)


def _note_component(
    state: State, policy: ServicePolicy, component: ComponentState, judgement: judging.Judgement, now: Instant
) -> ComponentState:
    status, reason = judgement.status, judgement.reason
    if component.held_until is not None and now >= component.held_until and status is Status.UP:
        component = replace(component, held_until=None)
    if component.gave_up_at is not None and _deserves_trust(policy.restart, component, status, now):
        component = replace(component, gave_up_at=None)
    if status is component.status:
        return component if reason == component.reason else replace(component, reason=reason)
    if status is Status.DOWN and component.status is not Status.DOWN:
        component = _fallen(state, policy, component, now)
    is_up = status in (Status.UP, Status.DRAINING)
    keeps_since = {status, component.status} <= {Status.UP, Status.SUSPECT}
    return replace(
        component,
        status=status,
        status_since=component.status_since if keeps_since and component.status_since else now,
        reason=reason,
        has_been_up=component.has_been_up or is_up,
        up_digest=component.run_digest if is_up else component.up_digest,
        excused=component.excused and not is_up,
    )


def _deserves_trust(rules: RestartPolicy, component: ComponentState, status: Status, now: Instant) -> bool:
    """Tell whether what was given up is over: it is stable again, or it has rested while another one serves."""
    assert component.gave_up_at is not None
    if status is Status.STOPPED:
        return now - component.gave_up_at >= rules.retry_after
    return status is component.status is Status.UP and now - component.status_since >= rules.stable_after


def _fallen(state: State, policy: ServicePolicy, component: ComponentState, now: Instant) -> ComponentState:
    was_usable = is_usable(component)
    if was_usable and now - component.status_since >= policy.restart.stable_after:
        component = replace(component, attempts=0)
    if waits_for(state, policy.name):
        component = replace(component, excused=True)
    return _flapped(policy.flapping, component, now) if was_usable else component


def _flapped(rules: FlapPolicy, component: ComponentState, now: Instant) -> ComponentState:
    """Count the fall; past the limit the member is held out, each time twice as long."""
    fell_at = (*(at for at in component.fell_at if now - at < rules.window), now)
    if len(fell_at) <= rules.falls_max:
        return replace(component, fell_at=fell_at)
    is_calm = component.held_until is None and now - component.status_since >= rules.window
    holds = 0 if is_calm else component.holds
    hold = min(rules.hold_min << min(holds, 30), rules.hold_max)
    return replace(component, fell_at=(), held_until=now + hold, holds=holds + 1)


def _note_service(state: State, policy: ServicePolicy, now: Instant) -> tuple[State, Instant | None]:
    service = state.services[policy.name]
    serving = serves(state, policy) or (service.serving and _is_only_unseen(state, policy))
    switchover, wake = _switchover(state, policy, service, now)
    score = health.service_health(state, policy.name)
    pause = service.pause if service.pause is not None and now < service.pause.until else None
    if (score, serving, switchover, pause) == (
        service.health,
        service.serving,
        service.switchover,
        service.pause,
    ):
        return state, wake
    after = replace(
        service,
        health=score,
        serving=serving,
        serving_since=service.serving_since if serving == service.serving else now,
        has_served=service.has_served or serving,
        switchover=switchover,
        pause=pause,
    )
    return state.with_service(after), wake


def serves(state: State, policy: ServicePolicy) -> bool:
    """Tell whether the service has at least one member that may and can serve."""
    others = elsewhere(state, policy)
    if any(
        report.status in USABLE and (not policy.is_exclusive or report.role is Role.PRIMARY)
        for report in others
    ):
        return True
    match policy.mode:
        case Mode.ACTIVE_ACTIVE:
            return any(is_usable(member) for member in state.members(policy.name))
        case Mode.ACTIVE_STANDBY:
            holder = primary_of(state, policy.name)
            return holder is not None and holder.role is Role.PRIMARY and is_usable(holder)
        case Mode.SINGLETON:
            return any(is_usable(m) and is_wanted(state, m.id) for m in state.members(policy.name))


def _is_only_unseen(state: State, policy: ServicePolicy) -> bool:
    """Tell whether who served may well go on serving: an agent that has just started has not asked it yet."""
    if policy.mode is Mode.ACTIVE_STANDBY:
        holder = primary_of(state, policy.name)
        members = [holder] if holder is not None else []
    else:
        members = [member for member in state.members(policy.name) if is_wanted(state, member.id)]
    return any(
        is_unjudged(member) or (isinstance(member.process, ProcessUnknown) and not state.surveyed_at)
        for member in members
    )


def _switchover(
    state: State, policy: ServicePolicy, service: ServiceState, now: Instant
) -> tuple[Switchover | None, Instant | None]:
    """Return the planned move that is still to be made: an operator's, or going back to the first member."""
    switchover = service.switchover
    if switchover is None:
        if policy.mode is not Mode.ACTIVE_STANDBY:
            return None, None
        back, wake = roles.wanted_failback(state, policy, now)
        why = "the file asks for failback, and it is stable again"
        return (Switchover(back, "holdfast", why, now) if back else None), wake
    to = state.components.get(component_id(policy.name, switchover.to))
    is_done = to is not None and to.role is Role.PRIMARY
    if to is None or is_done or now - switchover.since >= SWITCHOVER_FOR:
        return None, None
    if policy.mode is Mode.ACTIVE_STANDBY and to.status is Status.DOWN:
        return None, None  # it fell before the move: staying is better
    return switchover, switchover.since + SWITCHOVER_FOR


def forget_old_restarts(rules: RestartPolicy, component: ComponentState, now: Instant) -> ComponentState:
    """Return the component without restarts that no longer count, so that the state stays small."""
    kept = tuple(at for at in component.restarted_at if now - at < rules.window)
    return component if len(kept) == len(component.restarted_at) else replace(component, restarted_at=kept)
