"""Questions to a server: what it is, how far its log goes, who follows it, whether it can write.

Each is asked over a new connection with a time limit of its own; see connecting.py. The answers are values.
"""

import os
from pathlib import Path

from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql.connecting import Row, Statement, ask, conninfo
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import History, Lsn, Position, parse_history, parse_lsn

ASK_WITHIN: Duration = SECOND


class Standing(Value, frozen=True):
    """What a server says of itself."""

    system: str  # identifier
    is_primary: bool
    position: Position  # primary: flushed; standby: received or replayed, whichever is further
    written: Lsn = 0  # primary: handed to the kernel
    replayed: Lsn = 0  # standby
    is_replay_paused: bool = False
    upstream: str = ""  # standby: host:port from which it streams; empty: it does not
    connections: int = 0  # of clients
    connections_max: int = 0  # for those who are not superusers
    synchronous: str = ""  # synchronous_standby_names in force
    is_read_only: bool = False  # default_transaction_read_only
    is_receiving: bool = False  # standby: something receives, or is about to
    is_complete: bool = True  # `position` is where its log ends: all of the log that it has was found


class Follower(Value, frozen=True):
    """A standby as its primary sees it."""

    name: str  # its application_name
    state: str  # startup, catchup, streaming, backup, stopping
    sync: str  # async, potential, sync, quorum
    flushed: Lsn
    replayed: Lsn
    lag: int  # bytes of the primary's log that it has not flushed
    address: str = ""
    rank: int = (
        0  # in the list of those that commits wait for, as its walsender has read it; 0: it is not in there
    )


class Room(Value, frozen=True):
    """The disk under the data, as the kernel sees it."""

    free: int  # bytes that the data's owner can still use
    total: int
    is_read_only: bool


def local(instance: Instance, within: Duration, *, options: str = "") -> str:
    """Return how we reach the instance: over its own socket as superuser, so that reserved connections are ours."""
    # The server's own limit comes first, so that it gives up and is not left with an open statement.
    server = f"-c statement_timeout={max(1, within // MILLISECOND - 20)} {options}".strip()
    return conninfo(
        host=str(instance.beside),
        port=instance.port,
        user=instance.superuser,
        dbname=instance.database,
        application_name="holdfast",
        options=server,
        sslmode="disable",
        gssencmode="disable",
        client_encoding="UTF8",
    )


def remote(
    host: str, port: int, user: str, passfile: Path, database: str = "postgres", *, is_walsender: bool = False
) -> str:
    """Return how another instance is reached, with the password from `passfile`."""
    return conninfo(
        host=host,
        port=port,
        user=user,
        dbname=database,
        application_name="holdfast",
        passfile=str(passfile),
        client_encoding="UTF8",
        replication="true" if is_walsender else None,
    )


_STANDING = """
select s.system_identifier, not r.yes,
  -- Once it receives nothing any more nobody tells the timeline of what it received, but the names of what is kept of it.
  case when r.yes then greatest(m.min_recovery_end_timeline, c.timeline_id, coalesce(w.received_tli,
         (select max(('x' || substr(name, 1, 8))::bit(32)::int) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$')))
       else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end,
  case when r.yes then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) else pg_current_wal_flush_lsn() end,
  case when r.yes then null else pg_current_wal_lsn() end,
  pg_last_wal_replay_lsn(),
  case when r.yes then pg_is_wal_replay_paused() else false end,
  case when w.status = 'streaming' then w.sender_host || ':' || w.sender_port end,
  (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,
  current_setting('synchronous_standby_names'),
  (select reset_val = 'on' from pg_settings where name = 'default_transaction_read_only'),
  w.pid is not null,
  -- It asks a primary for more only where its own log ends; and there it waits when it may ask nobody.
  not r.yes or pg_last_wal_receive_lsn() is not null or exists (select from pg_stat_activity where backend_type = 'startup'
    and wait_event in ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream'))
from (select pg_is_in_recovery() as yes) r, pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() m
left join pg_stat_wal_receiver w on true
"""
_FOLLOWERS = """
select application_name, state, sync_state, flush_lsn, replay_lsn, client_addr,
  -- One that has not said yet how far it is lacks everything: it is not to be taken for one that lacks nothing.
  pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end,
    coalesce(flush_lsn, '0/0')),
  sync_priority
from pg_stat_replication order by application_name, pid
"""


async def ask_standing(instance: Instance, within: Duration = ASK_WITHIN) -> Standing:
    """Return what the server says of itself; Unanswered otherwise."""
    ((row,),) = await ask(local(instance, within), _STANDING, within=within)
    return _standing(row)


