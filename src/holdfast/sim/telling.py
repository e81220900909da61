"""Telling: what happened in a simulation, one line each, in the style of the agent's log."""

from collections.abc import Callable

from holdfast.model import events
from holdfast.model.decisions import Decision, Demote, Promote, Route, Start, Stop, name_of, subject_of
from holdfast.model.events import Event, Exit
from holdfast.model.routing import Routing
from holdfast.model.time import SECOND, Duration, Instant, show_duration
from holdfast.sim.faults import Fault, Harm
from holdfast.sim.simulation import Chapter, Told


def stamp(at: Instant) -> str:
    """Return the time since the beginning."""
    return f"{at / SECOND:8.3f}s"


def show_wait(lasts: Duration) -> str:
    """Return for how long, in words; empty for what has no length."""
    return f"for {show_duration(lasts)}" if lasts else ""


def say_fault(fault: Fault, note: str) -> str:
    """Return what was done to the system."""
    words = [
        str(fault.kind),
        fault.target,
        fault.to,
        show_wait(fault.lasts),
    ]
    text = " ".join(word for word in words if word)
    return f"{text} ({note})" if note else text


def say_decision(decision: Decision) -> str:
    """Return what is to be done, and why."""
    more = ""
    match decision:
        case Start(attempt=attempt, epoch=epoch):
            more = f" attempt {attempt}" if attempt else ""
            more += f" epoch {epoch}" if epoch else ""
        case Stop(at_once=True):
            more = " at once"
        case Promote(epoch=epoch):
            more = f" epoch {epoch}"
        case Route(routing=routing):
            more = f" [{say_routing(routing)}]"
        case _:
            pass
    return f"{name_of(decision)} {subject_of(decision)}{more}: {decision.why}"


def say_routing(routing: Routing) -> str:
    """Return where the traffic goes."""
    lanes = ", ".join(f"{name} {lane}" for name, lane in routing.lanes.items())
    return f"active {routing.active}; {lanes}" if routing.active else lanes


def say_event(event: Event) -> str:
    """Return what the core heard; empty for mere looks."""
    match event:
        case events.Probed(component=component, probe=probe, observation=seen):
            return f"{component} {probe} {seen.outcome} {seen.detail}".rstrip()
        case events.Finished(decision=number, ending=ending, error=error):
            return f"#{number} {ending} {error}".rstrip()
        case events.ProcessExited(component=component, incarnation=life, exit=how):
            return f"{component} exited ({life}): {say_exit(how)}"
        case events.ProcessStopped(component=component):
            return f"{component} stopped by a signal"
        case events.ProcessContinued(component=component):
            return f"{component} continued"
        case events.Surveyed(processes=processes, taken_at=_):
            found = (
                f"{seen.component} ({seen.incarnation}{', primary' if seen.is_primary else ''})"
                for seen in processes
            )
            return "surveyed: " + ", ".join(found)
        case events.TrafficSeen(service=service, active=active, members=members):
            return f"balancer: {service} " + say_routing(
                Routing(active, {n: m.lane for n, m in members.items()})
            )
        case events.AgentStarted():
            return "agent started"
        case _:
            return ""


def say_exit(how: Exit) -> str:
    """Return how a process ended."""
    return (
        f"signal {how.signal}" if how.signal else f"code {how.code}" if how.code is not None else how.detail
    )


class Timeline:
    """Every line of one simulation. `is_full`: what the core heard too, not only what was done."""

    def __init__(self, write: Callable[[str], None], *, is_full: bool) -> None:
        self._write = write
        self._is_full = is_full

    def __call__(self, at: Instant, told: Told) -> None:
        """Write one line."""
        match told:
            case Harm(fault=fault, note=note):
                mark, text = "!!", say_fault(fault, note)
            case Chapter(incident=incident, entry=entry):
                mark, text = "==", f"{entry.subject} {entry.stage}: {entry.text} ({incident})"
            case Start() | Stop() | Promote() | Demote() | Route():
                mark, text = "->", say_decision(told)
            case _:
                mark, text = "  ", say_event(told) if self._is_full else ""
        if text:
            self._write(f"{stamp(at)} {mark} {text}")
