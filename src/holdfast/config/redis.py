"""Components that are Redis servers: their keys, and what their service has to be like."""

from holdfast.config.addresses import Address, HostPort
from holdfast.config.commands import AccountName, FilePath
from holdfast.config.document import Place
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import MapOf, Plain, Text
from holdfast.config.quantities import Size, Span, Whole
from holdfast.config.scope import Scope
from holdfast.model.policy import MemberPolicy, Mode, ProbePolicy, Purpose
from holdfast.model.redis import OWN_PARAMETERS, RedisCheck, RedisServer
from holdfast.model.time import HOUR, MILLISECOND, MINUTE, SECOND
from holdfast.model.value import replace

_PARAMETER = Text(r"[a-z][a-z0-9-]*", "the name of a parameter of redis.conf")
_HINTS = {
    "requirepass": "write password: PATH beside parameters",
    "min-replicas-to-write": "write min_replicas_to_write beside parameters",
    "min-replicas-max-lag": "write min_replicas_max_lag beside parameters",
    "port": "write port at the service or the member",
}
_DEMOTES_WITHIN = 15 * SECOND  # beyond what it waits for
_PROBE = ProbePolicy(
    name="redis",
    purpose=Purpose.LIVENESS,
    check=RedisCheck(),
    every=500 * MILLISECOND,
    timeout=SECOND,
    fall=3,
    every_suspect=200 * MILLISECOND,
)

REDIS = Table(
    "services.NAME.run.redis",
    "A Redis server, in place of a command. holdfast starts it as a standby, tells it whom to follow, promotes and asks it.",
    RedisServer,
    (
        Key("data", FilePath(), "its folder, made if it is missing", is_required=True),
        Key("program", FilePath(keep_bare=True), "the server's program"),
        Key(
            "user",
            AccountName(is_group=False),
            "who owns the data and runs the server",
            default="holdfast's own",
        ),
        Key(
            "include",
            FilePath(),
            "a redis.conf of your own, read before all that is said here",
            default="none",
        ),
        Key("parameters", MapOf(_PARAMETER, Plain(is_one_line=True)), "parameters of redis.conf"),
        Key(
            "password",
            FilePath(),
            "the file of what clients log in with",
            default="the default user is off",
        ),
        Key("min_replicas_to_write", Whole(0, 100), "a primary with fewer standbys takes no writes"),
        Key(
            "min_replicas_max_lag",
            Span(SECOND, HOUR),
            "how long ago each of these may have answered last, in whole seconds",
        ),
        Key(
            "lag_max",
            Size(1, 1_000_000_000_000),
            "a standby that is known to lack more of the writes is not promoted",
        ),
        Key(
            "sentinel",
            HostPort(),
            "host:port where holdfast answers as a Sentinel would; services may share one",
            default="nowhere",
        ),
        Key(
            "hand_over",
            Span(most=10 * MINUTE),
            "how long a planned switchover waits for a standby to have every write",
            field="hand_over_within",
        ),
        Key("stop", Span(SECOND, HOUR), "how long it may take to save and end", field="stop_timeout"),
    ),
    example="write, for example, { data: /var/lib/redis/sessions, user: redis }",
    is_shared_out=True,
)


class RedisSection(Section, frozen=True):
    """A Redis server."""

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether its parameters are the operator's to set."""
        parameters: dict[str, str] = reading.values.get("parameters", {})
        place = reading.key_places.get("parameters", reading.place)
        wrong = [name for name in parameters if name in OWN_PARAMETERS]
        for name in wrong:
            scope.refuse_at(place, f"has {name}, which holdfast sets itself", _HINTS.get(name, "remove it"))
        return not wrong

    def build(self, reading: Reading) -> RedisServer:
        """Return it from a section without faults."""
        fields = reading.fields()
        listen: Address | None = fields.pop("sentinel", None)
        return RedisServer(sentinel=str(listen) if listen is not None else "", **fields)


def settled_redis(
    member: MemberPolicy, server: RedisServer, mode: Mode, place: Place, scope: Scope, *, has_hosts: bool
) -> MemberPolicy:
    """Return the member with where its server listens, and with the probe that asks it; note what it cannot be part of."""
    if mode is not Mode.ACTIVE_STANDBY:
        scope.refuse_at(place, "must be active-standby, as it runs Redis", "write mode: active-standby")
    if has_hosts and member.on is None:
        message = f"{member.name} runs Redis, so it has to be bound to a host: its data cannot move"
        scope.refuse_at(place, message, "write on: HOST at each member")
    if member.port is None:
        scope.refuse_at(place, f"{member.name} runs Redis, so it needs a port", "write port: 6379")
    takes = server.hand_over_within + _DEMOTES_WITHIN
    server = replace(server, host=member.host, port=member.port or 0, demote_timeout=takes)
    probes = member.probes if any(p.name == _PROBE.name for p in member.probes) else (_PROBE, *member.probes)
    return replace(member, run=replace(member.run, managed=server), probes=probes)
