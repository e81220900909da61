"""Components that are PostgreSQL servers: their keys, and what their service has to be like."""

from holdfast.config.commands import AccountName, FilePath
from holdfast.config.document import Place
from holdfast.config.keys import Key, Table
from holdfast.config.kinds import ListOf, MapOf, Plain, Text
from holdfast.config.quantities import Size, Span
from holdfast.config.scope import Scope
from holdfast.model.policy import MemberPolicy, Mode, ProbePolicy, Purpose
from holdfast.model.postgresql import PostgresCheck, PostgresServer
from holdfast.model.time import HOUR, MILLISECOND, SECOND
from holdfast.model.value import replace

_PARAMETER = Text(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", "the name of a parameter of PostgreSQL")
_NETWORK = Text(r"[0-9a-fA-F.:]+/[0-9]{1,3}", "a network such as 10.0.0.0/24")
_PROBE = ProbePolicy(
    name="postgresql",
    purpose=Purpose.LIVENESS,
    check=PostgresCheck(),
    every=500 * MILLISECOND,
    timeout=SECOND,
    fall=3,
    every_suspect=200 * MILLISECOND,
)

POSTGRESQL = Table(
    "services.NAME.run.postgresql",
    "A PostgreSQL server, in place of a command. holdfast makes its first data, clones, starts, promotes, rewinds and asks it.",
    PostgresServer,
    (
        Key(
            "data", FilePath(), "its data directory, which must not be a mount point itself", is_required=True
        ),
        Key(
            "programs",
            FilePath(),
            "the folder of PostgreSQL's programs, such as /usr/lib/postgresql/15/bin",
            is_required=True,
        ),
        Key(
            "user",
            AccountName(is_group=False),
            "who owns the data and runs the server: never root",
            default="holdfast's own",
        ),
        Key("superuser", Text(r"[a-z_][a-z0-9_]*", "the name of a role"), "the role that holdfast uses"),
        Key("parameters", MapOf(_PARAMETER, Plain(is_one_line=True)), "parameters of postgresql.conf"),
        Key(
            "clients",
            ListOf(_NETWORK),
            "networks from which users may log in with a password; written into pg_hba.conf at bootstrap",
        ),
        Key("initdb", ListOf(Text()), "more options for initdb at bootstrap"),
        Key(
            "lag_max",
            Size(1, 1_000_000_000_000),
            "a standby that is known to lack more of the log is not promoted",
        ),
        Key(
            "stop",
            Span(SECOND, HOUR),
            "how long it may take to shut down in good order",
            field="stop_timeout",
        ),
        Key("promote", Span(SECOND, HOUR), "how long a promotion may take", field="promote_timeout"),
    ),
    example="write, for example, { data: /var/lib/postgresql/15/orders, programs: /usr/lib/postgresql/15/bin }",
    is_shared_out=True,
)


def settled(
    member: MemberPolicy, server: PostgresServer, mode: Mode, place: Place, scope: Scope
) -> MemberPolicy:
    """Return the member with where its server listens, and with the probe that asks it; note what it cannot be part of."""
    if mode is not Mode.ACTIVE_STANDBY:
        scope.refuse_at(place, "must be active-standby, as it runs PostgreSQL", "write mode: active-standby")
    if member.on is None:
        message = f"{member.name} runs PostgreSQL, so it has to be bound to a host: its data cannot move"
        scope.refuse_at(place, message, "write on: HOST at each member")
    if member.port is None:
        scope.refuse_at(place, f"{member.name} runs PostgreSQL, so it needs a port", "write port: 5432")
    server = replace(server, host=member.host, port=member.port or 0)
    probes = member.probes if any(p.name == _PROBE.name for p in member.probes) else (_PROBE, *member.probes)
    return replace(member, run=replace(member.run, managed=server), probes=probes)
