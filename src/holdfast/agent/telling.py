"""Telling: the log lines of one turn, as a function of what the turn was.

Only changes are told; the steady state is silent. A line names who it is about, one word that can be searched for,
why, and the incident it belongs to.
"""

from collections.abc import Iterator
from typing import assert_never

from holdfast.agent.log import Level, Line
from holdfast.agent.turning import Turned
from holdfast.model.decisions import Decision, Route, name_of, subject_of
from holdfast.model.events import (
    AgentStarted,
    Command,
    DownRequested,
    DrainRequested,
    Ending,
    Event,
    Finished,
    PauseRequested,
    PolicyChanged,
    RestartRequested,
    ResumeRequested,
    SwitchoverRequested,
    TrafficLost,
)
from holdfast.model.ids import service_of
from holdfast.model.incidents import Incident
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, Pause, ProcessUnknown, ServiceState, State
from holdfast.model.time import show_duration

_FAILURES_TOLD = 3  # of one Route in a row: it is tried on and on, and `status` tells the rest
_LEVELS = {Status.DOWN: Level.ERROR, Status.SUSPECT: Level.WARN}


def lines_of(turned: Turned) -> tuple[Line, ...]:
    """Return what to say about this turn, in the order in which it happened."""
    return (
        *_of_event(turned.event, turned.before),
        *_of_components(turned.before, turned.after),
        *_of_services(turned.before, turned.after),
        *_of_incidents(turned.before, turned.after),
        *(
            _of_decision(decision)
            for decision in turned.decisions
            if not _is_told_enough(subject_of(decision), turned.before)
        ),
        *_of_withheld(turned.before, turned.after),
    )


def _of_event(event: Event, before: State) -> Iterator[Line]:
    match event:
        case AgentStarted(version=version):
            yield Line(Level.INFO, "agent", "started", f"holdfast {version}")
        case PolicyChanged(policy=policy):
            word = "reloaded" if before.surveyed_at else "configured"
            yield Line(
                Level.INFO,
                "agent",
                word,
                f"{policy.system}: {len(policy.services)} services, revision {policy.revision}",
            )
        case Finished(ending=ending, error=error) if ending is not Ending.DONE:
            subject = before.flights.get(event.decision)
            if subject is not None and not _is_told_enough(subject, before):
                level = Level.INFO if _is_just_opening(subject, before) else Level.WARN
                yield Line(level, subject, ending.value, error, _incident_of(subject, before))
        case TrafficLost(detail=detail) if not before.is_going_down:
            yield Line(Level.WARN, "agent", "balancer", detail)
        case (
            SwitchoverRequested()
            | DrainRequested()
            | PauseRequested()
            | ResumeRequested()
            | RestartRequested()
            | DownRequested()
        ):
            yield _of_command(event)
        case _:
            return


def _is_just_opening(subject: str, before: State) -> bool:
    """Tell whether `subject` is a service whose balancer has not answered yet since it was started: it may be slow."""
    service = before.services.get(subject)
    return service is not None and not service.seen and not service.route_failures


def _is_told_enough(subject: str, before: State) -> bool:
    """Tell whether `subject` is a service whose traffic the balancer refuses to turn, again and again."""
    service = before.services.get(subject)
    return service is not None and service.route_failures >= _FAILURES_TOLD


def _of_command(event: Command) -> Line:
    match event:
        case SwitchoverRequested(service=service, to=to):
            subject, text = service, f"switchover to {to or 'the best candidate'}"
        case DrainRequested(component=component):
            subject, text = component, "drain" + (", forced" if event.force else "")
        case PauseRequested(service=target):
            subject, text = target or "agent", "pause"
        case ResumeRequested(target=resumed):
            subject, text = resumed or "agent", "resume"
        case RestartRequested(target=restarted):
            subject, text = restarted, "restart"
        case DownRequested():
            subject, text = "agent", "down: stop everything"
        case _:
            assert_never(event)
    why = getattr(event, "why", "")
    return Line(Level.INFO, subject, "command", f"{text}, by {event.by}" + (f": {why}" if why else ""))


