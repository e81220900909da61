"""How things stand: what the screen of `holdfast status` says, and the verdict behind its exit code, as values.

Only the state goes in. Instants leave as seconds: an instant means nothing outside its host.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.cli.exits import ExitCode
from holdfast.cli.wall_clock import WallClock
from holdfast.failover import routing
from holdfast.model import duty
from holdfast.model.cluster import Lease, MemberReport
from holdfast.model.ids import ComponentId, HostName, MemberName, ServiceName, component_id, member_of, pid_of
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, Pause, ProcessRunning, State
from holdfast.model.time import SECOND, Instant
from holdfast.model.value import Value

_READ_BACK_WITHIN = 3 * SECOND  # the agent looks every second


class Verdict(StrEnum):
    """Everything in one word."""

    OK = "ok"
    DEGRADED = "degraded"
    BELOW_THRESHOLD = "below_threshold"

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code that says the same."""
        return {
            Verdict.OK: ExitCode.OK,
            Verdict.DEGRADED: ExitCode.DEGRADED,
            Verdict.BELOW_THRESHOLD: ExitCode.BELOW_THRESHOLD,
        }[self]


class PauseStanding(Value, frozen=True):
    """A pause that holds now."""

    by: str
    why: str
    until: str  # wall clock
    left_seconds: float


class CheckStanding(Value, frozen=True):
    """One probe and its verdict."""

    name: str
    passed: bool | None  # None: no verdict yet


class ComponentStanding(Value, frozen=True):
    """One component."""

    id: ComponentId
    service: ServiceName
    member: str
    is_active: bool  # clients are sent to it
    is_wanted: bool  # it should run now
    role: str  # "" in a service where all members are alike
    status: Status
    since_seconds: float | None  # None: not known of members on other hosts
    pid: int | None
    restarts: int  # within the budget's window
    restarts_max: int
    gave_up: bool
    checks: tuple[CheckStanding, ...]
    reason: str
    busy: str  # the action under way, if any
    drain: str  # who asked for the drain and why
    host: HostName = ""  # where it runs; empty: there is one host only
    is_elsewhere: bool = False  # looked after by another host: only what that host tells is known


class ServiceStanding(Value, frozen=True):
    """One service."""

    name: ServiceName
    mode: str
    health: float
    threshold: float
    is_serving: bool
    serving_seconds: float | None  # for how long it has been serving, or not serving; None: it never served
    up: int
    wanted: int
    active: tuple[str, ...]
    epoch: int
    incident: str | None
    pause: PauseStanding | None
    drift: tuple[str, ...]  # where the balancer differs from what it was told
    switchover: str
    waits_for: tuple[ServiceName, ...]
    is_builtin: bool


class OpenIncident(Value, frozen=True):
    """An incident that is not over."""

    id: str
    service: ServiceName
    since_seconds: float
    cause: str


class Standing(Value, frozen=True):
    """The whole system, as one agent sees it."""

    system: str
    verdict: Verdict
    health: float
    threshold: float
    services: tuple[ServiceStanding, ...]
    components: tuple[ComponentStanding, ...]
    incidents: tuple[OpenIncident, ...]
    pause: PauseStanding | None
    is_going_down: bool
    revision: str
    cluster: ClusterStatus | None = None  # None: one host


def standing_of(
    state: State, now: Instant, clock: WallClock, cluster: ClusterStatus | None = None
) -> Standing:
    """Return how things stand at `now`."""
    me = cluster.me if cluster is not None else ""
    components: list[ComponentStanding] = []
    for policy in state.policy.services.values():
        here = (state.components.get(id_) for id_ in policy.components)
        components += (_component(state, component, now, me) for component in here if component is not None)
        components += _elsewhere(state, policy, cluster)
    services = tuple(
        _service(state, policy, now, clock, [c for c in components if c.service == name])
        for name, policy in state.policy.services.items()
        if name in state.services
    )
    incidents = tuple(
        OpenIncident(
            id=incident.id,
            service=incident.service,
            since_seconds=_seconds(now - incident.opened_at),
            cause=incident.cause.text if incident.cause else "",
        )
        for incident in state.incidents.values()
        if incident.is_open
    )
    return Standing(
        system=state.policy.system,
        verdict=_verdict(
            state,
            services,
            components,
            has_incidents=bool(incidents),
            is_whole=cluster is None or is_whole(cluster),
        ),
        health=state.health,
        threshold=state.policy.threshold,
        services=services,
        components=tuple(components),
        incidents=incidents,
        pause=_pause(state.pause, now, clock),
        is_going_down=state.is_going_down,
        revision=state.policy.revision,
        cluster=cluster,
    )


