"""Who should run, who may serve: short questions about the state that several steps ask."""

from holdfast.model.cluster import Entitlement, MemberReport
from holdfast.model.ids import ComponentId, ServiceName, component_id, member_of, service_of
from holdfast.model.observation import Failure
from holdfast.model.policy import MemberPolicy, Mode, ServicePolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, Pause, ProcessAbsent, ProcessRunning, ProcessUnknown, State
from holdfast.model.time import SECOND, Instant

USABLE = frozenset({Status.UP, Status.SUSPECT, Status.DRAINING})

# A balancer that runs and leaves so many looks in a row unanswered, for so long, serves nobody: a worker of it that
# was stopped by a signal shows in no other way. One unanswered look may be our own fault: we were late.
LOOKS_IN_SILENCE = 3
SILENT_FOR = 5 * SECOND


def member_policy(state: State, component: ComponentId) -> MemberPolicy | None:
    """Return the policy of the component's member; None if the file no longer names it."""
    service = state.policy.services.get(service_of(component))
    return service.member(member_of(component)) if service else None


def is_wanted(state: State, component: ComponentId) -> bool:
    """Tell whether the component should run now."""
    service = state.policy.services.get(service_of(component))
    if state.is_going_down or service is None or component not in service.components:
        return False
    if service.mode is not Mode.SINGLETON:
        return True
    if service.is_leased and state.entitlements is not None:
        entitlement = entitlement_of(state, service.name)
        return entitlement is not None and entitlement.member == member_of(component)
    return state.services[service.name].assigned == member_of(component)


def entitlement_of(state: State, service: ServiceName) -> Entitlement | None:
    """Return the lease under which a member of this host may serve; None if none may, or it is being given up."""
    entitlement = (state.entitlements or {}).get(service)
    return None if entitlement is None or entitlement.is_ending else entitlement


def has_lost_lease(state: State, service: ServicePolicy) -> bool:
    """Tell whether whatever serves here has to end at once: the service's lease may be another host's by now."""
    return service.is_leased and state.entitlements is not None and service.name not in state.entitlements


def elsewhere(state: State, service: ServicePolicy) -> tuple[MemberReport, ...]:
    """Return how the service's members on other hosts are."""
    seen = (state.elsewhere.get(component_id(service.name, member.name)) for member in service.elsewhere)
    return tuple(report for report in seen if report is not None)


def may_run(component: ComponentState) -> bool:
    """Tell whether the process runs, might run, or is being started: the opposite of proven absent."""
    if component.flight is not None and component.flight.action == "start":
        return True
    return not isinstance(component.process, ProcessAbsent)


def may_linger(component: ComponentState) -> bool:
    """Tell whether something that the absent process started may still be there, and serve: nobody ended it yet."""
    is_stopping = component.flight is not None and component.flight.action == "stop"
    return is_stopping or (isinstance(component.process, ProcessAbsent) and not component.process.is_clean)


def is_ended_by_us(state: State, component: ComponentState) -> bool:
    """Tell whether it is being ended: stopped, or demoted where it gives its role back by ending.

    PostgreSQL cannot step back: it is shut down, and started as a standby next.
    """
    action = component.flight.action if component.flight is not None else ""
    member = member_policy(state, component.id)
    ends_by_demotion = member is not None and isinstance(member.run.managed, PostgresServer)
    return action == "stop" or (action == "demote" and ends_by_demotion)


def is_frozen(component: ComponentState) -> bool:
    """Tell whether the process does nothing at all: it was stopped by a signal, or is ending."""
    process = component.process
    return isinstance(process, ProcessRunning) and (process.stopped_since is not None or process.is_dying)


def is_unjudged(component: ComponentState) -> bool:
    """Tell whether an earlier agent left it running and no probe has told yet how it is."""
    process = component.process
    return isinstance(process, ProcessRunning) and process.adopted and component.status is Status.UNKNOWN


def has_role(component: ComponentState) -> bool:
    """Tell whether the component is primary, or may be."""
    return component.role in (Role.PRIMARY, Role.PROMOTING)


def why_not_primary(component: ComponentState, now: Instant, *, in_need: bool = False) -> str:
    """Return why a running member cannot become primary now; empty if it can.

    `in_need`: nobody serves. Then one that waits for its own planned restart is good enough: its restart
    waits for the others to be usable, and must not keep the service down meanwhile.
    """
    if component.status is Status.DRAINING or component.drain is not None:
        return "drained by an operator"
    if component.status not in (Status.UP, Status.SUSPECT) or is_frozen(component):
        return f"{component.status}, {component.reason}" if component.reason else str(component.status)
    if component.held_until is not None and now < component.held_until:
        return "held back because it flaps"
    if component.together or (restart_reason(component) and not in_need):
        return "about to be restarted"
    if component.fence:
        return "about to be fenced"
    if now < component.not_before:
        return "its last promotion failed a moment ago"
    return ""


