"""The status: what `holdfast status`, the page and scripts get to see, as one stable value.

Names in here are a promise to scripts: fields are added, never renamed. Instants are this host's; `wall_offset`
turns them into wall time. What the reader wants relative is given relative, in seconds.
"""

from holdfast.agent import cluster_status
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.model.decisions import Withheld
from holdfast.model.events import MemberTraffic
from holdfast.model.ids import ComponentId, Epoch, MemberName, ServiceName, pid_of
from holdfast.model.incidents import Incident
from holdfast.model.policy import MemberPolicy, Mode, ProbePolicy, Purpose, ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, Drain, Pause, ProbeState, ProcessRunning, State
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import Value, replace


class PauseStatus(Value, frozen=True):
    """A pause that holds now."""

    by: str
    why: str
    left_s: float


class DrainStatus(Value, frozen=True):
    """A drain that holds now."""

    by: str
    why: str
    since_s: float


class ProbeStatus(Value, frozen=True):
    """One probe: its verdict, and the newest answer that was news.

    An answer like the one before is not remembered while all is well: latency and age are of the first of its kind.
    """

    name: str
    purpose: Purpose
    passed: bool | None  # None: no verdict yet
    outcome: str | None = None  # of that answer, as all below
    layer: str | None = None
    failure: str | None = None
    detail: str = ""
    latency_ms: float | None = None
    age_s: float | None = None


class MemberStatus(Value, frozen=True):
    """One member of a service."""

    component: ComponentId
    status: Status
    role: Role
    epoch: Epoch
    since_s: float  # in this status
    reason: str  # for the status
    pid: int | None
    adopted: bool  # not started by this agent: how it ends will not be known exactly
    frozen: bool  # stopped by a signal
    restarts: int  # within the budget's window
    gave_up: bool
    doing: str | None  # what is being done with it right now: "start", "stop", ...
    probes: tuple[ProbeStatus, ...] = ()
    lane: Lane | None = None  # as read back from the balancer; None: no traffic, or unknown
    sessions: int | None = None
    held_s: float | None = None  # kept out of traffic for so long yet: it flaps
    drain: DrainStatus | None = None


class ServiceStatus(Value, frozen=True):
    """One service."""

    name: ServiceName
    mode: Mode
    builtin: bool
    health: float
    threshold: float
    serving: bool
    serving_since_s: float  # or not serving since
    active: MemberName | None  # exclusive modes: who should serve
    epoch: Epoch
    depends_on: tuple[ServiceName, ...]
    listen: str | None  # where clients reach it
    members: tuple[MemberStatus, ...]
    incident: str | None = None
    switchover_to: MemberName | None = None
    paused: PauseStatus | None = None
    withheld: tuple[Withheld, ...] = ()


class AgentStatus(Value, frozen=True):
    """The agent itself."""

    pid: int
    version: str
    uptime_s: float
    file: str
    directory: str
    revision: str
    problem: str = ""  # something that an operator has to put right; empty: nothing


class SystemStatus(Value, frozen=True):
    """The whole system as this host's agent sees it."""

    system: str
    health: float
    threshold: float
    surveyed: bool  # False: the first look at the processes is not done yet
    going_down: bool
    services: tuple[ServiceStatus, ...]
    incidents: tuple[Incident, ...]  # the open ones
    agent: AgentStatus
    now: Instant
    wall_offset: Duration
    paused: PauseStatus | None = None
    cluster: ClusterStatus | None = None  # None: one host


def status_of(
    state: State, agent: AgentStatus, now: Instant, cluster: ClusterStatus | None = None
) -> SystemStatus:
    """Return the status as of `now`."""
    return SystemStatus(
        system=state.policy.system,
        health=state.health,
        threshold=state.policy.threshold,
        surveyed=bool(state.surveyed_at),
        going_down=state.is_going_down,
        services=tuple(_service(state, policy, now) for policy in state.policy.services.values()),
        incidents=tuple(incident for incident in state.incidents.values() if incident.is_open),
        agent=agent,
        now=now,
        wall_offset=state.wall_offset,
        paused=_pause(state.pause, now),
        cluster=cluster,
    )


