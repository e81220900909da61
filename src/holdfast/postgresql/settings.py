"""What holdfast sets: one file of its own, and one line in the user's postgresql.conf that includes it last.

So the user's file stays the user's, an adopted instance keeps its settings, and a server that somebody starts by hand
still knows whom to follow and for whom its commits wait. postgresql.auto.conf (ALTER SYSTEM) wins over both: what is
ours is taken out of it before each start, and told while the server runs.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from holdfast.model.postgresql import OWN_PARAMETERS
from holdfast.model.value import Value
from holdfast.postgresql.asking import ASK_WITHIN, local, remote
from holdfast.postgresql.connecting import ask, conninfo
from holdfast.postgresql.control import HOT_STANDBY_PARAMETERS
from holdfast.postgresql.files import read_file, write_file
from holdfast.postgresql.instance import CLIENTS, IDENTITIES, SETTINGS, Instance, slot_name

DEFAULTS = {
    "wal_log_hints": "on",  # what pg_rewind needs where there are no checksums
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_keep_size": "256MB",  # back to where a log diverged, pg_rewind needs all of it
    "max_slot_wal_keep_size": "10GB",  # a standby that is gone must not fill the disk of its primary
    # Who is silent is gone, and soon: commits may wait for a standby, and a standby for its primary's last words.
    "wal_sender_timeout": "6s",
    "wal_receiver_timeout": "6s",
    "wal_receiver_status_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}
_INCLUDE = "include_if_exists"


class Upstream(Value, frozen=True):
    """Whom a standby follows."""

    host: str
    port: int
    user: str = ""  # the role under which it lets us in; empty: our own replicator
    slot: str | None = None  # through which we stream; empty: none. None: the member's own


class Settings(Value, frozen=True):
    """What an instance shall be."""

    upstream: Upstream | None = None  # None: follows nobody
    is_standby: bool = False  # without an upstream too: it waits for one, or to be promoted
    has_slot: bool = True  # it streams through its own slot on the upstream
    synchronous: str = ""  # synchronous_standby_names, in force as soon as it is primary
    parameters: Mapping[
        str, str
    ] = {}  # wanted by the operator; they win over DEFAULTS, never over OWN_PARAMETERS
    peers: tuple[
        str, ...
    ] = ()  # addresses or networks of all members: who may stream from it, and rewind against it
    socket_folders: tuple[str, ...] = ()  # where clients of this host expect the socket, beside our own


def render(instance: Instance, settings: Settings, minimums: Mapping[str, int] | None = None) -> str:
    """Return the content of our file. A standby needs at least `minimums`, its primary's values in pg_control."""
    chosen = DEFAULTS | {
        name: value for name, value in settings.parameters.items() if name not in OWN_PARAMETERS
    }
    for name in HOT_STANDBY_PARAMETERS:
        least = (minimums or {}).get(name, 0)
        wanted = chosen.get(name, "")
        if least and (not wanted.isdecimal() or int(wanted) < least):
            chosen[name] = str(least)
    lines = ["# Written by holdfast at each change: edit holdfast.yaml instead."]
    lines += [
        f"{name} = {quote(value)}" for name, value in sorted((chosen | _own(instance, settings)).items())
    ]
    return "\n".join(lines) + "\n"


def _own(instance: Instance, settings: Settings) -> dict[str, str]:
    upstream = settings.upstream
    return {
        "port": str(instance.port),
        "listen_addresses": instance.listen,
        "unix_socket_directories": ", ".join((str(instance.beside), *settings.socket_folders)),
        "hba_file": str(instance.folder / CLIENTS),
        "ident_file": str(instance.folder / IDENTITIES),
        "hot_standby": "on",
        "recovery_target_timeline": "latest",
        "synchronous_standby_names": settings.synchronous,
        "primary_conninfo": "" if upstream is None else _primary_conninfo(instance, upstream),
        "primary_slot_name": slot_on(instance, upstream)
        if upstream is not None and settings.has_slot
        else "",
    }


def _primary_conninfo(instance: Instance, upstream: Upstream) -> str:
    return conninfo(
        host=upstream.host,
        port=upstream.port,
        user=user_on(instance, upstream),
        passfile=str(instance.passwords),
        application_name=instance.name,
        # A host that is lost has the slot there until its connection is given up: a minute, unless we say so.
        options=None if upstream.slot is None else f"-c wal_sender_timeout={DEFAULTS['wal_sender_timeout']}",
        dbname=instance.database,  # PostgreSQL 17 brings the slots of logical replication over it
        connect_timeout=5,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
    )


def user_on(instance: Instance, upstream: Upstream) -> str:
    """Return the role under which the instance streams from `upstream`."""
    return upstream.user or instance.replicator


