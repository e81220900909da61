"""Events and decisions in one line each, for people who read a journal."""

from typing import assert_never

from holdfast.model.decisions import Decision, Demote, Promote, Route, Start, Stop, open_words
from holdfast.model.events import (
    AgentStarted,
    DownRequested,
    DrainRequested,
    ElsewhereSeen,
    Entitled,
    Event,
    Exit,
    Finished,
    PauseRequested,
    PolicyChanged,
    Probed,
    ProcessContinued,
    ProcessDying,
    ProcessExited,
    ProcessStopped,
    RestartRequested,
    ResumeRequested,
    Surveyed,
    SwitchoverRequested,
    Ticked,
    TrafficLost,
    TrafficSeen,
)
from holdfast.model.routing import Routing
from holdfast.model.time import show_duration


def describe_event(event: Event) -> str:  # noqa: C901, PLR0912 - one line for each event of a closed union
    """Return what happened."""
    match event:
        case AgentStarted(version=version):
            return f"agent {version} started"
        case Surveyed(processes=processes):
            return f"surveyed: {len(processes)} processes run"
        case ProcessExited(component=component, exit=how):
            return f"{component} {describe_exit(how)}"
        case ProcessDying(component=component):
            return f"{component} is ending"
        case ProcessStopped(component=component):
            return f"{component} was stopped by a signal"
        case ProcessContinued(component=component):
            return f"{component} was continued"
        case Probed(component=component, probe=probe, observation=seen):
            detail = f": {seen.detail}" if seen.detail else ""
            return f"{component} {probe} {seen.outcome} in {show_duration(seen.latency)}{detail}"
        case TrafficSeen(service=service, members=members):
            return f"balancer: {service} " + ", ".join(
                f"{name} {seen.lane}" for name, seen in members.items()
            )
        case TrafficLost(detail=detail):
            return f"balancer does not answer: {detail}"
        case Finished(decision=number, ending=ending, error=error):
            return f"#{number} {ending}" + (f": {error}" if error else "")
        case PolicyChanged(policy=policy):
            return f"policy {policy.revision or 'without revision'}: {len(policy.services)} services"
        case Entitled(entitlements=held):
            return "leases held here: " + (", ".join(f"{n} by {e.member}" for n, e in held.items()) or "none")
        case ElsewhereSeen(members=members):
            return f"{len(members)} members seen on other hosts"
        case Ticked():
            return "time passed"
        case PauseRequested(service=target):
            return f"pause of {target or 'everything'} asked for by {event.by}: {event.why}"
        case ResumeRequested(target=target):
            return f"resume of {target or 'everything'} asked for by {event.by}"
        case SwitchoverRequested(service=service, to=to):
            return f"switchover of {service} to {to or 'the best member'} asked for by {event.by}"
        case DrainRequested(component=component):
            return f"drain of {component} asked for by {event.by}"
        case RestartRequested(target=target):
            return f"restart of {target} asked for by {event.by}"
        case DownRequested(by=by):
            return f"down asked for by {by}"
        case _:
            assert_never(event)


def describe_decision(decision: Decision) -> str:
    """Return what is to be done, without the reason."""
    match decision:
        case Start(component=component, attempt=attempt):
            return f"start {component}" + (f", attempt {attempt}" if attempt else "")
        case Stop(component=component, at_once=at_once):
            return f"stop {component}" + (" at once" if at_once else "")
        case Promote(component=component, epoch=epoch):
            return f"promote {component}, epoch {epoch}"
        case Demote(component=component, open_within=within):
            return f"demote {component}" + ("" if within is None else f", {open_words(within)}")
        case Route(service=service, routing=routing):
            return f"route {service}: {describe_routing(routing)}"
        case _:
            assert_never(decision)


def describe_routing(routing: Routing) -> str:
    """Return where the traffic goes."""
    lanes = ", ".join(f"{name} {lane}" for name, lane in routing.lanes.items())
    text = f"active {routing.active} ({lanes})" if routing.active else lanes
    reads = ", ".join(f"{name} {lane}" for name, lane in routing.readers.items())
    return f"{text}; to read {reads}" if reads else text


def describe_exit(how: Exit) -> str:
    """Return how a process ended."""
    if how.signal is not None:
        text = f"was killed by signal {how.signal}"
    elif how.code is not None:
        text = f"exited with code {how.code}"
    else:
        text = "ended, nobody saw how"
    return f"{text} ({how.detail})" if how.detail else text
