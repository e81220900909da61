"""Components that are Redis servers: their keys, and what their service has to be like."""

from holdfast.config.addresses import Address, HostPort
from holdfast.config.commands import AccountName, FilePath
from holdfast.config.data_servers import check_own_parameters, check_placed, probe_of, with_probe
from holdfast.config.document import Place
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import MapOf, Plain, Text
from holdfast.config.quantities import Size, Span, Whole
from holdfast.config.scope import Scope
from holdfast.model.policy import MemberPolicy, Mode
from holdfast.model.redis import OWN_PARAMETERS, RedisCheck, RedisServer
from holdfast.model.time import HOUR, MINUTE, SECOND
from holdfast.model.value import replace

_PARAMETER = Text(r"[a-z][a-z0-9-]*", "the name of a parameter of redis.conf")
_HINTS = {
    "requirepass": "write password: PATH beside parameters",
    "min-replicas-to-write": "write min_replicas_to_write beside parameters",
    "min-replicas-max-lag": "write min_replicas_max_lag beside parameters",
    "port": "write port at the service or the member",
}
_DEMOTES_WITHIN = 15 * SECOND  # beyond what it waits for
_PROBE = probe_of("redis", RedisCheck())

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
        return check_own_parameters(reading, OWN_PARAMETERS, _HINTS, scope)

    def build(self, reading: Reading) -> RedisServer:
        """Return it from a section without faults."""
        fields = reading.fields()
        listen: Address | None = fields.pop("sentinel", None)
        return RedisServer(sentinel=str(listen) if listen is not None else "", **fields)


def settled_redis(
    member: MemberPolicy, server: RedisServer, mode: Mode, place: Place, scope: Scope, *, has_hosts: bool
) -> MemberPolicy:
    """Return the member with where its server listens, and with the probe that asks it; note what it cannot be part of."""
    check_placed(member, ("Redis", 6379), mode, place, scope, has_hosts=has_hosts)
    takes = server.hand_over_within + _DEMOTES_WITHIN
    server = replace(server, host=member.host, port=member.port or 0, demote_timeout=takes)
    return with_probe(replace(member, run=replace(member.run, managed=server)), _PROBE)
