"""What became of decisions: carried out, failed, or nobody knows."""

from holdfast.loop.observe_process import gone
from holdfast.model.duty import balancer_process
from holdfast.model.events import Ending, Exit, Finished
from holdfast.model.ids import DecisionId
from holdfast.model.policy import Mode
from holdfast.model.standing import Role
from holdfast.model.state import (
    ComponentState,
    InFlight,
    ProcessAbsent,
    ProcessRunning,
    ProcessUnknown,
    ServiceState,
    State,
)
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import replace

# After an action failed the next one waits, so that a world that refuses at once is not asked in a tight loop.
RETRY_AFTER = SECOND
UNBEGUN_AFTER = 100 * MILLISECOND  # what was not permitted may be in a moment
UNBEGUN_AFTER_MAX = 800 * MILLISECOND  # or only when somebody comes back
REFUSED_QUICKLY = 10  # so often in a row it is tried again as soon; then it waits twice as long each time
PROMOTE_AFTER_MAX = 8 * SECOND  # a promotion that fails again and again waits twice as long each time
REROUTE_AFTER = 200 * MILLISECOND  # doubles with each failure in a row
REROUTE_AFTER_MAX = 5 * SECOND


def finished(state: State, event: Finished, now: Instant) -> State:
    """Take in the end of a decision, unless it is no longer in flight."""
    subject = state.flights.get(event.decision)
    if subject is None:
        return state
    state = _landed(state, event.decision)
    if "/" not in subject:
        service = state.services.get(subject)
        if service is None:
            return state
        return _answered(state, service, event).with_service(_routed(service, event, now))
    component = state.components.get(subject)
    if component is None or component.flight is None:
        return state
    action = component.flight.action
    component = replace(component, flight=None)
    match action:
        case "start":
            component = _started(state, component, event, now)
        case "stop":
            component = _stopped(component, event, now)
        case "promote":
            component = _promoted(component, event, now)
        case "demote":
            component = _demoted(component, event, now)
        case _:
            raise AssertionError(action)  # name_of() knows only these about components
    return state.with_component(component)


def expire(state: State, now: Instant) -> State:
    """Give up the decisions whose deadline passed: whether they were carried out is unknown."""
    for id_ in [id_ for id_, subject in state.flights.items() if _is_overdue(state, subject, now)]:
        state = finished(state, Finished(id_, Ending.UNKNOWN, "no answer within its time limit"), now)
    return state


def flight_of(state: State, subject: str) -> InFlight | None:
    """Return the decision in flight about a component or a service."""
    entry = state.components.get(subject) if "/" in subject else state.services.get(subject)
    return entry.flight if entry is not None else None


def _is_overdue(state: State, subject: str, now: Instant) -> bool:
    flight = flight_of(state, subject)
    return flight is None or flight.deadline <= now


def _landed(state: State, decision: DecisionId) -> State:
    return replace(state, flights={id_: subject for id_, subject in state.flights.items() if id_ != decision})


def _started(state: State, component: ComponentState, event: Finished, now: Instant) -> ComponentState:
    if event.is_unbegun:
        return replace(component, not_before=now + UNBEGUN_AFTER)
    match event.ending:
        case Ending.UNKNOWN:
            return replace(component, process=ProcessUnknown(now))
        case Ending.FAILED:
            failed = gone(component, None, Exit(detail=event.error), now, is_ours=False, is_clean=True)
            return replace(failed, not_before=now)
        case Ending.DONE:
            pass
    assert event.incarnation is not None
    process = component.process
    if isinstance(process, ProcessAbsent) and process.last == event.incarnation:
        return component  # it ended before the news of its start arrived
    if isinstance(process, ProcessRunning) and process.incarnation == event.incarnation:
        return component
    service = state.policy.services.get(component.id.partition("/")[0])
    if service is not None and service.mode is Mode.SINGLETON:
        component = replace(component, role=Role.PRIMARY, role_since=now)
    running = ProcessRunning(event.incarnation, now, run_digest=component.run_digest)
    return replace(component, process=running, probes={})


def _stopped(component: ComponentState, event: Finished, now: Instant) -> ComponentState:
    if event.ending is Ending.DONE:
        if isinstance(component.process, ProcessAbsent):
            # The end of its main process was seen before this news, which is of everything it had started.
            return replace(component, process=replace(component.process, is_clean=True))
        last = component.process.incarnation if isinstance(component.process, ProcessRunning) else None
        return gone(component, last, event.exit, now, is_ours=True, is_clean=True)
    # It may still run, wholly or in part: only a survey tells, and the next attempt is not gentle.
    fence = component.fence or f"it could not be stopped: {event.error}"
    return replace(component, fence=fence, not_before=now + RETRY_AFTER)


def _promoted(component: ComponentState, event: Finished, now: Instant) -> ComponentState:
    if component.role is not Role.PROMOTING:
        return component  # it died meanwhile
    if event.is_unbegun:
        refused = component.promotions_refused + 1
        wait = _doubled(UNBEGUN_AFTER, max(0, refused - REFUSED_QUICKLY), UNBEGUN_AFTER_MAX)
        component = replace(component, role=Role.STANDBY, role_since=now)
        return replace(component, not_before=now + wait, promotions_refused=refused)
    component = replace(component, promotions_refused=0)
    if event.ending is Ending.DONE:
        return replace(component, role=Role.PRIMARY, role_since=now, promotions_failed=0)
    # Half promoted may be enough to serve, so it is not a standby again until it was demoted, which is wished next.
    wait = _doubled(RETRY_AFTER, component.promotions_failed, PROMOTE_AFTER_MAX)
    return replace(component, not_before=now + wait, promotions_failed=component.promotions_failed + 1)


def _demoted(component: ComponentState, event: Finished, now: Instant) -> ComponentState:
    if event.ending is Ending.DONE:
        return replace(component, role=Role.STANDBY, role_since=now)
    if isinstance(component.process, ProcessAbsent):
        return component
    return replace(
        component, fence=f"it could not be demoted and might still serve: {event.error}", not_before=now
    )


def _answered(state: State, service: ServiceState, event: Finished) -> State:
    """Return the state that knows that the balancer answers: it confirmed what this life of it was told."""
    process = balancer_process(state)
    if event.ending is not Ending.DONE or process is None or service.flight is None:
        return state
    if service.flight.issued_at < process.since or state.balancer_answered == process.incarnation:
        return state
    return replace(state, balancer_answered=process.incarnation)


def _routed(service: ServiceState, event: Finished, now: Instant) -> ServiceState:
    if event.ending is Ending.DONE:
        return replace(
            service, routed=service.routing, routed_at=now, routing=None, flight=None, route_failures=0
        )
    wait = _doubled(REROUTE_AFTER, service.route_failures, REROUTE_AFTER_MAX)
    return replace(
        service,
        routed=None,
        routing=None,
        flight=None,
        not_before=now + wait,
        route_failures=service.route_failures + 1,
    )


def _doubled(first: Duration, times: int, most: Duration) -> Duration:
    return min(first << min(times, 10), most)
