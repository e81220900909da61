"""Where clients reach a service: who serves, and those who may be read from."""

from holdfast.config.addresses import Address, HostPort
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import Choice, Flag
from holdfast.config.quantities import Size, Span
from holdfast.model.policy import Balance, MemberPolicy, ProbePolicy, Protocol, Purpose, TrafficPolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.reading import PrimaryReads, ReadingCheck, ReadPolicy
from holdfast.model.redis import RedisServer
from holdfast.model.time import HOUR, MILLISECOND, SECOND
from holdfast.model.value import replace

_READING = ProbePolicy(
    name="reading",
    purpose=Purpose.READING,
    check=ReadingCheck(),
    every=500 * MILLISECOND,
    timeout=SECOND,
    rise=3,
    fall=2,
    every_suspect=200 * MILLISECOND,
)


def read_from(member: MemberPolicy, traffic: TrafficPolicy | None) -> MemberPolicy:
    """Return the member with the probe that tells how old its data is, if it may be read from and whoever keeps it can tell."""
    if (
        traffic is None
        or traffic.read_only is None
        or not isinstance(member.run.managed, PostgresServer | RedisServer)
    ):
        return member
    return replace(member, probes=(*member.probes, _READING))


class ReadOnly(Section, frozen=True):
    """Where clients read from standbys."""

    def build(self, reading: Reading) -> ReadPolicy:
        """Return it from a section without faults."""
        fields = reading.fields()
        listen: Address = fields.pop("listen")
        return ReadPolicy(listen.host, listen.port, **fields)


READ_ONLY = Table(
    "services.NAME.traffic.read_only",
    "Where clients read from the standbys of an active-standby service. How old is too old a database tells by itself; other "
    "members tell it with probes of the purpose `reading`.",
    ReadPolicy,
    (
        Key(
            "listen",
            HostPort(),
            "host:port for those who read only; a port alone is one of 127.0.0.1",
            is_required=True,
        ),
        Key("lag_max", Size(1, 1_000_000_000_000), "a standby that lacks more takes no new reads"),
        Key(
            "delay_max",
            Span(2 * SECOND, 24 * HOUR),
            "nor one that has lacked anything, or heard nothing, for longer",
        ),
        Key(
            "primary",
            Choice(PrimaryReads),
            "whether who serves is read from as well. last: while no standby can be",
        ),
        Key("prefer_local", Flag(), "the standby of the balancer's own host comes first"),
        Key(
            "cut_stale",
            Flag(),
            "who must not be read from any more loses its sessions at once; otherwise they may end by themselves",
        ),
    ),
    example="write, for example, read_only: { listen: 127.0.0.1:5433 }",
)

TRAFFIC = Table(
    "services.NAME.traffic",
    "Where clients reach the service. Needs members with ports.",
    TrafficPolicy,
    (
        Key(
            "listen", HostPort(), "host:port for clients; a port alone is one of 127.0.0.1", is_required=True
        ),
        Key("protocol", Choice(Protocol), "what the balancer understands of the traffic"),
        Key("balance", Choice(Balance), "how an active-active service's requests are spread"),
        Key("drain_timeout", Span(), "sessions that last longer are cut when a drain ends"),
        Key("retry", Flag(), "try GET, HEAD and OPTIONS on another member when one fails"),
        Key("connect_timeout", Span(), "how long a connection to a member may take"),
        Key("client_timeout", Span(), "how long a client may be silent"),
        Key("server_timeout", Span(), "how long a member may be silent"),
        Key(
            "read_only",
            ReadOnly(READ_ONLY),
            "where clients read from standbys",
            default="standbys are not read from",
        ),
    ),
    example="write, for example, traffic: { listen: 127.0.0.1:8080 }",
)


class Traffic(Section, frozen=True):
    """Where clients reach the service."""

    def build(self, reading: Reading) -> TrafficPolicy:
        """Return it from a section without faults."""
        fields = reading.fields()
        listen: Address = fields.pop("listen")
        return TrafficPolicy(listen.host, listen.port, **fields)
