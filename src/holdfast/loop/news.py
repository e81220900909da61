"""Whether an event changes anything. In the steady state nothing does, and no turn is run."""

from holdfast.loop import observe_traffic
from holdfast.loop.observe import observe
from holdfast.model import events
from holdfast.model.duty import restart_reason
from holdfast.model.state import State


def is_news(state: State, event: events.Event) -> bool:
    """Tell whether the event has to be taken through a turn."""
    match event:
        case events.Probed() | events.Surveyed():
            at = event.taken_at if isinstance(event, events.Surveyed) else event.observation.at
            return not _is_steady(state, event) and observe(state, event, at) is not state
        case events.TrafficSeen():
            return _is_traffic_news(state, event)
        case events.TrafficLost():
            return observe(state, event, event.taken_at) is not state
        case _:
            return True


def _is_steady(state: State, event: events.Probed | events.Surveyed) -> bool:
    """Tell quickly whether a probe just said again what it said before."""
    if isinstance(event, events.Surveyed):
        return False
    component = state.components.get(event.component)
    seen = component.probes.get(event.probe) if component is not None else None
    if component is None or seen is None or seen.last is None or component.reason:
        return False
    is_same = seen.last.outcome is event.observation.outcome
    # A verdict of True with its streak above zero and an equal answer: counters are full or about to be.
    return is_same and seen.passed is True and seen.streak > 0 and seen.failing_from is None


def _is_traffic_news(state: State, event: events.TrafficSeen) -> bool:
    if observe_traffic.ends_silence(state, event):
        return True
    service = state.services.get(event.service)
    if service is None or service.seen_active != event.active or service.seen.keys() != event.members.keys():
        return service is not None
    if observe_traffic.has_drifted(service, event):
        return True
    counts_sessions = any(member.drain or restart_reason(member) for member in state.members(event.service))
    if service.seen_readers.keys() != event.readers.keys():
        return True
    pairs = [(service.seen[name], member) for name, member in event.members.items()]
    pairs += [(service.seen_readers[name], member) for name, member in event.readers.items()]
    for known, member in pairs:
        if (known.lane, known.is_up) != (member.lane, member.is_up):
            return True
        if counts_sessions and known.sessions != member.sessions:
            return True
    return False
