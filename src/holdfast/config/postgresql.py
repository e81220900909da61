"""Components that are PostgreSQL servers: their keys, and what their service has to be like."""

from holdfast.config.addresses import PORT, Host
from holdfast.config.cluster import KEPT_SECRET, Secret
from holdfast.config.commands import AccountName, Command, FilePath
from holdfast.config.data_servers import check_own_parameters, check_placed, probe_of, with_probe
from holdfast.config.document import Place
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import Choice, Flag, ListOf, MapOf, Plain, Text
from holdfast.config.quantities import Size, Span, Whole
from holdfast.config.scope import Scope
from holdfast.model.policy import MemberPolicy, Mode
from holdfast.model.postgresql import (
    OWN_PARAMETERS,
    OWN_ROLES,
    Commit,
    Outside,
    PostgresCheck,
    PostgresServer,
)
from holdfast.model.time import HOUR, SECOND
from holdfast.model.value import replace

_PARAMETER = Text(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", "the name of a parameter of PostgreSQL")
_NETWORK = Text(r"[0-9a-fA-F.:]+/[0-9]{1,3}", "a network such as 10.0.0.0/24")
_WAITING = frozenset({"on", "remote_apply", "true", "yes", "1"})  # for standbys' disks
_DEMOTES_WITHIN = 15 * SECOND  # beyond what it waits for: a checkpoint, and whoever has to be killed
_HINTS = {"synchronous_standby_names": "write commit: synchronous"}
_PROBE = probe_of("postgresql", PostgresCheck())

FOLLOWS = Table(
    "services.NAME.run.postgresql.follows",
    "A PostgreSQL server outside of the cluster, of which the whole cluster is a standby: nobody is promoted while this stands here.",
    Outside,
    (
        Key(
            "host",
            Host(),
            "where it is reached: best an address that leads to whoever is primary there",
            is_required=True,
        ),
        Key("port", PORT, "its port"),
        Key(
            "user",
            Text(r"[a-z_][a-z0-9_]{0,62}", "the name of a role"),
            "its role that may stream (login replication); members stream from each other under it, too",
            is_required=True,
        ),
        Key(
            "password",
            Secret(KEPT_SECRET),
            "where that role's password is kept, on every host",
            is_required=True,
        ),
        Key(
            "slot",
            Text(r"(?!holdfast_)[a-z0-9_]{1,63}", "a name of a-z, 0-9 and _, and not begin with holdfast_"),
            "a replication slot there, made if it is missing, so that the log is kept while nobody streams",
            default="none",
        ),
    ),
    example="write, for example, { host: pg.other-site.example, user: replicator, password: { file: /etc/holdfast/other-site } }",
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
        Key(
            "config",
            FilePath(),
            "your postgresql.conf where it is not in the data directory, as /etc/postgresql/15/main/postgresql.conf of Debian",
            default="in data",
        ),
        Key("parameters", MapOf(_PARAMETER, Plain(is_one_line=True)), "parameters of postgresql.conf"),
        Key(
            "clients",
            ListOf(_NETWORK),
            "networks from which users may log in with a password; written into pg_hba.conf at bootstrap",
        ),
        Key("initdb", ListOf(Text()), "more options for initdb at bootstrap"),
        Key(
            "bootstrap",
            Command(),
            "makes the first data in place of initdb, such as a restore from a backup. It runs as the data's owner and finds "
            "HOLDFAST_DATA (where to) and HOLDFAST_PROGRAMS. If it leaves a recovery.signal, that recovery is run to its target",
        ),
        Key(
            "clone",
            ListOf(Command()),
            "commands that copy the primary's data, tried in order; pg_basebackup comes last. Each finds HOLDFAST_DATA (where to), "
            "HOLDFAST_SOURCE_HOST, HOLDFAST_SOURCE_PORT and HOLDFAST_PROGRAMS",
        ),
        Key(
            "lag_max",
            Size(1, 1_000_000_000_000),
            "a standby that is known to lack more of the log is not promoted",
        ),
        Key(
            "commit",
            Choice(Commit),
            "what a commit waits for. asynchronous: the primary's own disk. synchronous: the disks of certain standbys, "
            "too. quorum: of any so many of them",
        ),
        Key("acknowledged_by", Whole(1, 100), "synchronous, quorum: how many standbys a commit waits for"),
        Key(
            "strict",
            Flag(),
            "synchronous, quorum: rather wait for standbys than commit with fewer",
            field="is_strict",
        ),
        Key(
            "follows",
            Section(FOLLOWS),
            "a server outside of the cluster, of which the whole cluster is a standby; its members are promoted when this is removed",
            default="nobody outside",
        ),
        Key(
            "open_transactions",
            Span(most=HOUR),
            "how long a planned switchover waits for transactions that are open; then they are ended, and told of",
            field="open_within",
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


class Server(Section, frozen=True):
    """A PostgreSQL server."""

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether its keys and parameters fit together."""
        return all(
            (
                _check_commit(reading, scope),
                _check_follows(reading, scope),
                _check_parameters(reading, scope),
                _check_bootstrap(reading, scope),
            )
        )


def _check_commit(reading: Reading, scope: Scope) -> bool:
    if reading.values.get("commit", Commit.ASYNCHRONOUS) is not Commit.ASYNCHRONOUS:
        return True
    idle = [name for name in ("acknowledged_by", "strict") if name in reading.key_places]
    for name in idle:
        message = "goes with commit: synchronous or quorum: an asynchronous commit waits for no standby"
        scope.refuse_at(reading.key_places[name], message, "remove it, or write commit: synchronous")
    return not idle


def _check_bootstrap(reading: Reading, scope: Scope) -> bool:
    both = {"bootstrap", "initdb"} <= reading.key_places.keys()
    if both:
        message = "goes without bootstrap: that makes the first data in place of initdb"
        scope.refuse_at(reading.key_places["initdb"], message, "remove one of the two")
    return not both


def _check_follows(reading: Reading, scope: Scope) -> bool:
    """Note what does not go with data that comes from outside."""
    outside: Outside | None = reading.values.get("follows")
    if outside is None:
        return True
    idle = [name for name in ("bootstrap", "initdb") if name in reading.key_places]
    for name in idle:
        message = "goes without follows: the first data is copied from the server that is followed"
        hint = "write clone: [[command]] to copy it in another way" if name == "bootstrap" else "remove it"
        scope.refuse_at(reading.key_places[name], message, hint)
    if is_waiting := reading.values.get("commit", Commit.ASYNCHRONOUS) is not Commit.ASYNCHRONOUS:
        message = "goes with follows as asynchronous only: what commits wait for is said where they are made"
        scope.refuse_at(reading.key_places["commit"], message, "remove it for as long as the cluster follows")
    if is_ours := outside.user in OWN_ROLES:
        message = f"has the user {outside.user}, whose password is holdfast's own to set"
        scope.refuse_at(reading.key_places["follows"], message, "make another role for replication there")
    return not idle and not is_waiting and not is_ours


def _check_parameters(reading: Reading, scope: Scope) -> bool:
    """Note parameters that are ours to set, and those that break what `commit` promises."""
    parameters: dict[str, str] = reading.values.get("parameters", {})
    place = reading.key_places.get("parameters", reading.place)
    are_theirs = check_own_parameters(reading, OWN_PARAMETERS, _HINTS, scope)
    level = parameters.get("synchronous_commit", "on").lower()
    is_kept = reading.values.get("commit", Commit.ASYNCHRONOUS) is Commit.ASYNCHRONOUS
    if is_kept or level in _WAITING:
        return are_theirs
    message = (
        f"has synchronous_commit: {level}, and so commits are acknowledged before standbys have them on disk"
    )
    scope.refuse_at(place, message, f"write one of {', '.join(sorted(_WAITING))}, or remove it")
    return False


def check_commits(members: tuple[MemberPolicy | None, ...], place: Place, scope: Scope) -> None:
    """Note members that differ in what their commits wait for, and a wait that nobody could end."""
    servers = [
        (member, member.run.managed)
        for member in members
        if member is not None and isinstance(member.run.managed, PostgresServer)
    ]
    wishes = {(server.commit, server.acknowledged_by, server.is_strict) for _, server in servers}
    if len(wishes) > 1:
        message = "has members that differ in commit, acknowledged_by or strict: whoever is primary, it is one promise"
        scope.refuse_at(place, message, "write them in the service's run")
        return
    need = sum(wish[1] for wish in wishes if wish[0] is not Commit.ASYNCHRONOUS)
    able = sum(member.tags.may_acknowledge for member, _ in servers)
    if need > max(0, able - 1):
        message = f"has commits that wait for {need} {'standby' if need == 1 else 'standbys'}, and beside a primary "
        message += f"{max(0, able - 1)} can acknowledge them"
        scope.refuse_at(
            place, message, "add members, lower acknowledged_by, or take nosync or streams_from from one"
        )


def check_follows(members: tuple[MemberPolicy | None, ...], place: Place, scope: Scope) -> None:
    """Note members that differ in whom the cluster follows, and a cluster that would follow itself."""
    servers = [
        (member, member.run.managed)
        for member in members
        if member is not None and isinstance(member.run.managed, PostgresServer)
    ]
    if len({server.follows for _, server in servers}) > 1:
        message = (
            "has members that differ in follows: whoever has the role, it is one server that is followed"
        )
        scope.refuse_at(place, message, "write it in the service's run")
        return
    for member, server in servers:
        if server.follows is not None and (server.follows.host, server.follows.port) == (
            member.host,
            member.port,
        ):
            message = f"follows {server.follows.words}, which is its own member {member.name}"
            scope.refuse_at(place, message, "name a server outside of the cluster, or remove follows")


def settled(
    member: MemberPolicy, server: PostgresServer, mode: Mode, place: Place, scope: Scope, *, has_hosts: bool
) -> MemberPolicy:
    """Return the member with where its server listens, and with the probe that asks it; note what it cannot be part of."""
    if not has_hosts:
        message = f"{member.name} runs PostgreSQL, which needs several hosts: who is primary goes by lease"
        scope.refuse_at(place, message, "add cluster and hosts, and write on: HOST at each member")
    check_placed(member, ("PostgreSQL", 5432), mode, place, scope, has_hosts=has_hosts)
    takes = server.open_within + server.stop_timeout + _DEMOTES_WITHIN
    server = replace(server, host=member.host, port=member.port or 0, demote_timeout=takes)
    return with_probe(replace(member, run=replace(member.run, managed=server)), _PROBE)