def _of_components(before: State, after: State) -> Iterator[Line]:
    if before.components is after.components:
        return
    for id_, now in after.components.items():
        was = before.components.get(id_)
        if was is now or (was.status if was else Status.UNKNOWN) is now.status:
            continue
        if isinstance(now.process, ProcessUnknown) and not after.surveyed_at:
            continue  # that a new agent has not looked yet is no news of the component
        level = _LEVELS.get(now.status, Level.INFO)
        yield Line(level, id_, now.status.value, now.reason, _incident_of(id_, after))
    for id_, now in after.components.items():
        was = before.components.get(id_)
        if was is not None and was is not now:
            yield from _of_giving_up(was, now, after)


def _of_giving_up(was: ComponentState, now: ComponentState, after: State) -> Iterator[Line]:
    incident = _incident_of(now.id, after)
    if now.gave_up_at is not None and was.gave_up_at is None:
        yield Line(Level.ERROR, now.id, "gave-up", "its restarts are spent; it needs a person", incident)
    if now.held_until is not None and was.held_until is None:
        yield Line(Level.WARN, now.id, "held", "it flaps, so it is kept out of traffic for a while", incident)


def _of_services(before: State, after: State) -> Iterator[Line]:
    yield from _of_pause("agent", before.pause, after.pause)
    if before.services is after.services:
        return
    for name, now in after.services.items():
        was = before.services.get(name)
        if was is None or was is now:
            continue
        yield from _of_pause(name, was.pause, now.pause)
        yield from _of_serving(was, now, after)


def _of_serving(was: ServiceState, now: ServiceState, after: State) -> Iterator[Line]:
    if was.serving and not now.serving and not after.is_going_down:
        if now.incident is None and len(after.policy.services[now.name].members) > 1:
            return  # a planned move: the role is between two members for a moment
        # Without an incident it is by plan: the only member is being restarted.
        level = Level.ERROR if now.incident else Level.WARN
        yield Line(level, now.name, "outage", "no member can serve", now.incident)
    elif now.serving and not was.serving:
        yield Line(Level.INFO, now.name, "serving", f"health {now.health:.2f}", now.incident)


def _of_pause(subject: str, was: Pause | None, now: Pause | None) -> Iterator[Line]:
    if was is None and now is not None:
        lasting = show_duration(now.until - now.since)
        yield Line(
            Level.WARN, subject, "paused", f"for {lasting} by {now.by}: failures are seen, not acted on"
        )
    elif was is not None and now is None:
        yield Line(Level.INFO, subject, "resumed", "failures are acted on again")


def _of_incidents(before: State, after: State) -> Iterator[Line]:
    if before.incidents is after.incidents:
        return
    for id_, now in after.incidents.items():
        was = before.incidents.get(id_)
        if was is None:
            yield Line(Level.ERROR, now.service, "incident", _opening(now), id_)
        if now.cause is not None and (was is None or was.cause != now.cause):
            yield Line(Level.INFO, now.service, "cause", f"{now.cause.code}: {now.cause.text}", id_)
        if not now.is_open and (was is None or was.is_open):
            if after.is_going_down:
                yield Line(Level.INFO, now.service, "closed", "everything is being stopped", id_)
            else:
                yield Line(Level.INFO, now.service, "restored", _balance(now), id_)


def _opening(incident: Incident) -> str:
    return incident.timeline[0].text if incident.timeline else ""


def _balance(incident: Incident) -> str:
    assert incident.closed_at is not None
    detected = show_duration(max(0, incident.opened_at - incident.fault_at))
    lasted = show_duration(incident.closed_at - incident.opened_at)
    outage = f"outage {show_duration(incident.outage)}" if incident.outage else "no outage"
    return f"detected {detected}, {outage}, whole again after {lasted}"


def _of_decision(decision: Decision) -> Line:
    text = decision.why
    if isinstance(decision, Route) and decision.routing.active is not None:
        text = f"to {decision.routing.active}: {text}"
    return Line(Level.INFO, subject_of(decision), name_of(decision), text, decision.incident)


def _of_withheld(before: State, after: State) -> Iterator[Line]:
    if before.withheld is after.withheld or not after.surveyed_at:
        return
    for service, withheld in after.withheld.items():
        known = {(item.subject, item.action, item.rule) for item in before.withheld.get(service, ())}
        for item in withheld:
            if (item.subject, item.action, item.rule) not in known:
                incident = _incident_of(item.subject, after)
                yield Line(Level.INFO, item.subject, "withheld", f"{item.action}: {item.why}", incident)


def _incident_of(subject: str, state: State) -> str | None:
    service = state.services.get(service_of(subject))
    return service.incident if service else None
