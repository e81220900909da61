"""Where a service's traffic should go, given how its members are. A pure table, compared with what is in force."""

from holdfast.failover import reading
from holdfast.model.decisions import Route
from holdfast.model.duty import (
    balancer_process,
    balancer_runs,
    entitlement_of,
    has_role,
    is_frozen,
    is_unjudged,
    next_to_restart,
    restart_reason,
)
from holdfast.model.ids import MemberName, ServiceName, component_id, member_of, service_of
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import MILLISECOND, Instant
from holdfast.model.value import replace
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold

# A HAProxy that has just been started opens its socket only after it read its file; asking sooner only fails.
OPENS_AFTER = 100 * MILLISECOND


def steer(state: State, policy: ServicePolicy, now: Instant) -> Wishes:
    """Return the Route that is missing, and which lanes were kept open against the probes' advice."""
    if policy.traffic is None or state.is_going_down:
        return NOTHING
    routing, kept = wanted_routing(state, policy, now)
    routing = with_readers(routing, state, policy, now)
    service = state.services[policy.name]
    if service.routed == routing or service.flight is not None:
        return kept
    if service.routed is None and not service.seen and any(map(is_unjudged, state.members(policy.name))):
        why = "it is not read back yet what the balancer does with what an earlier agent left running"
        return kept + withhold(policy.name, "route", "not_seen", why)
    if not balancer_runs(state):
        return kept + withhold(policy.name, "route", "balancer_down", "HAProxy does not run")
    due = max(service.not_before, _opens_at(state))
    if now < due:
        return kept + Wishes(wakes=(due,))
    return kept + wish(Route(policy.name, routing, _describe(service.routed, routing)))


def _opens_at(state: State) -> Instant:
    """Return from when on the balancer can be told anything; 0 if it has long been so."""
    process = balancer_process(state)
    return 0 if process is None or process.adopted else process.since + OPENS_AFTER


def wanted_routing(state: State, policy: ServicePolicy, now: Instant) -> tuple[Routing, Wishes]:
    """Return the table that should be in force, and what was held back while making it."""
    if policy.mode is Mode.ACTIVE_ACTIVE:
        return _spread(state, policy, now)
    members = state.members(policy.name)
    active = _active(state, policy)
    lanes = {
        member_of(member.id): _exclusive_lane(
            state, policy, member, now, is_active=member_of(member.id) == active
        )
        for member in members
    } | _lanes_elsewhere(state, policy)
    kept = NOTHING
    if active is not None and lanes.get(active) is Lane.DOWN and Lane.IN not in lanes.values():
        current = next((member for member in members if member_of(member.id) == active), None)
        if current is None:
            return Routing(active, lanes), kept
        if _is_only_doubted(current) and _may_be_reached(policy, current):
            lanes[active] = Lane.IN
            kept = withhold(
                current.id, "route away", "last_member", f"{current.reason}; but no other member can serve"
            )
    return Routing(active, lanes), kept


def with_readers(routing: Routing, state: State, policy: ServicePolicy, now: Instant) -> Routing:
    """Return the table with who may be read from, for those who read only."""
    readers = reading.wanted_readers(state, policy, routing.lanes, now)
    for member in state.members(policy.name):
        name = member_of(member.id)
        if readers.get(name) is Lane.IN and _is_leaving(state, member):
            readers[name] = Lane.DRAIN
    return replace(routing, readers=readers) if readers else routing


def _active(state: State, policy: ServicePolicy) -> MemberName | None:
    """Return the member of an exclusive service that gets its traffic: who has the role by the newest epoch."""
    if policy.mode is Mode.SINGLETON and not policy.is_leased:
        return state.services[policy.name].assigned
    holders = [
        (member.epoch, member_of(member.id))
        for member in state.members(policy.name)
        if member.role is Role.PRIMARY
    ]
    for other in policy.elsewhere:
        report = state.elsewhere.get(component_id(policy.name, other.name))
        if report is not None and report.role is Role.PRIMARY and report.lane is not Lane.OUT:
            holders.append((report.epoch, other.name))
    return max(holders)[1] if holders else _last_active(state, policy.name)


def _lanes_elsewhere(state: State, policy: ServicePolicy) -> dict[MemberName, Lane]:
    """Return the lanes of members on other hosts: what their own host says of each, or what its silence says."""
    if _is_held_here(state, policy):
        return {member.name: Lane.OUT for member in policy.elsewhere}
    reports = {m.name: state.elsewhere.get(component_id(policy.name, m.name)) for m in policy.elsewhere}
    return {name: report.lane if report is not None else Lane.DOWN for name, report in reports.items()}


def _is_held_here(state: State, policy: ServicePolicy) -> bool:
    """Tell whether this host holds the lease of a service whose members have to be promoted: then nobody elsewhere may be reached.

    What other hosts said before, and what the coordinator showed, may both be older than that.
    """
    has_roles = any(member.run.has_roles for member in policy.everywhere)
    return policy.is_exclusive and has_roles and entitlement_of(state, policy.name) is not None


