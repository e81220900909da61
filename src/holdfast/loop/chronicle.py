"""The chronicle: one incident from the first finding to redundancy restored, told as it happens.

What merely depends on something that fails joins the incident of the root: one fault, one incident.
"""

from holdfast.detect import finding
from holdfast.diagnose import naming
from holdfast.model.decisions import Decision, Promote, Route, Start, Withheld, name_of, subject_of
from holdfast.model.duty import USABLE, balancer_runs, hung_balancer_at, is_usable, is_wanted
from holdfast.model.findings import Cause, CauseCode, Finding
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    IncidentId,
    MemberName,
    ServiceName,
    component_id,
    member_of,
)
from holdfast.model.incidents import Entry, Incident, Stage
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import Duration, Instant, show_duration
from holdfast.model.value import Value, replace

ENTRIES_MAX = 200  # a longer timeline loses its middle: how it began and how it ended matter most
_LOOPS_FROM = 2  # failures in a row: the restart did not help
CLOSED_KEPT = 10  # closed incidents that stay in the state; the journal keeps them all


def opened(
    state: State,
    name: ServiceName,
    findings: tuple[Finding, ...],
    causes: dict[ComponentId, Cause],
    now: Instant,
) -> State:
    """Return the state in which the service's findings belong to an incident, a new one if need be."""
    if not findings:
        return state
    service = state.services[name]
    if service.incident is None:
        id_ = _incident_of_root(state, name, causes)
        if id_ is None:
            id_ = f"i-{state.next_incident}"
            incident = Incident(id_, name, now, _fault_at(state, findings, now))
            state = replace(
                state, next_incident=state.next_incident + 1, incidents={**state.incidents, id_: incident}
            )
        state = state.with_service(replace(service, incident=id_))
    return state


def _incident_of_root(state: State, name: ServiceName, causes: dict[ComponentId, Cause]) -> IncidentId | None:
    if not causes:  # not named yet, as it is still ending; which incident it belongs to is clear already
        root = naming.root_of(state, name)
        return state.services[root].incident if root is not None else None
    for cause in causes.values():
        if cause.code is CauseCode.DEPENDENCY_DOWN and cause.root is not None:
            return state.services[cause.root].incident
    return None


def _fault_at(state: State, findings: tuple[Finding, ...], now: Instant) -> Instant:
    """Return the moment that the incident's times count from.

    That is the end of the process, or the first question that was answered badly. What ended while no agent
    looked may have ended at any time since it was last known to run.
    """
    moments = [now]
    for found in findings:
        component = state.components.get(found.component) if found.component else None
        if component is None:
            continue
        if isinstance(component.process, ProcessAbsent):
            moments.append(component.process.seen_at or component.process.since)
        elif isinstance(component.process, ProcessRunning) and hung_balancer_at(
            state, component, component.process
        ):
            assert state.balancer_silence is not None  # otherwise it would not count as hung
            moments.append(state.balancer_silence.since)
        moments += [seen.failing_from for seen in component.probes.values() if seen.failing_from is not None]
    return min(moments)


class Telling(Value, frozen=True):
    """What one turn of one service brought, to be written into its incident."""

    findings: tuple[Finding, ...]
    causes: dict[ComponentId, Cause]
    fresh: tuple[Decision, ...]
    withheld: tuple[Withheld, ...]


def told(before: State, state: State, name: ServiceName, turn: Telling, now: Instant) -> State:
    """Return the state with this turn of one service written into its incident, if it has one."""
    held_before = state.withheld.get(name, ())
    if turn.withheld != held_before:
        state = replace(state, withheld=_without_empty({**state.withheld, name: turn.withheld}))
    id_ = state.services[name].incident
    if id_ is None:
        return state
    incident = state.incidents[id_]
    known = {entry.text for entry in incident.timeline if entry.stage is Stage.DETECTED}
    entries = [
        Entry(now, Stage.DETECTED, found.component or name, found.text)
        for found in turn.findings
        if _is_new(before, found, known)
    ]
    incident = _diagnosed(incident, name, turn.causes, entries, now)
    entries += [Entry(now, Stage.ACTED, subject_of(decision), _say(decision)) for decision in turn.fresh]
    entries += [
        Entry(now, Stage.WITHHELD, held.subject, f"not done: {held.action} ({held.rule}): {held.why}")
        for held in turn.withheld
        if (held.subject, held.action, held.rule)
        not in {(old.subject, old.action, old.rule) for old in held_before}
    ]
    incident = _outage(state, name, incident, entries, now)
    if entries:
        touched = {found.component for found in turn.findings if found.component}
        incident = replace(
            incident,
            components=tuple(dict.fromkeys((*incident.components, *sorted(touched)))),
            timeline=_bounded((*incident.timeline, *entries)),
        )
    if name == incident.service and state.services[name].health < incident.health_min:
        incident = replace(incident, health_min=state.services[name].health)
    if incident is not state.incidents[id_]:
        state = replace(state, incidents={**state.incidents, id_: incident})
    return _closed(state, incident, now)


