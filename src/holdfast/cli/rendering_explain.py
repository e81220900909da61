"""Answers to "why": what is so, what was decided and why, what is held back by which rule, and what would change it."""

from collections.abc import Sequence

from holdfast.cli.describing import describe_decision, describe_routing
from holdfast.cli.explaining import Held, Taken
from holdfast.cli.painting import Paint, Tone
from holdfast.cli.table import Cell, Row, table, wrap
from holdfast.cli.wall_clock import WallClock
from holdfast.cli.why_not import WhyNot
from holdfast.detect.judging import describe_exit as describe_absent
from holdfast.failover import reading
from holdfast.model import duty
from holdfast.model.ids import component_id, member_of, pid_of
from holdfast.model.policy import ServicePolicy
from holdfast.model.state import (
    ComponentState,
    ProbeState,
    Process,
    ProcessAbsent,
    ProcessRunning,
    ProcessUnknown,
    ServiceState,
    State,
)
from holdfast.model.time import Instant, show_duration


def component_text(
    state: State, component: ComponentState, now: Instant, clock: WallClock, paint: Paint
) -> list[str]:
    """Return how one component is and why."""
    age = show_duration(now - component.status_since)
    head = f"{component.id} is {component.status}, since {clock.time_of_day(component.status_since)} ({age})"
    lines = wrap(head + (f": {component.reason}" if component.reason else ""), paint, rest="  ")
    policy = state.policy.services.get(component.id.partition("/")[0])
    if policy is not None and policy.is_exclusive:
        lines += wrap(f"{component.role}, epoch {component.epoch}", paint, first="  role     ")
    lines += wrap(_process(component, now), paint, first="  process  ")
    if how := _how_it_ended(component.process):
        lines += wrap(how, paint, first="  how      ")
    for name, probe in component.probes.items():
        lines += wrap(f"{name} {_probe(probe, now)}", paint, first="  check    ")
    lines += _restarts(state, component, now, paint)
    if component.drain is not None:
        why = f": {component.drain.why}" if component.drain.why else ""
        lines += wrap(
            f"asked for by {component.drain.by}{why}; `holdfast resume {component.id}` ends it",
            paint,
            first="  drain    ",
        )
    if component.held_until is not None and now < component.held_until:
        left = show_duration(component.held_until - now)
        lines += wrap(f"kept out of traffic for {left} more: it flaps", paint, first="  held     ")
    if component.flight is not None:
        flight = f"{component.flight.action} (#{component.flight.decision}), until {clock.time_of_day(component.flight.deadline)} at the latest"
        lines += wrap(flight, paint, first="  doing    ")
    return lines


def _unread(state: State, policy: ServicePolicy, now: Instant) -> list[str]:
    """Return which standbys are not read from, and why."""
    if policy.traffic is None or policy.traffic.read_only is None:
        return []
    whys = {member_of(m.id): reading.why_unread(state, policy, m, now) for m in state.members(policy.name)}
    for member in policy.elsewhere:
        report = state.elsewhere.get(component_id(policy.name, member.name))
        whys[member.name] = report.unread if report is not None else "its host has not told yet"
    return [f"{name}: {why}" for name, why in whys.items() if why]


