"""When the core has to be asked again though nothing happens: the soonest of its own deadlines."""

from holdfast.loop.observe_finished import flight_of
from holdfast.model.state import State
from holdfast.model.time import Instant


def next_wake(state: State, now: Instant) -> Instant | None:
    """Return the next deadline, at the earliest `now`; None if only events can change anything."""
    named = (state.services[name] for name in state.policy.services)  # what is no longer named has no turns
    deadlines = [service.wake_at for service in named if service.wake_at is not None]
    for subject in state.flights.values():
        flight = flight_of(state, subject)
        if flight is not None:
            deadlines.append(flight.deadline)
    return max(min(deadlines), now) if deadlines else None


def soonest(wakes: tuple[Instant, ...], now: Instant) -> Instant | None:
    """Return the first of `wakes` that is still to come."""
    return min((wake for wake in wakes if wake > now), default=None)