def noted(state: State, found: Finding, now: Instant) -> State:
    """Return the state with a finding about the whole system written into every open incident."""
    entry = Entry(now, Stage.DETECTED, state.policy.system, f"whole system: {found.text}")
    incidents = {
        id_: replace(incident, timeline=_bounded((*incident.timeline, entry)))
        if incident.is_open
        else incident
        for id_, incident in state.incidents.items()
    }
    return replace(state, incidents=incidents)


def _is_new(before: State, found: Finding, known: set[str]) -> bool:
    if found.component is None:
        return found.text not in known
    was = before.components.get(found.component)
    return was is None or was.status is not Status.DOWN or found.text not in known


def _diagnosed(
    incident: Incident,
    name: ServiceName,
    causes: dict[ComponentId, Cause],
    entries: list[Entry],
    now: Instant,
) -> Incident:
    """Name the incident's cause once, and again when a better one comes up."""
    told = {(entry.subject, entry.text) for entry in incident.timeline if entry.stage is Stage.DIAGNOSED}
    codes = {(subject, text.partition(":")[0]) for subject, text in told}
    for component, cause in causes.items():
        if (component, str(cause.code)) in codes:
            continue
        entries.append(Entry(now, Stage.DIAGNOSED, component, f"{cause.code}: {cause.text}"))
        if _says_more(incident, name, cause):
            incident = replace(incident, cause=cause, diagnosed_at=incident.diagnosed_at or now)
    return incident


def _says_more(incident: Incident, name: ServiceName, cause: Cause) -> bool:
    """Tell whether `cause` explains the incident better than the one named so far."""
    if incident.cause is None:
        return True
    if cause.code is CauseCode.RESTART_BUDGET_SPENT:
        # A change that broke it is the reason; that restarts do not help is its consequence.
        return incident.cause.code is not CauseCode.CONFIGURATION_CHANGED
    return name == incident.service and incident.cause.code in (CauseCode.UNKNOWN, CauseCode.DEPENDENCY_DOWN)


def _say(decision: Decision) -> str:
    match decision:
        case Start(attempt=attempt) if attempt:
            return f"start, attempt {attempt}: {decision.why}"
        case Promote(epoch=epoch):
            return f"promote under epoch {epoch}: {decision.why}"
        case Route():
            return f"route: {decision.why}"
        case _:
            return f"{name_of(decision)}: {decision.why}"


def is_settled(state: State, name: ServiceName) -> bool:
    """Tell whether the service serves and its traffic goes where it should."""
    service = state.services[name]
    policy = state.policy.services.get(name)
    if policy is None:
        return True
    if not service.serving:
        return False
    is_routed = service.routed is not None and service.flight is None
    return policy.traffic is None or is_routed or not balancer_runs(state)


def _outage(
    state: State, name: ServiceName, incident: Incident, entries: list[Entry], now: Instant
) -> Incident:
    """Keep account of the time in which the service could not serve, and of when it could again."""
    if name != incident.service:
        return incident
    service = state.services[name]
    if not service.serving:
        if incident.outage_from is None and service.has_served:
            # What was down when it was detected was down since the fault, which is when clients began to suffer.
            is_the_fault = service.serving_since == incident.opened_at
            return replace(incident, outage_from=incident.fault_at if is_the_fault else service.serving_since)
        return incident
    if not is_settled(state, name):
        return incident
    if incident.outage_from is not None:
        lasted = now - incident.outage_from
        entries.append(
            Entry(
                now,
                Stage.FAILED_OVER,
                name,
                f"serves again, {_by_whom(state, name)}; outage {show_duration(lasted)}",
            )
        )
        return replace(
            incident,
            outage=incident.outage + lasted,
            outage_from=None,
            failed_over_at=incident.failed_over_at or now,
        )
    if incident.failed_over_at is None:
        # What works with warnings, or is back already, serves on: nothing had to go on without it.
        wanted = [member for member in state.members(name) if is_wanted(state, member.id)]
        how = "serves on" if all(is_usable(member) for member in wanted) else "traffic goes on without it"
        entries.append(Entry(now, Stage.FAILED_OVER, name, f"{how}, {_by_whom(state, name)}"))
        return replace(incident, failed_over_at=now)
    return incident