def service_text(state: State, name: str, now: Instant, clock: WallClock, paint: Paint) -> list[str]:
    """Return how one service is and why."""
    policy, service = state.policy.services[name], state.services[name]
    lines = wrap(f"{name} {_serving(service, now, clock)}", paint)
    lines += wrap(f"S {service.health:.2f}, threshold {policy.threshold:.2f}", paint, first="  health   ")
    if policy.is_leased:
        epoch = max([service.epoch, *(report.epoch for report in duty.elsewhere(state, policy))])
        lines += wrap(f"{policy.mode}, epoch {epoch}; who serves goes by lease", paint, first="  mode     ")
    elif policy.is_exclusive:
        who = service.assigned or "no one"
        lines += wrap(f"{policy.mode}, epoch {service.epoch}, {who} should serve", paint, first="  mode     ")
    else:
        lines += wrap(str(policy.mode), paint, first="  mode     ")
    lines += _members(state, name, paint)
    if missing := duty.waits_for(state, name):
        lines += wrap(f"for {', '.join(missing)}, which it depends on", paint, first="  waits    ")
    if service.routed is not None:
        lines += wrap(describe_routing(service.routed), paint, first="  traffic  ")
        for text in _unread(state, policy, now):
            lines += wrap(text, paint, first="  unread   ")
    if service.switchover is not None:
        move = service.switchover
        lines += wrap(f"switchover to {move.to}, asked for by {move.by}", paint, first="  moving   ")
    if (pause := duty.pause_of(state, name, now)) is not None:
        left = show_duration(pause.until - now)
        lines += wrap(f'by {pause.by}, {left} left: "{pause.why}"', paint, first="  paused   ")
    if service.incident is not None:
        lines += wrap(f"{service.incident}: holdfast explain {service.incident}", paint, first="  incident ")
    return lines


def _members(state: State, name: str, paint: Paint) -> list[str]:
    lines = []
    for member in state.members(name):
        reason = f": {member.reason}" if member.reason else ""
        lines += wrap(f"{member_of(member.id)} {member.status}{reason}", paint, first="  member   ")
    for other in state.policy.services[name].elsewhere:
        told = state.elsewhere.get(component_id(name, other.name))
        if told is not None:
            reason = f": {told.reason}" if told.reason else ""
            lines += wrap(f"{other.name} {told.status}, on another host{reason}", paint, first="  member   ")
    return lines


def _serving(service: ServiceState, now: Instant, clock: WallClock) -> str:
    if not service.serving_since:
        return "serves" if service.serving else "does not serve yet"
    age = show_duration(now - service.serving_since)
    if service.serving:
        return f"serves, since {clock.time_of_day(service.serving_since)} ({age})"
    return f"does not serve, for {age}"


def held_text(held: Sequence[Held], paint: Paint) -> list[str]:
    """Return what is being withheld."""
    if not held:
        return ["nothing is being withheld"]
    lines = [paint("withheld now", Tone.STRONG)]
    for one in held:
        lines += wrap(
            f"{one.subject} {one.action}, by rule {one.rule}: {one.why}", paint, first="  ", rest="    "
        )
        if one.changes_when:
            lines += wrap(f"changes when {one.changes_when}", paint, first="    ")
    return lines


def decisions_text(taken: Sequence[Taken], now: Instant, clock: WallClock, paint: Paint) -> list[str]:
    """Return the last decisions, newest first."""
    if not taken:
        return ["no decision about it is in the journal"]
    lines = [paint("last decisions, newest first", Tone.STRONG)]
    for one in taken:
        first = f"  {clock.time_of_day(one.at)}  #{one.number}  "
        text = f"{describe_decision(one.decision)}: {one.decision.why} [{_ending(one, now)}]"
        lines += wrap(text, paint, first=first, rest=" " * 6)
    return lines


def decision_text(one: Taken, now: Instant, clock: WallClock, paint: Paint) -> list[str]:
    """Return everything about one decision."""
    lines = wrap(describe_decision(one.decision), paint, first=f"#{one.number}  ")
    age = show_duration(now - one.at)
    lines += wrap(f"{clock.day_and_time(one.at)} ({age} ago)", paint, first="  when     ")
    lines += wrap(one.decision.why, paint, first="  why      ")
    lines += wrap(one.because_of, paint, first="  trigger  ")
    lines += wrap(_ending(one, now), paint, first="  ending   ")
    if one.decision.incident:
        lines += wrap(
            f"{one.decision.incident}: holdfast explain {one.decision.incident}", paint, first="  incident "
        )
    return lines