def is_whole(cluster: ClusterStatus) -> bool:
    """Tell whether every host of the file takes part, this one included."""
    takes_part = (host.has_session and host.reach != "lost" for host in cluster.hosts)
    return cluster.is_connected and all(takes_part)


def drift_of(state: State, policy: ServicePolicy, now: Instant) -> tuple[str, ...]:
    """Return where the balancer, as last read back, differs from what is wanted now."""
    service = state.services[policy.name]
    if policy.traffic is None or not service.seen or service.flight is not None or state.is_going_down:
        return ()  # no traffic, nothing read back, or being changed this moment
    if service.routed is not None and now - service.routed_at < _READ_BACK_WITHIN:
        return ()  # what was read back may be from before the change
    wanted = routing.with_readers(routing.wanted_routing(state, policy, now)[0], state, policy, now)
    found = []
    for member, lane in wanted.lanes.items():
        seen = service.seen.get(member)
        if seen is None:
            found.append(f"{member} is unknown to the balancer")
        elif seen.lane != lane:
            found.append(f"{member} should be {lane}, the balancer has it {seen.lane}")
    for member, lane in wanted.readers.items():
        seen = service.seen_readers.get(member)
        if seen is None or seen.lane != lane:
            has = f"has it {seen.lane}" if seen is not None else "does not know it"
            found.append(f"{member} should be {lane} for those who read, the balancer {has}")
    if wanted.active is not None and service.seen_active not in (wanted.active, None):
        found.append(f"{wanted.active} should be active, the balancer has {service.seen_active}")
    return tuple(found)


def _verdict(
    state: State,
    services: tuple[ServiceStanding, ...],
    components: Sequence[ComponentStanding],
    *,
    has_incidents: bool,
    is_whole: bool,
) -> Verdict:
    if services and (
        state.health <= state.policy.threshold or any(s.health <= s.threshold for s in services)
    ):
        return Verdict.BELOW_THRESHOLD
    # A doubt (suspect) is not a verdict yet, and a drain is meant: neither degrades.
    is_wounded = any(c.is_wanted and c.status not in duty.USABLE for c in components)
    if is_wounded or has_incidents or not is_whole or any(s.drift for s in services):
        return Verdict.DEGRADED
    return Verdict.OK


def _service(
    state: State, policy: ServicePolicy, now: Instant, clock: WallClock, members: Sequence[ComponentStanding]
) -> ServiceStanding:
    service = state.services[policy.name]
    wanted = [member for member in members if member.is_wanted]
    there = [report.epoch for report in duty.elsewhere(state, policy)] if policy.is_exclusive else []
    move = service.switchover
    return ServiceStanding(
        name=policy.name,
        mode=policy.mode.value,
        health=service.health,
        threshold=policy.threshold,
        is_serving=service.serving,
        serving_seconds=_seconds(now - service.serving_since) if service.serving_since else None,
        up=sum(member.status in duty.USABLE for member in wanted),
        wanted=len(wanted),
        active=tuple(member.member for member in members if member.is_active),
        epoch=max((service.epoch, *there)),
        incident=service.incident,
        pause=_pause(service.pause, now, clock),
        drift=drift_of(state, policy, now),
        switchover=f"switchover to {move.to}, asked for by {move.by}" if move else "",
        waits_for=duty.waits_for(state, policy.name),
        is_builtin=policy.is_builtin,
    )


def is_active(state: State, component: ComponentState) -> bool:
    """Tell whether clients are sent to the component, as far as is known."""
    policy = state.policy.services[component.id.partition("/")[0]]
    if not duty.is_usable(component):
        return False
    if policy.is_exclusive:
        return component.role is Role.PRIMARY
    seen = state.services[policy.name].seen.get(member_of(component.id))
    return component.status is not Status.DRAINING if seen is None else seen.lane is Lane.IN


