"""What this host tells the others of its members. Pure: read off the state of its own loop."""

from holdfast.detect.judging import share_of
from holdfast.failover import candidates, leaving, reading
from holdfast.failover.placing import why_move
from holdfast.failover.routing import wanted_routing
from holdfast.model.cluster import MemberReport
from holdfast.model.duty import (
    has_role,
    is_usable,
    is_wanted,
    may_linger,
    may_run,
    member_policy,
    pause_of,
    waits_for,
    why_not_primary,
)
from holdfast.model.ids import ComponentId, member_of, service_of
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessUnknown, State
from holdfast.model.time import Instant

_UNNAMED = "the file of its host no longer names it"


def report_members(state: State, now: Instant) -> dict[ComponentId, MemberReport]:
    """Return how each member here is, those that the file no longer names included while they may run."""
    found: dict[ComponentId, MemberReport] = {}
    for service in state.policy.services.values():
        if service.is_builtin:
            continue
        lanes = wanted_routing(state, service, now)[0].lanes if service.traffic is not None else {}
        for component in (*state.members(service.name), *state.strays(service.name)):
            lane = lanes.get(member_of(component.id), Lane.DOWN)
            found[component.id] = _report(state, service, component, lane, now)
    if state.has_strays():
        found |= {
            component.id: MemberReport(
                status=component.status,
                role=component.role,
                epoch=component.epoch,
                reason=component.reason,
                unfit=_UNNAMED,
                leaving=_UNNAMED,
                is_clear=_is_gone(component),
            )
            for component in state.components.values()
            if service_of(component.id) not in state.policy.services
        }
    return found


def _report(
    state: State, service: ServicePolicy, component: ComponentState, lane: Lane, now: Instant
) -> MemberReport:
    stable_after = service.restart.stable_after
    return MemberReport(
        status=component.status,
        role=_role(service, component),
        epoch=component.epoch,
        lane=lane,
        share=share_of(component),
        reason=component.reason,
        unfit=_unfit(state, service, component, now) if service.is_exclusive else "",
        leaving=_leaving(state, service, component, now) if service.is_exclusive else "",
        is_stable=component.status is Status.UP and now - component.status_since >= stable_after,
        is_clear=_is_clear(service, component),
        is_spent=component.gave_up_at is not None and isinstance(component.process, ProcessAbsent),
        unread=reading.why_unread(state, service, component, now),
    )


def _role(service: ServicePolicy, component: ComponentState) -> Role:
    if service.mode is Mode.SINGLETON and may_run(component) and component.epoch:
        return Role.PRIMARY if component.role is Role.PRIMARY else Role.PROMOTING
    return component.role


def _is_clear(service: ServicePolicy, component: ComponentState) -> bool:
    """Tell whether it is proven that the member does not serve."""
    if isinstance(component.process, ProcessUnknown):
        return False
    if _is_gone(component):
        return True
    is_promoting = component.flight is not None and component.flight.action == "promote"
    is_standby = service.mode is Mode.ACTIVE_STANDBY and not has_role(component)
    return is_standby and not is_promoting and not component.fence


def _is_gone(component: ComponentState) -> bool:
    is_known = not isinstance(component.process, ProcessUnknown)
    return is_known and not may_run(component) and not may_linger(component)


def _unfit(state: State, service: ServicePolicy, component: ComponentState, now: Instant) -> str:
    """Return why the member cannot be given the lease now; empty if it can."""
    if state.is_going_down:
        return "everything on its host is being stopped"
    if member_policy(state, component.id) is None:
        return _UNNAMED
    pause = pause_of(state, service.name, now)
    if pause is not None:
        return f"its host is paused by {pause.by}"
    if service.mode is Mode.ACTIVE_STANDBY:
        if component.role is Role.PRIMARY and is_usable(component) and component.drain is None:
            return ""
        return why_not_primary(component, now, in_need=True)
    if component.drain is not None:
        return "drained by an operator"
    if component.gave_up_at is not None and not is_usable(component):
        return "its restart budget is spent"
    if missing := waits_for(state, service.name):
        return f"waits for {', '.join(missing)}"
    if is_wanted(state, component.id):
        return ""
    return candidates.why_not_start(component, now)


def _leaving(state: State, service: ServicePolicy, component: ComponentState, now: Instant) -> str:
    if pause_of(state, service.name, now) is not None:
        return ""
    if state.is_going_down:
        return "everything on its host is being stopped"
    if member_policy(state, component.id) is None:
        return _UNNAMED
    if service.mode is Mode.ACTIVE_STANDBY:
        if not has_role(component) and component.status in (Status.UP, Status.SUSPECT):
            return ""
        return leaving.why_leave(state, service, component, now)
    return why_move(state, service, component)
