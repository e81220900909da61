"""Which services a turn has to go over: those its event can concern, and now and then all of them."""

from holdfast.model import events
from holdfast.model.ids import ServiceName, service_of
from holdfast.model.state import State
from holdfast.model.time import SECOND, Instant

LOOK_AT_ALL_EVERY = SECOND  # the safety net under the scoping: what it missed is a second late, not lost


def concerned(before: State, state: State, event: events.Event, now: Instant) -> tuple[ServiceName, ...]:
    """Return the services that the turn goes over, dependencies before what depends on them."""
    policy = state.policy
    named = _named(before, event)
    if state.is_going_down:
        return tuple(policy.services)  # what ends lets its dependencies end next, against the usual direction
    if named is None or now - state.looked_at >= LOOK_AT_ALL_EVERY:
        return tuple(policy.services)
    due = {
        name
        for name, service in state.services.items()
        if service.wake_at is not None and service.wake_at <= now
    }
    if named:
        entry = policy.services.get(named)
        if entry is not None and entry.is_builtin and not isinstance(event, events.Probed):
            return tuple(policy.services)  # the balancer itself changed: everybody's traffic is concerned
        due |= {named, *policy.dependents(named)}
    return tuple(name for name in policy.services if name in due)


def _named(state: State, event: events.Event) -> ServiceName | None:
    """Return the one service that the event is about, "" for none, None for all."""
    match event:
        case (
            events.Probed(component=component)
            | events.ProcessExited(component=component)
            | events.ProcessStopped(component=component)
            | events.ProcessContinued(component=component)
            | events.ProcessDying(component=component)
            | events.DrainRequested(component=component)
        ):
            return service_of(component)
        case events.TrafficSeen(service=service) | events.SwitchoverRequested(service=service):
            return service
        case events.Finished(decision=decision):
            return service_of(state.flights.get(decision, ""))
        case events.Ticked():
            return ""
        case _:
            return None