def _component(state: State, component: ComponentState, now: Instant, host: HostName) -> ComponentStanding:
    policy = state.policy.services[component.id.partition("/")[0]]
    process = component.process
    drain = component.drain
    return ComponentStanding(
        id=component.id,
        service=policy.name,
        member=member_of(component.id),
        is_active=is_active(state, component),
        is_wanted=duty.is_wanted(state, component.id),
        role=component.role.value if policy.is_exclusive else "",
        status=component.status,
        since_seconds=_seconds(now - component.status_since),
        pid=pid_of(process.incarnation) if isinstance(process, ProcessRunning) else None,
        restarts=len(component.restarted_at),
        restarts_max=policy.restart.restarts_max,
        gave_up=component.gave_up_at is not None,
        checks=_checks(component),
        reason=component.reason,
        busy=component.flight.action if component.flight else "",
        drain=f"drained by {drain.by}" + (f": {drain.why}" if drain.why else "") if drain else "",
        host=host,
    )


def _elsewhere(
    state: State, policy: ServicePolicy, cluster: ClusterStatus | None
) -> Iterator[ComponentStanding]:
    """Return the service's members on other hosts, as far as those hosts tell."""
    placed = {one.component: one.host for one in cluster.elsewhere} if cluster is not None else {}
    leases = leases_of(cluster)
    for member in policy.elsewhere:
        id_ = component_id(policy.name, member.name)
        report = state.elsewhere.get(id_) or MemberReport(Status.UNKNOWN, reason="its host has not told yet")
        lease = leases.get(policy.name)
        yield ComponentStanding(
            id=id_,
            service=policy.name,
            member=member.name,
            is_active=_is_active_elsewhere(state, policy, member.name, report, lease),
            is_wanted=_is_wanted_elsewhere(policy, member.name, report, lease),
            role=role_elsewhere(member.name, report, lease) if policy.is_exclusive else "",
            status=report.status,
            since_seconds=None,
            pid=None,
            restarts=0,
            restarts_max=0,
            gave_up=False,
            checks=(),
            reason=report.reason,
            busy="",
            drain="",
            host=placed.get(id_) or member.on or "-",
            is_elsewhere=True,
        )


def leases_of(cluster: ClusterStatus | None) -> dict[ServiceName, Lease | None]:
    """Return the lease of each service, as this host sees it; nothing on one host."""
    return {one.service: one.lease for one in cluster.leases} if cluster is not None else {}


def role_elsewhere(name: MemberName, report: MemberReport, lease: Lease | None) -> str:
    """Return its role; a host that fell silent as primary tells so for ever, and another may be primary by now."""
    is_over = report.role is Role.PRIMARY and lease is not None and lease.member != name
    return "former" if is_over else report.role.value


def _is_active_elsewhere(
    state: State, policy: ServicePolicy, name: MemberName, report: MemberReport, lease: Lease | None
) -> bool:
    if report.status not in duty.USABLE:
        return False
    if policy.is_exclusive:
        return report.role is Role.PRIMARY and (lease is None or lease.member == name)
    service = state.services.get(policy.name)
    seen = service.seen.get(name) if service is not None else None
    return report.status is not Status.DRAINING if seen is None else seen.lane is Lane.IN


def _is_wanted_elsewhere(
    policy: ServicePolicy, name: MemberName, report: MemberReport, lease: Lease | None
) -> bool:
    if policy.mode is not Mode.SINGLETON:
        return report.status is not Status.STOPPED
    return lease.member == name if lease is not None else report.role is not Role.STANDBY


def _checks(component: ComponentState) -> tuple[CheckStanding, ...]:
    return tuple(
        CheckStanding(
            name=name,
            passed=probe.passed,
        )
        for name, probe in component.probes.items()
    )


def _pause(pause: Pause | None, now: Instant, clock: WallClock) -> PauseStanding | None:
    if pause is None or now >= pause.until:
        return None
    return PauseStanding(
        by=pause.by,
        why=pause.why,
        until=clock.short_time(pause.until, now),
        left_seconds=_seconds(pause.until - now),
    )


def _seconds(nanoseconds: int) -> float:
    return round(max(nanoseconds, 0) / SECOND, 3)
