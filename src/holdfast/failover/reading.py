"""Who may be read from, beside who serves: the standbys of a service, for clients that read only.

A standby says for itself whether it may (its probes with the purpose `reading`), and its host tells the others. Whoever does not say
so takes no new reads: what is not known is as bad as what is too old. Nothing but holdfast opens this way to a member, so HAProxy's
checks alone never bring one back that was found stale.
"""

from holdfast.model.cluster import MemberReport
from holdfast.model.duty import has_role, is_frozen, is_unjudged
from holdfast.model.ids import MemberName, component_id, member_of, service_of
from holdfast.model.policy import Purpose, ServicePolicy
from holdfast.model.reading import PrimaryReads, ReadPolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import Instant

Lanes = dict[MemberName, Lane]


def wanted_readers(state: State, policy: ServicePolicy, lanes: Lanes, now: Instant) -> Lanes:
    """Return the lanes of those who read only, given the lanes of all others; none if nobody listens for them."""
    rules = policy.traffic.read_only if policy.traffic is not None else None
    if rules is None:
        return {}
    here = {member_of(m.id): _lane(state, policy, rules, m, now) for m in state.members(policy.name)}
    reports = {m.name: state.elsewhere.get(component_id(policy.name, m.name)) for m in policy.elsewhere}
    elsewhere = {name: _lane_elsewhere(rules, report) for name, report in reports.items()}
    found = here | elsewhere
    can_read = Lane.IN in found.values()
    for name in _primaries(state, policy, reports):
        found[name] = _lane_of_primary(rules, lanes.get(name, Lane.OUT), can_read=can_read)
    return found


def why_unread(state: State, policy: ServicePolicy, member: ComponentState, now: Instant) -> str:
    """Return why nobody should read from this member as a standby; empty if they may. For other hosts, so in few words."""
    if has_role(member):
        return "it is primary" if member.role is Role.PRIMARY else "it is being promoted"
    if not isinstance(member.process, ProcessRunning) or is_frozen(member) or member.fence:
        return "it does not run"
    if member.drain is not None:
        return "drained by an operator"
    if member.held_until is not None and now < member.held_until:
        return "it flaps"
    # An agent that starts must not take readers from what works, before it has asked it.
    was_read = member.process.adopted and _was_read(state, member)
    if was_read and is_unjudged(member):
        return _why_stale(policy, member, is_unasked_fine=True)
    if member.status not in (Status.UP, Status.SUSPECT):
        return f"it is {member.status}"
    return _why_stale(policy, member, is_unasked_fine=was_read)


def _why_stale(policy: ServicePolicy, member: ComponentState, *, is_unasked_fine: bool) -> str:
    """Return which of its own probes speaks against reading, or has not spoken yet."""
    known = policy.member(member_of(member.id))
    for probe in known.probes if known is not None else ():
        if probe.purpose is not Purpose.READING:
            continue
        seen = member.probes.get(probe.name)
        passed = seen.passed if seen is not None else None
        if passed is False:
            return f"its probe {probe.name} has failed"
        if passed is None and not is_unasked_fine:
            return f"its probe {probe.name} has not passed yet"
    return ""


def _lane(
    state: State, policy: ServicePolicy, rules: ReadPolicy, member: ComponentState, now: Instant
) -> Lane:
    if not why_unread(state, policy, member, now):
        return Lane.IN
    is_there = isinstance(member.process, ProcessRunning) and not is_frozen(member) and not member.fence
    if member.drain is not None and is_there:
        return Lane.DRAIN
    is_well = member.status in (Status.UP, Status.SUSPECT)
    return _stale(rules) if is_there and is_well else Lane.OUT


def _lane_elsewhere(rules: ReadPolicy, report: MemberReport | None) -> Lane:
    if report is None or report.role is Role.FENCED:
        return Lane.OUT
    if report.status is Status.DRAINING:
        return Lane.DRAIN
    if report.status not in (Status.UP, Status.SUSPECT):
        # An agent that has just started has not judged yet what it found: it says what was so before.
        return Lane.IN if report.status is Status.UNKNOWN and not report.unread else Lane.OUT
    return _stale(rules) if report.unread else Lane.IN


def _lane_of_primary(rules: ReadPolicy, lane: Lane, *, can_read: bool) -> Lane:
    """Return a primary's lane for reads. Where it is cut off as primary it is cut off here: here, too, it could be written to."""
    if lane is not Lane.IN:
        return Lane.DRAIN if lane is Lane.DRAIN else Lane.OUT
    match rules.primary:
        case PrimaryReads.ALWAYS:
            return Lane.IN
        case PrimaryReads.LAST if not can_read:
            return Lane.IN
        case _:
            return _stale(rules)


def _stale(rules: ReadPolicy) -> Lane:
    return Lane.OUT if rules.cut_stale else Lane.DRAIN


def _primaries(
    state: State, policy: ServicePolicy, reports: dict[MemberName, MemberReport | None]
) -> list[MemberName]:
    here = [member_of(m.id) for m in state.members(policy.name) if m.role is Role.PRIMARY]
    return here + [name for name, r in reports.items() if r is not None and r.role is Role.PRIMARY]


def _was_read(state: State, member: ComponentState) -> bool:
    seen = state.services[service_of(member.id)].seen_readers.get(member_of(member.id))
    return seen is not None and seen.lane is Lane.IN