def without_ages(status: SystemStatus) -> SystemStatus:
    """Return `status` without what changes by merely waiting: two that are equal tell a watcher nothing new."""
    services = tuple(
        replace(
            service,
            serving_since_s=0.0,
            paused=service.paused and replace(service.paused, left_s=0.0),
            members=tuple(_member_without_ages(member) for member in service.members),
        )
        for service in status.services
    )
    agent = replace(status.agent, uptime_s=0.0)
    paused = status.paused and replace(status.paused, left_s=0.0)
    cluster = status.cluster and cluster_status.without_ages(status.cluster)
    return replace(status, services=services, agent=agent, now=0, paused=paused, cluster=cluster)


def one_line(state: State) -> str:
    """Return the state in one line, for systemd."""
    serving = sum(
        service.serving for name, service in state.services.items() if name in state.policy.services
    )
    open_ = sum(incident.is_open for incident in state.incidents.values())
    line = f"{state.policy.system}: health {state.health:.2f}, {serving}/{len(state.policy.services)} services serve"
    if open_:
        line += f", {open_} incident{'s' if open_ > 1 else ''} open"
    return line + (", paused" if state.pause else "")


def _service(state: State, policy: ServicePolicy, now: Instant) -> ServiceStatus:
    known = state.services[policy.name]
    traffic = policy.traffic
    return ServiceStatus(
        name=policy.name,
        mode=policy.mode,
        builtin=policy.is_builtin,
        health=known.health,
        threshold=policy.threshold,
        serving=known.serving,
        serving_since_s=_ago(known.serving_since, now),
        active=known.assigned if policy.is_exclusive else None,
        epoch=known.epoch,
        depends_on=policy.depends_on,
        listen=f"{traffic.listen_host}:{traffic.listen_port}" if traffic else None,
        members=tuple(
            _member(state.components[id_], member, known.seen.get(member.name), now)
            for id_, member in zip(policy.components, policy.members, strict=True)
        ),
        incident=known.incident,
        switchover_to=known.switchover.to if known.switchover else None,
        paused=_pause(known.pause, now),
        withheld=state.withheld.get(policy.name, ()),
    )


def _member(
    known: ComponentState, policy: MemberPolicy, traffic: MemberTraffic | None, now: Instant
) -> MemberStatus:
    process = known.process if isinstance(known.process, ProcessRunning) else None
    recent = tuple(at for at in known.restarted_at if at <= now)
    return MemberStatus(
        component=known.id,
        status=known.status,
        role=known.role,
        epoch=known.epoch,
        since_s=_ago(known.status_since, now),
        reason=known.reason,
        pid=pid_of(process.incarnation) if process else None,
        adopted=process is not None and process.adopted,
        frozen=process is not None and process.stopped_since is not None,
        restarts=len(recent),
        gave_up=known.gave_up_at is not None,
        doing=known.flight.action if known.flight else None,
        probes=tuple(_probe(known.probes.get(probe.name), probe, now) for probe in policy.probes),
        lane=traffic.lane if traffic else None,
        sessions=traffic.sessions if traffic else None,
        held_s=_left(known.held_until, now) if known.held_until is not None else None,
        drain=_drain(known.drain, now),
    )


def _probe(known: ProbeState | None, policy: ProbePolicy, now: Instant) -> ProbeStatus:
    if known is None or known.last is None:
        return ProbeStatus(policy.name, policy.purpose, known.passed if known else None)
    last = known.last
    return ProbeStatus(
        name=policy.name,
        purpose=policy.purpose,
        passed=known.passed,
        outcome=last.outcome,
        layer=last.layer,
        failure=last.failure,
        detail=last.detail,
        latency_ms=round(last.latency / MILLISECOND, 3),
        age_s=_ago(last.at, now),
    )


def _pause(pause: Pause | None, now: Instant) -> PauseStatus | None:
    if pause is None or pause.until <= now:
        return None
    return PauseStatus(pause.by, pause.why, _left(pause.until, now))


def _drain(drain: Drain | None, now: Instant) -> DrainStatus | None:
    return DrainStatus(drain.by, drain.why, _ago(drain.since, now)) if drain else None


def _member_without_ages(member: MemberStatus) -> MemberStatus:
    # A probe's latency is different each time; a watcher cares for its verdict and what it said.
    return replace(
        member,
        since_s=0.0,
        held_s=None if member.held_s is None else 0.0,
        drain=member.drain and replace(member.drain, since_s=0.0),
        probes=tuple(replace(probe, latency_ms=None, age_s=None) for probe in member.probes),
    )


def _ago(since: Instant, now: Instant) -> float:
    return round(max(0, now - since) / SECOND, 3) if since else 0.0


def _left(until: Instant, now: Instant) -> float:
    return round(max(0, until - now) / SECOND, 3)