def others_holding(state: State, component: ComponentId) -> tuple[ComponentState, ...]:
    """Return who else of its exclusive service may serve now, strays included: then `component` may not.

    Of a singleton that is whoever may run; of a pair, whoever has or may have the role.
    """
    service = service_of(component)
    others = [c for c in (*state.members(service), *state.strays(service)) if c.id != component]
    policy = state.policy.services.get(service)
    if policy is not None and policy.mode is Mode.SINGLETON:
        return tuple(other for other in others if may_run(other) or may_linger(other))
    return tuple(o for o in others if has_role(o) or isinstance(o.process, ProcessUnknown))


def primary_of(state: State, service: ServiceName) -> ComponentState | None:
    """Return the member that holds the role, the newest epoch first; None if no one does."""
    holders = [member for member in state.members(service) if has_role(member)]
    return max(holders, key=lambda member: member.epoch, default=None)


def is_unopened(component: ComponentState) -> bool:
    """Tell whether it has the role and was never promoted for it: it stood in for a server outside, which it is to follow no more."""
    seen = [probe.last for probe in component.probes.values() if probe.last is not None]
    return any(last.failure is Failure.UNOPENED and last.at >= component.role_since for last in seen)


def is_usable(component: ComponentState) -> bool:
    """Tell whether the component can serve, as seen by this host's agent."""
    return component.status in USABLE


def pause_of(state: State, service: ServiceName, now: Instant) -> Pause | None:
    """Return the pause that holds `service` back now, its own or the system's; None if none does."""
    entry = state.services.get(service)
    for pause in (state.pause, entry.pause if entry else None):
        if pause is not None and now < pause.until:
            return pause
    return None


def waits_for(state: State, service: ServiceName) -> tuple[ServiceName, ...]:
    """Return the dependencies of `service` that do not serve now."""
    policy = state.policy.services.get(service)
    if policy is None:
        return ()
    return tuple(name for name in policy.depends_on if not state.services[name].serving)


def restart_reason(component: ComponentState) -> str:
    """Return why the running process has to be restarted by plan; empty if it need not."""
    if component.must_restart:
        return component.must_restart
    process = component.process
    if not isinstance(process, ProcessRunning) or not process.run_digest or not component.run_digest:
        return ""
    if process.run_digest == component.run_digest:
        return ""
    return "its command, environment, user or directory changed in the file"


def balancer_runs(state: State) -> bool:
    """Tell whether our HAProxy runs; one that is not ours is taken to run."""
    is_ours = any(policy.is_builtin for policy in state.policy.services.values())
    return not is_ours or balancer_process(state) is not None


def balancer_process(state: State) -> ProcessRunning | None:
    """Return the process of our HAProxy if it runs."""
    for name, policy in state.policy.services.items():
        if policy.is_builtin:
            running = (member.process for member in state.members(name))
            return next((process for process in running if isinstance(process, ProcessRunning)), None)
    return None


def hung_balancer_at(state: State, component: ComponentState, process: ProcessRunning) -> Instant | None:
    """Return when the component counts as hung, as a balancer that does not answer; None if it does, or is none."""
    silence = state.balancer_silence
    if silence is None or silence.looks < LOOKS_IN_SILENCE:
        return None
    service = state.policy.services[service_of(component.id)]
    if not service.is_builtin:
        return None
    has_started = state.balancer_answered == process.incarnation
    patience = SILENT_FOR if has_started else service.restart.startup_grace
    return max(silence.since, process.since) + patience


def has_left(state: State, member: ComponentState) -> bool:
    """Tell whether no traffic reaches the member any more, so that it may be stopped by plan."""
    policy = state.policy.services.get(member.id.partition("/")[0])
    if policy is None or policy.traffic is None or not balancer_runs(state):
        return True
    service = state.services[policy.name]
    name = member_of(member.id)
    if service.routed is None or service.routed.lanes.get(name, Lane.OUT) is Lane.IN:
        return False
    if service.routed.readers.get(name, Lane.OUT) is Lane.IN:
        return False
    # Still IN: it was looked at before it left, and sessions may have begun since.
    ways = [service.seen.get(name)] + ([service.seen_readers.get(name)] if service.routed.readers else [])
    return all(seen is not None and seen.lane is not Lane.IN and seen.sessions == 0 for seen in ways)


def next_to_restart(state: State, service: ServiceName) -> ComponentState | None:
    """Return the member whose planned restart is due now: one at a time, and only while the others can serve.

    Standbys restart before the primary, so that the role moves once; then the file's order.
    """
    members = [member for member in state.members(service) if is_wanted(state, member.id)]
    due = [
        m for m in members if restart_reason(m) and not m.together and isinstance(m.process, ProcessRunning)
    ]
    if not due:
        return None
    first = min(due, key=has_role)  # min keeps the file's order among equals
    return first if all(is_usable(other) for other in members if other.id != first.id) else None