def walsender_of(instance: Instance, upstream: Upstream) -> str:
    """Return how the instance reaches `upstream` by the replication protocol: see `asking.remote`."""
    user = user_on(instance, upstream)
    return remote(upstream.host, upstream.port, user, instance.passwords, is_walsender=True)


def database_of(instance: Instance, upstream: Upstream) -> str:
    """Return how the instance asks the database of `upstream`: under the role from outside where its data comes from there."""
    user = upstream.user or instance.rewinder
    return remote(upstream.host, upstream.port, user, instance.passwords, instance.database)


def slot_on(instance: Instance, upstream: Upstream) -> str:
    """Return the slot through which the instance streams from `upstream`; empty: through none."""
    return slot_name(instance.name) if upstream.slot is None else upstream.slot


def is_told_to_follow(instance: Instance) -> bool:
    """Tell whether our file names somebody to stream from. OSError otherwise."""
    text = read_file(instance.folder / SETTINGS)
    return re.search(r"(?m)^primary_conninfo = '[^'\n]", text) is not None


def quote(value: str) -> str:
    """Return `value` as postgresql.conf takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", " ") + "'"


def write_settings(instance: Instance, settings: Settings, minimums: Mapping[str, int] | None = None) -> bool:
    """Write our file and make sure that it is included; tell whether anything changed. OSError otherwise."""
    text = render(instance, settings, minimums)
    path = instance.folder / SETTINGS
    is_new = read_file(path) != text
    if is_new:
        write_file(instance, path, text)
    return include(instance) or is_new


def include(instance: Instance) -> bool:
    """Make the user's postgresql.conf end with the line that includes ours; tell whether it was missing."""
    path = instance.configuration
    text = read_file(path)
    # A relative name is looked for beside the file that includes, and stays right in a copy of the data.
    name = str(instance.folder / SETTINGS) if instance.config else SETTINGS
    line = f"{_INCLUDE} {quote(name)}  # holdfast: keep this line last"
    lines = text.rstrip("\n").split("\n")
    if lines[-1] == line:
        return False
    kept = [each for each in lines if not re.match(rf"\s*{_INCLUDE}\s.*{re.escape(SETTINGS)}", each)]
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_file(instance, path, "\n".join((*kept, line)) + "\n", mode)
    return True


def take_over_auto_conf(instance: Instance) -> tuple[str, ...]:
    """Take what is ours out of postgresql.auto.conf of a server that does not run; return what it was."""
    path = instance.folder / "postgresql.auto.conf"
    text = read_file(path)
    found: list[str] = []
    kept: list[str] = []
    for line in text.splitlines():
        name = re.split(r"[\s=]", line.strip(), maxsplit=1)[0].lower()
        (found if name in OWN_PARAMETERS else kept).append(name if name in OWN_PARAMETERS else line)
    if found:
        write_file(instance, path, "\n".join(kept) + "\n")
    return tuple(found)


def set_standby(instance: Instance, *, is_standby: bool) -> None:
    """Say with which word the server begins: as a standby, or as a primary."""
    signal = instance.folder / "standby.signal"
    if is_standby:
        write_file(instance, signal, "")
    else:
        signal.unlink(missing_ok=True)
    # Recovery to a point in time was the bootstrap's business, and is over.
    (instance.folder / "recovery.signal").unlink(missing_ok=True)


# --- a server that runs ---------------------------------------------------------------------------------


async def reload(instance: Instance) -> None:
    """Let the server read its files again; Unanswered otherwise. It does so a moment later."""
    await ask(local(instance, ASK_WITHIN), "select pg_reload_conf()", within=ASK_WITHIN)


PENDING = """
select s.name, s.setting || coalesce(' x ' || s.unit, ''),
  coalesce((select f.setting from pg_file_settings f where f.name = s.name order by f.seqno desc limit 1), s.boot_val)
from pg_settings s where s.pending_restart order by s.name
"""  # what waits for a restart: name, value in force, value in the files
FOREIGN = """
select name from pg_file_settings where sourcefile like '%/postgresql.auto.conf' and name = any($1::text[]) order by name
"""  # which of these parameters somebody set with ALTER SYSTEM: there they win over us
WRONG = """
select sourcefile || ':' || sourceline || ': ' || name || ': ' || error from pg_file_settings
where error is not null and name not in (select name from pg_settings where pending_restart) order by seqno
"""  # which lines of its files the server does not take, and why


def configuration_files(instance: Instance) -> tuple[Path, ...]:
    """Return the files in the data directory that belong to this member, and must not come from another one."""
    names = (
        "postgresql.conf",
        "postgresql.auto.conf",
        "pg_hba.conf",
        "pg_ident.conf",
        SETTINGS,
        CLIENTS,
        IDENTITIES,
    )
    return tuple(instance.folder / name for name in names)