def _by_whom(state: State, name: ServiceName) -> str:
    service, policy = state.services[name], state.policy.services.get(name)
    if policy is not None and policy.is_leased and (holders := _holders(state, policy)):
        epoch, member = max(holders)
        return f"by {member} under epoch {epoch}"
    if service.assigned is not None:
        return f"by {service.assigned} under epoch {service.epoch}"
    serving = [member_of(member.id) for member in state.members(name) if is_usable(member)]
    return "by " + (", ".join(serving) or "a member on another host")


def _holders(state: State, policy: ServicePolicy) -> list[tuple[Epoch, MemberName]]:
    """Return who serves under a lease, as far as this host knows, wherever that is; the newest epoch counts.

    What was assigned here last says nothing: another host may have taken the role over since.
    """
    here = [
        (member.epoch, member_of(member.id))
        for member in state.members(policy.name)
        if member.role is Role.PRIMARY and is_usable(member)
    ]
    reports = [
        (member.name, state.elsewhere.get(component_id(policy.name, member.name)))
        for member in policy.elsewhere
    ]
    return here + [
        (report.epoch, member)
        for member, report in reports
        if report is not None and report.role is Role.PRIMARY and report.status in USABLE
    ]


def _closed(state: State, incident: Incident, now: Instant) -> State:
    """Close the incident once everything it touched is as redundant as it should be."""
    names = [name for name, service in state.services.items() if service.incident == incident.id]
    if not all(_is_calm(state, name, now) for name in names):
        return state
    members = [m for name in names for m in state.members(name) if is_wanted(state, m.id)]
    usable = sum(is_usable(member) for member in members)
    if state.is_going_down:
        how = "not recovered: everything is being stopped"
    elif not members and incident.service in state.policy.services:
        how = "another host runs it"
    else:
        how = f"redundancy restored, {usable}/{len(members)}"
    text = f"{how}; outage {show_duration(incident.outage)}"
    entry = Entry(now, Stage.RECOVERED, incident.service, text)
    closed = replace(incident, closed_at=now, timeline=_bounded((*incident.timeline, entry)))
    for name in names:
        state = state.with_service(replace(state.services[name], incident=None))
    return replace(state, incidents=_pruned({**state.incidents, incident.id: closed}))


def abandoned(state: State, now: Instant) -> State:
    """Close the open incidents to which no service belongs any more: the file no longer names what failed."""
    named = {service.incident for service in state.services.values()}
    incidents = dict(state.incidents)
    for incident in state.incidents.values():
        if incident.is_open and incident.id not in named:
            entry = Entry(now, Stage.RECOVERED, incident.service, "the file no longer names it")
            incidents[incident.id] = replace(
                incident, closed_at=now, timeline=_bounded((*incident.timeline, entry))
            )
    return replace(state, incidents=_pruned(incidents))


def _is_calm(state: State, name: ServiceName, now: Instant) -> bool:
    members = [member for member in state.members(name) if is_wanted(state, member.id)]
    policy = state.policy.services.get(name)
    if policy is None or state.is_going_down:
        return not members
    # Of what another host took over nothing is meant to run here: that it serves there is enough.
    if not members and not (policy.is_leased and policy.elsewhere):
        return False
    stable_after = policy.restart.stable_after
    are_back = all(_is_back(member, stable_after, now) for member in members)
    return are_back and is_settled(state, name) and not finding.find(state, name, now)


def _is_back(component: ComponentState, stable_after: Duration, now: Instant) -> bool:
    if component.status not in (Status.UP, Status.DRAINING) or component.flight is not None:
        return False
    # What fell again after its restart may do so once more: a crash loop is one fault, so one incident.
    return component.attempts < _LOOPS_FROM or now - component.status_since >= stable_after


def _bounded(timeline: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if len(timeline) <= ENTRIES_MAX:
        return timeline
    half = ENTRIES_MAX // 2
    return (*timeline[:half], *timeline[-half:])


def _pruned(incidents: dict[IncidentId, Incident]) -> dict[IncidentId, Incident]:
    closed = [incident for incident in incidents.values() if not incident.is_open]
    dropped = {incident.id for incident in closed[:-CLOSED_KEPT]}
    return {id_: incident for id_, incident in incidents.items() if id_ not in dropped}


def _without_empty(withheld: dict[str, tuple[Withheld, ...]]) -> dict[str, tuple[Withheld, ...]]:
    return {name: held for name, held in withheld.items() if held}
