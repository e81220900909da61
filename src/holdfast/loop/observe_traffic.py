"""What the balancer does, read back from it. What differs from what it was told makes that unknown again."""

from holdfast.model.events import MemberTraffic, TrafficLost, TrafficSeen
from holdfast.model.ids import MemberName
from holdfast.model.routing import Lane
from holdfast.model.state import ServiceState, State
from holdfast.model.value import replace


def seen(state: State, event: TrafficSeen) -> State:
    """Take in one look at one service, unless it was told something since the look began."""
    service = state.services.get(event.service)
    if service is None or service.flight is not None or service.routed_at > event.taken_at:
        return state
    after = replace(service, seen=event.members, seen_active=event.active)
    if not service.seen:  # it answers again: whatever it refused before need not hold now
        after = replace(after, not_before=0, route_failures=0)
    if has_drifted(service, event.active, event.members):
        after = replace(after, routed=None)
    return state if after == service else state.with_service(after)


def has_drifted(
    service: ServiceState, active: MemberName | None, members: dict[MemberName, MemberTraffic]
) -> bool:
    """Tell whether the balancer does other than it was told."""
    routed = service.routed
    if routed is None:
        return False
    if routed.active is not None and active != routed.active:
        return True
    return any(_differs(lane, members.get(member)) for member, lane in routed.lanes.items())


def _differs(told: Lane, member: MemberTraffic | None) -> bool:
    if member is None:
        return True
    match told:
        case Lane.IN:
            # Its own checks may keep a member down that we think well of: that is its right, not drift.
            return member.lane in (Lane.DRAIN, Lane.OUT)
        case Lane.DOWN:
            # Its own checks may raise what we know to be dead (a kernel that still accepts): tell it again.
            return member.lane is Lane.IN and member.is_up
        case Lane.DRAIN:
            return member.lane is Lane.IN
        case Lane.OUT:
            return member.lane is not Lane.OUT


def lost(state: State, event: TrafficLost) -> State:
    """Take in that the balancer does not answer."""
    services = {
        name: replace(service, routed=None, seen={})
        if service.routed_at <= event.taken_at and service.flight is None
        else service
        for name, service in state.services.items()
    }
    if services == state.services:
        return state
    return replace(state, services=services)