def why_not_text(answer: WhyNot, paint: Paint) -> list[str]:
    """Return the table of rules; the one that decides is marked."""
    decides = answer.decides
    verdict = (
        "nothing speaks against it" if decides is None else f"not done, because of the rule '{decides.rule}'"
    )
    lines = [
        f"{answer.action} of {answer.subject}: {paint(verdict, Tone.GOOD if decides is None else Tone.WARN)}",
        "",
    ]
    rows: list[Row] = []
    for rule in answer.rules:
        sign = (
            Cell("ok", Tone.GOOD)
            if rule.is_met
            else Cell("NO <-- decides" if rule is decides else "NO", Tone.BAD)
        )
        rows.append((f" {rule.rule}", rule.need, rule.have, sign))
    drawn = table((" rule", "needs", "has", ""), rows, Paint())
    if max(map(len, drawn)) <= paint.width:
        lines += table((" rule", "needs", "has", ""), rows, paint)
    else:
        lines += _narrow(answer, paint)
    if answer.recorded:
        lines += ["", "noted by the agent as withheld"]
        for text in answer.recorded:
            lines += wrap(text, paint, first="  ", rest="    ")
    return lines


def _narrow(answer: WhyNot, paint: Paint) -> list[str]:
    lines = []
    for rule in answer.rules:
        sign = "ok" if rule.is_met else "NO <-- decides" if rule is answer.decides else "NO"
        lines += wrap(f"{rule.rule.strip()}: {sign}", paint, first=" ", rest="   ")
        lines += wrap(f"needs {rule.need}; has {rule.have}", paint, first="     ")
    return lines


def _process(component: ComponentState, now: Instant) -> str:
    match component.process:
        case ProcessUnknown():
            return "not known: it is treated as if it might run"
        case ProcessAbsent(since=since, exit=how, is_expected=is_expected) as absent:
            if is_expected and how is None:
                return "does not run, and did not fail"
            return f"does not run, for {show_duration(now - since)}: {describe_absent(absent)}"
        case ProcessRunning(incarnation=incarnation, since=since, stopped_since=stopped, adopted=adopted):
            pid = pid_of(incarnation)
            text = f"pid {pid}" if pid is not None else f"looked after by its agent, as {incarnation}"
            text += f", for {show_duration(now - since)}"
            text += ", adopted: not started by this agent" if adopted else ""
            return text + (
                f", stopped by a signal for {show_duration(now - stopped)}" if stopped is not None else ""
            )


def _how_it_ended(process: Process) -> str:
    """Return what was seen of a failed process's end, its last output for one."""
    if not isinstance(process, ProcessAbsent) or process.is_expected or process.exit is None:
        return ""
    return process.exit.detail


def _probe(probe: ProbeState, now: Instant) -> str:
    verdict = {True: "passed", False: "failed", None: "no verdict yet"}[probe.passed]
    text = verdict if probe.passed is None else f"{verdict} for {show_duration(now - probe.since)}"
    if probe.last is None:
        return text
    last = probe.last  # an answer like the one before is not remembered while all is well
    answer = f"{last.outcome} at {last.layer} in {show_duration(last.latency)}"
    return f"{text}; last news {show_duration(now - last.at)} ago: {answer}" + (
        f", {last.detail}" if last.detail else ""
    )


def _restarts(state: State, component: ComponentState, now: Instant, paint: Paint) -> list[str]:
    policy = state.policy.services.get(component.id.partition("/")[0])
    if policy is None or (not component.restarted_at and component.gave_up_at is None):
        return []
    recent = sum(now - at < policy.restart.window for at in component.restarted_at)
    text = f"{recent} of {policy.restart.restarts_max} in {show_duration(policy.restart.window)}"
    if component.gave_up_at is not None:
        text += f"; gave up {show_duration(now - component.gave_up_at)} ago, tries again every {show_duration(policy.restart.retry_after)}"
    return wrap(text, paint, first="  restarts ")


def _ending(one: Taken, now: Instant) -> str:
    if one.ending is None or one.took is None:
        return f"no ending seen, {show_duration(now - one.at)} after it"
    return f"{one.ending} in {show_duration(one.took)}" + (f": {one.error}" if one.error else "")