def _last_active(state: State, service: ServiceName) -> MemberName | None:
    entry = state.services[service]
    active = entry.routed.active if entry.routed is not None else entry.seen_active
    return active if active and state.policy.services[service].anywhere(active) is not None else None


def _spread(state: State, policy: ServicePolicy, now: Instant) -> tuple[Routing, Wishes]:
    """Active-active: every usable member is in; if too few are, doubts no longer count."""
    members = state.members(policy.name)
    lanes = {member_of(member.id): _lane(state, member, now) for member in members}
    lanes |= _lanes_elsewhere(state, policy)
    usable = sum(lane is Lane.IN for lane in lanes.values())
    kept = NOTHING
    if usable < policy.panic_threshold * len(lanes):
        for member in members:
            name = member_of(member.id)
            if lanes[name] is Lane.DOWN and _is_only_doubted(member):
                lanes[name] = Lane.IN
                why = (
                    f"{member.reason}; but only {usable} of {len(lanes)} members would be left: "
                    "so many at once speaks against the probe or something they share"
                )
                kept += withhold(member.id, "route away", "panic", why)
            elif lanes[name] is Lane.OUT and usable == 0 and member.status in (Status.UP, Status.SUSPECT):
                lanes[name] = Lane.IN
                kept += withhold(
                    member.id, "route away", "last_member", "it flaps; but no other member can serve"
                )
    return Routing(None, lanes), kept


def _exclusive_lane(
    state: State, policy: ServicePolicy, member: ComponentState, now: Instant, *, is_active: bool
) -> Lane:
    lane = _lane(state, member, now)
    if lane in (Lane.OUT, Lane.DOWN):
        return lane
    # A warm standby stays open, so that HAProxy alone can fall back to it if holdfast is dead. One that has
    # to be promoted first must not be reached before that, nor after it lost the role.
    if policy.mode is Mode.SINGLETON:
        return lane if is_active else Lane.OUT
    return lane if _may_be_reached(policy, member) else Lane.OUT


def _may_be_reached(policy: ServicePolicy, member: ComponentState) -> bool:
    """Tell whether the member may have traffic in its present role."""
    has_roles = any(other.run.has_roles for other in policy.everywhere)
    return policy.mode is not Mode.ACTIVE_STANDBY or not has_roles or member.role is Role.PRIMARY


def _lane(state: State, member: ComponentState, now: Instant) -> Lane:
    if not isinstance(member.process, ProcessRunning):
        return Lane.DOWN
    if is_frozen(member) or member.fence:
        return (
            Lane.OUT
        )  # its kernel still accepts connections: only OUT keeps the balancer's TCP checks from it
    if member.held_until is not None and now < member.held_until:
        return Lane.OUT
    if member.drain is not None or _is_leaving(state, member):
        return Lane.DRAIN
    if is_unjudged(member) and (seen := _seen_lane(state, member)) is not None:
        return seen  # an agent that starts must not take traffic from what works, before it has asked it
    return Lane.IN if member.status in (Status.UP, Status.SUSPECT) else Lane.DOWN


def _seen_lane(state: State, member: ComponentState) -> Lane | None:
    seen = state.services[service_of(member.id)].seen.get(member_of(member.id))
    return seen.lane if seen is not None else None


def _is_leaving(state: State, member: ComponentState) -> bool:
    """Tell whether the member is about to be restarted by plan; a primary's role moves first."""
    if not restart_reason(member):
        return False
    service = member.id.partition("/")[0]
    due = next_to_restart(state, service)
    policy = state.policy.services[service]
    is_alone = len(policy.members) == 1 or policy.mode is Mode.SINGLETON
    return due is not None and due.id == member.id and (is_alone or not has_role(member))


def _is_only_doubted(member: ComponentState) -> bool:
    """Tell whether only probes speak against the member: its process runs, and it was up in this life."""
    return (
        isinstance(member.process, ProcessRunning)
        and not is_frozen(member)
        and member.status is Status.DOWN
        and any(seen.passed is False and seen.ever_passed for seen in member.probes.values())
    )


def _describe(before: Routing | None, after: Routing) -> str:
    if before is None:
        return "what the balancer does is not known: " + _say(after)
    changes = [f"{name} {lane}" for name, lane in after.lanes.items() if before.lanes.get(name) != lane]
    if before.active != after.active:
        changes.insert(0, f"active {after.active or 'nobody'}")
    changes += [
        f"reads {name} {lane}" for name, lane in after.readers.items() if before.readers.get(name) != lane
    ]
    return ", ".join(changes) or "members left"


def _say(routing: Routing) -> str:
    lanes = ", ".join(f"{name} {lane}" for name, lane in routing.lanes.items())
    return f"active {routing.active}; {lanes}" if routing.active else lanes