def _standing(row: Row) -> Standing:
    system, is_primary, timeline, lsn, written, replayed, paused, upstream, *rest = row
    connections, connections_max, synchronous, read_only, is_receiving, is_complete = rest
    return Standing(
        system=system or "",
        is_primary=is_primary == "t",
        position=Position(int(timeline or 0), _lsn(lsn)),
        written=_lsn(written),
        replayed=_lsn(replayed),
        is_replay_paused=paused == "t",
        upstream=upstream or "",
        connections=int(connections or 0),
        connections_max=int(connections_max or 0),
        synchronous=synchronous or "",
        is_read_only=read_only == "t",
        is_receiving=is_receiving == "t",
        is_complete=is_complete == "t",
    )


async def ask_followers(instance: Instance, within: Duration = ASK_WITHIN) -> tuple[Follower, ...]:
    """Return who streams from this server; Unanswered otherwise."""
    (rows,) = await ask(local(instance, within), _FOLLOWERS, within=within)
    return tuple(
        Follower(
            name or "",
            state or "",
            sync or "",
            _lsn(flushed),
            _lsn(replayed),
            int(lag or 0),
            address or "",
            int(rank or 0),
        )
        for name, state, sync, flushed, replayed, address, lag, rank in rows
    )


async def ask_history(target: str, within: Duration = ASK_WITHIN) -> tuple[str, Position, History]:
    """Return another server's system identifier, position and history, over its replication protocol.

    This needs no rights but those of a standby; `target` is a `remote(..., is_walsender=True)`.
    """
    ((identity,),) = await ask(target, "IDENTIFY_SYSTEM", within=within)
    system, timeline, lsn, _ = identity
    number = int(timeline or 0)
    history = History(number)
    if number > 1:
        ((row,),) = await ask(target, f"TIMELINE_HISTORY {number}", within=within)
        history = parse_history(number, _bytea(row[1] or ""))
    return system or "", Position(number, _lsn(lsn)), history


# The row is rewritten in place (the page is kept mostly empty), so this grows nothing. Our own commit does not wait for
# standbys: what is asked is whether this server can write. Whether its standbys keep up is told by ask_followers.
_WRITE = """
insert into holdfast.written as w (name, times, at) values ($1, 1, clock_timestamp())
on conflict (name) do update set times = w.times + 1, at = excluded.at returning times
"""
_TABLE = """
create table if not exists holdfast.written (name text primary key, times bigint not null, at timestamptz not null)
with (fillfactor = 10)
"""
_WRITE_OPTIONS = "-c synchronous_commit=local -c default_transaction_read_only=off -c lock_timeout=0"

_IS_GONE = frozenset({"42P01", "3F000"})  # our table, its schema


async def write(instance: Instance, within: Duration = ASK_WITHIN) -> int:
    """Commit a row to our own table, on disk, and return how often that was done; Unanswered says why it cannot be.

    A file system that is read-only is told as missing rights by the server: it is named here as what it is.
    """
    target = local(instance, within, options=_WRITE_OPTIONS)
    statement: Statement = (_WRITE, (instance.name,))
    try:
        ((row,),) = await ask(target, statement, within=within)
    except Unanswered as unanswered:
        if (
            unanswered.sqlstate in _IS_GONE
        ):  # a user dropped it: that is no reason to fail over, again and again
            ((row,),) = (await ask(target, *prepare_writing(), statement, within=within))[-1:]
            return int(row[0] or 0)
        if unanswered.sqlstate == "42501":  # a superuser has all rights: it is files that cannot be written
            why = (
                "the file system is read-only" if look_at_room(instance).is_read_only else "a file is refused"
            )
            raise Unanswered(Fault.IO, f"{why}: {unanswered}", "42501") from None
        raise
    return int(row[0] or 0)


def prepare_writing() -> tuple[str, ...]:
    """Return what makes our own table, once, on a primary."""
    return ("create schema if not exists holdfast", _TABLE)


def look_at_room(instance: Instance) -> Room:
    """Return how the disk under the data is. OSError where there is none."""
    found = os.statvfs(instance.data)
    is_read_only = bool(found.f_flag & os.ST_RDONLY) or _gave_up(os.stat(instance.data).st_dev)  # noqa: PTH116 - one line
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, is_read_only)


def _gave_up(device: int) -> bool:
    """Tell whether a file system went read-only by itself after an error: newer kernels show that here only."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123 - read often
        fields = (line.split() for line in mounts)
        return any(each[2] == number and "emergency_ro" in each[-1].split(",") for each in fields)


def _lsn(text: str | None) -> Lsn:
    return parse_lsn(text) if text else 0


def _bytea(text: str) -> str:
    r"""Return the content of a history file, which comes as text, or as `\x...` where the server says bytea."""
    return bytes.fromhex(text[2:]).decode("utf-8", "replace") if text.startswith("\\x") else text
