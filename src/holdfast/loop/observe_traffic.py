"""What the balancer does, read back from it. What differs from what it was told makes that unknown again."""

from holdfast.model.duty import LOOKS_IN_SILENCE, balancer_process
from holdfast.model.events import MemberTraffic, TrafficLost, TrafficSeen
from holdfast.model.ids import MemberName
from holdfast.model.routing import Lane
from holdfast.model.state import ServiceState, Silence, State
from holdfast.model.time import Instant
from holdfast.model.value import replace


def seen(state: State, event: TrafficSeen) -> State:
    """Take in one look at one service, unless it was told something since the look began."""
    if ends_silence(state, event):
        process = balancer_process(state)
        answered = process.incarnation if process is not None else ""
        state = replace(state, balancer_silence=None, balancer_answered=answered)
    service = state.services.get(event.service)
    if service is None or service.flight is not None or service.routed_at > event.taken_at:
        return state
    after = replace(service, seen=event.members, seen_active=event.active, seen_readers=event.readers)
    if not service.seen:  # it answers again: whatever it refused before need not hold now
        after = replace(after, not_before=0, route_failures=0)
    if has_drifted(service, event):
        after = replace(after, routed=None)
    return state if after == service else state.with_service(after)


def has_drifted(service: ServiceState, seen: TrafficSeen) -> bool:
    """Tell whether the balancer does other than it was told."""
    routed = service.routed
    if routed is None:
        return False
    if routed.active is not None and seen.active != routed.active:
        return True
    return _differ(routed.lanes, seen.members) or _differ(routed.readers, seen.readers)


def _differ(told: dict[MemberName, Lane], members: dict[MemberName, MemberTraffic]) -> bool:
    return any(_differs(lane, members.get(member)) for member, lane in told.items())


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


def lost(state: State, event: TrafficLost, now: Instant) -> State:
    """Take in that the balancer does not answer."""
    silence = _silence(state, now)
    if silence != state.balancer_silence:
        state = replace(state, balancer_silence=silence)
    services = {
        name: replace(service, routed=None, seen={}, seen_readers={})
        if service.routed_at <= event.taken_at and service.flight is None
        else service
        for name, service in state.services.items()
    }
    if services == state.services:
        return state
    return replace(state, services=services)


def ends_silence(state: State, event: TrafficSeen) -> bool:
    """Tell whether the answer is the first one of a balancer that was silent, or was just started."""
    process = balancer_process(state)
    if process is None or event.taken_at < process.since:
        return False  # an answer of its last life
    return state.balancer_silence is not None or state.balancer_answered != process.incarnation


def _silence(state: State, now: Instant) -> Silence | None:
    if balancer_process(state) is None:
        return None
    before = state.balancer_silence
    if before is None:
        return Silence(now, 1)
    return replace(before, looks=min(before.looks + 1, LOOKS_IN_SILENCE))
