"""What the operator asked for, as values: the parsed and checked `holdfast.yaml`.

Templates are filled in and defaults are applied, so nothing below asks "and if it is missing?".
Secrets stay references: they are read when a process starts and never enter state or journal.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from holdfast.model.ids import ComponentId, HostName, MemberName, ServiceName, component_id
from holdfast.model.postgresql import PostgresCheck, PostgresServer
from holdfast.model.reading import ReadingCheck, ReadPolicy
from holdfast.model.redis import RedisCheck, RedisServer
from holdfast.model.secrets import SecretFrom as SecretFrom  # noqa: PLC0414 - known from here, too
from holdfast.model.tags import Tags
from holdfast.model.time import MILLISECOND, MINUTE, SECOND, Duration
from holdfast.model.value import Tagged, Value


class Mode(StrEnum):
    """How the members of a service share the work."""

    ACTIVE_ACTIVE = "active-active"  # all serve
    ACTIVE_STANDBY = "active-standby"  # all run, one serves
    SINGLETON = "singleton"  # one runs; never two


class Strategy(StrEnum):
    """Which members restart when one has to (Erlang/OTP's words)."""

    ONE_FOR_ONE = "one_for_one"  # only the one that failed
    ONE_FOR_ALL = "one_for_all"  # every member of its service, then the services that depend on it
    REST_FOR_ONE = "rest_for_one"  # it, the members listed after it, then the services that depend on it


class OcfAgent(Tagged, frozen=True):
    """A component that an OCF resource agent starts, stops and looks after."""

    provider_agent: str  # such as "heartbeat:IPaddr2": two names of folders below /usr/lib/ocf/resource.d
    parameters: dict[str, str | SecretFrom] = {}
    is_promotable: bool = False  # it runs as standby until it is promoted; otherwise what runs serves
    monitor_every: Duration = 10 * SECOND
    monitor_timeout: Duration = 30 * SECOND
    start_timeout: Duration = 2 * MINUTE
    stop_timeout: Duration = 2 * MINUTE
    promote_timeout: Duration = 2 * MINUTE
    demote_timeout: Duration = 2 * MINUTE
    notify_timeout: Duration = 3 * SECOND  # how long a change of one waits for its peers to hear of it before


Managed: TypeAlias = (
    OcfAgent | PostgresServer | RedisServer
)  # kinds of components that are more than a process of ours


class ProcessSpec(Value, frozen=True):
    """How to run one component."""

    command: tuple[str, ...]  # argv; never given to a shell; empty: see `managed`
    env: dict[str, str | SecretFrom] = {}  # added to a small clean environment
    user: str | None = None  # None: the agent's own
    group: str | None = None  # None: the user's own
    directory: str | None = None  # working directory; None: the component's own folder
    stop_signal: str = "TERM"
    stop_grace: Duration = 10 * SECOND  # from the stop signal to SIGKILL
    promote: tuple[str, ...] = ()  # argv run when the member becomes primary; empty: nothing to do
    demote: tuple[str, ...] = ()  # argv run when it stops being primary
    hook_timeout: Duration = 10 * SECOND
    log_max_bytes: int = 10_000_000  # output is kept in two files of this size at most
    managed: Managed | None = None  # None: a process, which `command` starts

    @property
    def has_roles(self) -> bool:
        """Tell whether becoming primary changes it: as a standby it must not be reached."""
        return bool(self.promote) or (self.managed is not None and self.managed.is_promotable)

    @property
    def can_be_demoted(self) -> bool:
        """Tell whether it has to be asked to give the role back."""
        return bool(self.demote) or (self.managed is not None and self.managed.is_promotable)

    @property
    def start_within(self) -> Duration:
        """Return how long a start may take beyond the moment that a process needs."""
        return 0 if self.managed is None else self.managed.start_timeout + self.managed.monitor_timeout

    @property
    def stop_within(self) -> Duration:
        """Return how long a stop may take before what is left is killed."""
        if self.managed is None:
            return self.stop_grace
        # An agent that fails is asked a second time, once its processes are gone; and it is looked at after each.
        twice = 2 * (self.managed.stop_timeout + self.managed.monitor_timeout)
        return twice + (self.managed.demote_timeout if self.managed.is_promotable else 0)

    @property
    def change_within(self) -> Duration:
        """Return how long a change of the role may take."""
        if self.managed is None:
            return self.hook_timeout
        return max(self.managed.promote_timeout, self.managed.demote_timeout) + self.managed.monitor_timeout


class TcpCheck(Tagged, frozen=True):
    """Connect; with `send` or `expect`, speak too."""

    host: str
    port: int
    send: str = ""
    expect: str = ""  # the answer must contain it


class HttpCheck(Tagged, frozen=True):
    """One HTTP/1.1 request. Redirects are never followed."""

    host: str
    port: int
    path: str = "/"
    tls: bool = False
    tls_verify: bool = True
    method: str = "GET"
    headers: dict[str, str] = {}
    expect_status: tuple[tuple[int, int], ...] = ((200, 399),)  # closed ranges
    expect_body: str = ""  # the first 64 KiB must contain it


class ExecCheck(Tagged, frozen=True):
    """A program with Nagios' exit codes: 0 passed, 1 degraded, 2 failed, 3 and others unknown."""

    command: tuple[str, ...]


Check: TypeAlias = TcpCheck | HttpCheck | ExecCheck | PostgresCheck | RedisCheck | ReadingCheck


class Purpose(StrEnum):
    """What a probe's verdict is for."""

    STARTUP = "startup"  # until it passes, the others wait
    LIVENESS = "liveness"  # failed: no traffic, and restarted
    READINESS = "readiness"  # failed: no traffic, left running
    READING = "reading"  # failed: nobody reads from it while it is a standby; what else it does goes on


class ProbePolicy(Value, frozen=True):
    """One active question, asked again and again."""

    name: str
    purpose: Purpose
    check: Check
    every: Duration = SECOND
    timeout: Duration = 500 * MILLISECOND
    rise: int = 1  # passes in a row that make it passed
    fall: int = 3  # failures in a row that make it failed
    every_suspect: Duration = 100 * MILLISECOND  # interval while the last answer contradicts the verdict
    jitter: float = 0.1  # share of `every` by which a question may come early or late


class RestartPolicy(Value, frozen=True):
    """When what failed is started again, and when we stop trying."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    restarts_max: int = 5
    window: Duration = MINUTE
    backoff_min: Duration = 200 * MILLISECOND  # before the second restart; the first is at once
    backoff_max: Duration = 30 * SECOND
    jitter: float = 0.2  # share of the back-off added at most
    stable_after: Duration = 10 * SECOND  # up for this long: the back-off starts anew
    retry_after: Duration = 5 * MINUTE  # budget spent: one more attempt each time this has passed
    hang_grace: Duration = SECOND  # a stopped process may continue within this; then it is killed
    startup_grace: Duration = MINUTE  # from start to the first passed probes


class FlapPolicy(Value, frozen=True):
    """How often a member may come and go before it is held out of traffic."""

    falls_max: int = 4  # more falls than this within `window` is flapping
    window: Duration = MINUTE
    hold_min: Duration = 10 * SECOND  # doubles with each hold
    hold_max: Duration = 5 * MINUTE


class Balance(StrEnum):
    """How an active-active service's requests are spread."""

    ROUNDROBIN = "roundrobin"
    LEASTCONN = "leastconn"
    SOURCE = "source"


class Protocol(StrEnum):
    """What the balancer understands of the traffic."""

    HTTP = "http"
    TCP = "tcp"


class TrafficPolicy(Value, frozen=True):
    """Where clients reach a service."""

    listen_host: str
    listen_port: int
    protocol: Protocol = Protocol.HTTP
    balance: Balance = Balance.ROUNDROBIN
    drain_timeout: Duration = 30 * SECOND  # sessions older than this are cut when a drain ends
    retry: bool = True  # idempotent requests (GET, HEAD, OPTIONS) are tried on another member
    connect_timeout: Duration = 100 * MILLISECOND
    client_timeout: Duration = MINUTE
    server_timeout: Duration = MINUTE
    read_only: ReadPolicy | None = None  # None: standbys are not read from


class MemberPolicy(Value, frozen=True):
    """One member of a service."""

    name: MemberName
    run: ProcessSpec
    probes: tuple[ProbePolicy, ...] = ()
    host: str = "127.0.0.1"  # where its traffic port is reached
    port: int | None = None  # where it serves; None: no traffic
    weight: float = 1.0  # of its health in its service's
    traffic_weight: int = 100  # 1..256, share of traffic
    on: HostName | None = None  # several hosts: it runs there and nowhere else; None: the leader places it
    tags: Tags = Tags()

    def probe_by(self, check: type) -> ProbePolicy | None:
        """Return the first probe that asks by this kind of check, None if there is none."""
        return next((probe for probe in self.probes if isinstance(probe.check, check)), None)


class CoordinatorLoss(StrEnum):
    """What a primary does when its lease cannot be renewed because the coordinator cannot be reached."""

    STOP = "stop"  # it stops before its lease can expire
    HOLD = "hold"  # it goes on while every other host promises, directly, not to take over


class PlacementPolicy(Value, frozen=True):
    """On which hosts members that are not bound to one may run."""

    require: dict[str, str] = {}  # labels that a host must have
    prefer: dict[str, str] = {}  # labels that count in a host's favour
    spread_by: str = "host"  # members are spread over the values of this label; "host": over hosts
    apart_from: tuple[ServiceName, ...] = ()  # not on a host with a member of these
    together_with: tuple[ServiceName, ...] = ()  # only on a host with a member of these
    move_after: Duration = 10 * SECOND  # how long a lost host may take to come back before its members move


class ServicePolicy(Value, frozen=True):
    """One service: what clients use, as a set of members."""

    name: ServiceName
    mode: Mode
    members: tuple[MemberPolicy, ...]
    depends_on: tuple[ServiceName, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    flapping: FlapPolicy = FlapPolicy()
    traffic: TrafficPolicy | None = None
    threshold: float = 0.5  # health at or under it is a finding
    weight: float = 1.0  # of its instances' health in the system's
    failback: bool = False  # go back to the first member once it is stable
    panic_threshold: float = 0.5  # usable share under which failed probes no longer take traffic away
    is_builtin: bool = False  # holdfast's own, such as its HAProxy
    on_coordinator_loss: CoordinatorLoss = CoordinatorLoss.STOP
    needs_fencing: bool = (
        False  # takeover waits until a fence device confirms that the old primary's host is off
    )
    placement: PlacementPolicy = PlacementPolicy()
    with_primary_of: ServiceName | None = None  # several hosts: it serves where that one's lease is held
    is_leased: bool = (
        False  # several hosts, exclusive: who serves is decided by a lease; filled in by `localized`
    )
    elsewhere: tuple[MemberPolicy, ...] = ()  # members on other hosts; filled in by `localized`
    components: tuple[ComponentId, ...] = ()  # ids of its members, in the file's order; filled in by itself

    def __post_init__(self) -> None:
        """Name the components once: every turn asks for them many times."""
        ids = tuple(component_id(self.name, member.name) for member in self.members)
        msgspec.structs.force_setattr(self, "components", ids)

    def member(self, name: MemberName) -> MemberPolicy | None:
        """Return the member called `name`, None if there is none."""
        for member in self.members:
            if member.name == name:
                return member
        return None

    def anywhere(self, name: MemberName) -> MemberPolicy | None:
        """Return the member called `name` on whichever host, None if there is none."""
        return next((member for member in self.everywhere if member.name == name), None)

    @property
    def everywhere(self) -> tuple[MemberPolicy, ...]:
        """Return its members on all hosts, those of this host first."""
        return self.members + self.elsewhere

    @property
    def is_exclusive(self) -> bool:
        """Tell whether at most one member may serve at a time."""
        return self.mode is not Mode.ACTIVE_ACTIVE


class HaproxyPolicy(Value, frozen=True):
    """The HAProxy that carries the traffic."""

    program: str = "haproxy"
    connections_max: int = 10_000
    check_every: Duration = SECOND  # HAProxy's own checks: the safety net under the runtime pushes
    stats_listen: str | None = None  # host:port of HAProxy's own page; None: no page


class ControlPolicy(Value, frozen=True):
    """Who may talk to the agent over its socket, besides root and the agent's own user."""

    group: str | None = None


class FencePolicy(Value, frozen=True):
    """How to make sure that a host is off. Exactly one of `agent` and `command` is set."""

    agent: str = ""  # a fence agent such as fence_ipmilan: options on its standard input, status verified
    options: dict[str, str | SecretFrom] = {}
    command: tuple[str, ...] = ()  # a program: 0 means that the host is surely off
    timeout: Duration = MINUTE


class HostPolicy(Value, frozen=True):
    """One host of the cluster."""

    name: HostName
    address: str  # where the other hosts reach it
    labels: dict[str, str] = {}
    capacity: int = 0  # how many placed members it takes; 0: any number
    fence: FencePolicy | None = None


class TlsPolicy(Value, frozen=True):
    """Certificates of mutual TLS between agents; paths."""

    ca: str
    cert: str
    key: str


class ClusterPolicy(Value, frozen=True):
    """How several hosts hold together."""

    coordinator: str  # its address, such as etcd://10.0.0.1:2379,10.0.0.2:2379
    secret: SecretFrom  # the cluster's key: signs heartbeats and what is shared through the coordinator
    lease: Duration = 3 * SECOND  # how long a dead host's primary role stays its own
    heartbeat: Duration = 100 * MILLISECOND
    port: int = 7420  # agents hear each other here: heartbeats (UDP), commands (TCP, with `tls` only)
    tls: TlsPolicy | None = None  # None: no commands from other hosts
    moves_max: int = 10  # members placed elsewhere within a minute at most


class Policy(Value, frozen=True):
    """The whole file. `services` is ordered: dependencies come before what depends on them."""

    system: str
    services: dict[ServiceName, ServicePolicy]
    threshold: float = 0.5
    haproxy: HaproxyPolicy = HaproxyPolicy()
    control: ControlPolicy = ControlPolicy()
    cluster: ClusterPolicy | None = None  # None: one host
    hosts: dict[HostName, HostPolicy] = {}
    revision: str = ""  # short hash of the file's content
    size: int = 0  # how many components it names; filled in by itself

    def __post_init__(self) -> None:
        """Count the components once: every turn asks."""
        size = sum(len(service.members) for service in self.services.values())
        msgspec.structs.force_setattr(self, "size", size)

    def dependents(self, service: ServiceName) -> tuple[ServiceName, ...]:
        """Return the services that depend on `service`, directly or not, in start order."""
        found: set[ServiceName] = {service}
        for name, other in self.services.items():
            if not found.isdisjoint(other.depends_on):
                found.add(name)
        return tuple(name for name in self.services if name in found and name != service)
