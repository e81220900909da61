"""Judging one component: from its process and its probes to a status, with the reason in words.

The status is derived anew from facts each time; only `noting` remembers it. So a lost or doubled event
can delay a judgement but not bend it.
"""

from holdfast.model.duty import hung_balancer_at, is_ended_by_us, is_wanted
from holdfast.model.ids import service_of
from holdfast.model.observation import Outcome
from holdfast.model.policy import MemberPolicy, ProbePolicy, Purpose
from holdfast.model.standing import Status
from holdfast.model.state import (
    ComponentState,
    ProbeState,
    ProcessAbsent,
    ProcessRunning,
    ProcessUnknown,
    State,
)
from holdfast.model.time import MILLISECOND, Instant, show_duration
from holdfast.model.value import Value, replace

# A process without probes counts as up once it has survived this long: most that cannot start die sooner.
SETTLE_AFTER = 500 * MILLISECOND


class Judgement(Value, frozen=True):
    """A status, why, and when it may change without any event."""

    status: Status
    reason: str
    wake: Instant | None = None


def judge(state: State, component: ComponentState, now: Instant) -> Judgement:
    """Return how the component is."""
    wanted = is_wanted(state, component.id)
    match component.process:
        case ProcessUnknown():
            return Judgement(Status.UNKNOWN, "not looked at yet")
        case ProcessAbsent():
            return _judge_absent(component, component.process, wanted=wanted)
        case ProcessRunning() as process:
            if not wanted:
                return Judgement(Status.STOPPED, "is being stopped")
            if process.is_dying and _is_ended_by_plan(state, component):
                return Judgement(Status.UNKNOWN, "is being ended by plan")
            if process.is_dying:
                # What it is ended for stays the reason: that it now ends is no news then.
                is_known = component.status is Status.DOWN and component.reason
                return Judgement(Status.DOWN, component.reason if is_known else "its process is ending")
            if process.stopped_since is not None:
                return Judgement(Status.DOWN, "stopped by a signal: it runs but does nothing")
            silent_at = hung_balancer_at(state, component, process)
            if silent_at is None:
                return _judge_running(state, component, process, now)
            if now < silent_at:
                judgement = _judge_running(state, component, process, now)
                return replace(judgement, wake=min(judgement.wake or silent_at, silent_at))
            return Judgement(Status.DOWN, "its process runs, but its runtime socket does not answer")


def _is_ended_by_plan(state: State, component: ComponentState) -> bool:
    """Tell whether it is being ended though nothing was wrong with it."""
    return is_ended_by_us(state, component) and component.status is not Status.DOWN


def _judge_absent(component: ComponentState, process: ProcessAbsent, *, wanted: bool) -> Judgement:
    if not wanted:
        return Judgement(Status.STOPPED, "not running, as wanted")
    if process.is_expected:
        is_starting = component.flight is not None and component.flight.action == "start"
        verb = "is being started" if is_starting else "waits to be started"
        return Judgement(Status.UNKNOWN, verb)
    return Judgement(Status.DOWN, describe_exit(process))


def describe_exit(process: ProcessAbsent) -> str:
    """Return how the process ended, for people; for one that we ended, why we did."""
    if process.ended_for:
        return process.ended_for
    exit_ = process.exit
    if exit_ is None:
        return "its process is gone"
    if exit_.signal is not None:
        return f"killed by SIG{exit_.signal}"
    if exit_.code is not None:
        return f"exited with code {exit_.code}"
    # What the process printed last is evidence, not a reason.
    detail = exit_.detail.partition("; last output: ")[0].partition("\n")[0]
    return detail or "its process is gone, how is not known"


def _judge_running(
    state: State, component: ComponentState, process: ProcessRunning, now: Instant
) -> Judgement:
    service = state.policy.services[service_of(component.id)]
    member = service.member(component.id.partition("/")[2])
    assert member is not None  # wanted, so the file names it
    probes = asked_probes(component, member)
    doubted: ProbePolicy | None = None
    is_starting = False
    for probe in probes:
        seen = _seen(component, probe)
        # What never passed in this life is not a failure but a start, for which there is a grace of its own.
        if seen.passed is False and (seen.ever_passed or process.adopted):
            return Judgement(Status.DOWN, failing_text(probe, seen))
        is_starting |= seen.passed is not True
        if seen.streak < 0 and doubted is None:
            doubted = probe
    if not probes:
        settled_at = process.since + SETTLE_AFTER
        if now < settled_at and not process.adopted:
            return Judgement(Status.UNKNOWN, "starting", settled_at)
    elif is_starting:
        return _judge_starting(component, process, probes, service.restart.startup_grace, now)
    if component.drain is not None:
        why = f": {component.drain.why}" if component.drain.why else ""
        return Judgement(Status.DRAINING, f"drained by {component.drain.by}{why}")
    if doubted is None:
        return _UP
    seen = _seen(component, doubted)
    return Judgement(Status.SUSPECT, f"{failing_text(doubted, seen)} ({-seen.streak} of {doubted.fall})")


def _judge_starting(
    component: ComponentState,
    process: ProcessRunning,
    probes: tuple[ProbePolicy, ...],
    grace: int,
    now: Instant,
) -> Judgement:
    missing = [probe for probe in probes if _seen(component, probe).passed is not True]
    pending = next((probe for probe in missing if probe.purpose is not Purpose.READINESS), missing[0])
    # A recovery takes as long as it takes: ended on its way, it would begin anew, for ever.
    progressed_at = max(_seen(component, probe).progressed_at for probe in missing)
    given_up_at = max(process.since, progressed_at) + grace
    said = failing_text(pending, _seen(component, pending))
    if now < given_up_at:
        how = said if progressed_at else f"{pending.name} has not passed yet"
        return Judgement(Status.UNKNOWN, f"starting, {how}", given_up_at)
    if pending.purpose is Purpose.READINESS:
        return Judgement(Status.DOWN, said)
    return Judgement(Status.DOWN, f"not up {show_duration(grace)} after its start: {said}")


def asked_probes(component: ComponentState, member: MemberPolicy) -> tuple[ProbePolicy, ...]:
    """Return the probes whose verdict counts now: while a startup probe has not passed, only those.

    Whether it may be read from says nothing of how it is.
    """
    startup = tuple(probe for probe in member.probes if probe.purpose is Purpose.STARTUP)
    others = tuple(p for p in member.probes if p.purpose in (Purpose.LIVENESS, Purpose.READINESS))
    if startup and any(_seen(component, probe).passed is not True for probe in startup):
        return startup
    return others or startup


def failing_text(probe: ProbePolicy, seen: ProbeState) -> str:
    """Return what the probe's last answer was, for people."""
    if seen.last is None:
        return f"{probe.name} has no answer yet"
    return f"{probe.name}: {seen.last.detail or seen.last.failure}"


def share_of(component: ComponentState) -> float:
    """Return S_i, the component's part in the health of its service: 0, 0.5 or 1."""
    if component.status not in (Status.UP, Status.SUSPECT, Status.DRAINING):
        return 0.0
    for seen in component.probes.values():
        if seen.last is not None and seen.last.outcome is Outcome.DEGRADED:
            return 0.5
    return 1.0


def _seen(component: ComponentState, probe: ProbePolicy) -> ProbeState:
    return component.probes.get(probe.name, _NOT_ASKED)


_NOT_ASKED = ProbeState()
_UP = Judgement(Status.UP, "")
