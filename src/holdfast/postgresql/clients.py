"""Who may log in: our lines before the user's own.

Each member must admit each other member's standby and rewind before any failover, and us over the local socket whatever
the user writes. The user's pg_hba.conf is left as it is: the server reads a file of ours, in which the user's comes
after our lines. PostgreSQL 16 includes it; before that it is copied, and copied again when it changed.
"""

import os
import pwd
import re
from collections.abc import Sequence
from pathlib import Path

from holdfast.postgresql.files import read_file, write_file
from holdfast.postgresql.instance import CLIENTS, IDENTITIES, Instance

_MAP = "holdfast"
_INCLUDES_SINCE = 16


def write_clients(instance: Instance, peers: Sequence[str]) -> bool:
    """Write who may log in, for members at `peers` (addresses or networks); tell whether anything changed."""
    folder = instance.folder
    conf, ident = _users_files(instance)
    version = instance.version()
    clients = render_clients(instance, peers, _rest(conf, version, "include"))
    identities = render_identities(instance, _agent_user(), _rest(ident, version, "include"))
    changed = False
    for path, text in ((folder / CLIENTS, clients), (folder / IDENTITIES, identities)):
        if read_file(path) != text:
            write_file(instance, path, text)
            changed = True
    return changed


def render_clients(instance: Instance, peers: Sequence[str], rest: str) -> str:
    """Return our file of clients."""
    lines = ["# Written by holdfast. Your own lines belong into pg_hba.conf: they come after these."]
    lines.append(f"local all {instance.superuser} peer map={_MAP}")
    for peer in peers:
        address = _network(peer)
        streaming = (instance.replicator, *((instance.guest,) if instance.guest else ()))
        lines += [f"host replication {user} {address} scram-sha-256" for user in streaming]
        lines.append(f"host all {instance.rewinder} {address} scram-sha-256")
        # The replicator's name is in primary_conninfo of a standby, which PostgreSQL 17 uses for a database too.
        lines += [f"host {instance.database} {user} {address} scram-sha-256" for user in streaming]
    return "\n".join(lines) + "\n" + rest


def render_identities(instance: Instance, agent: str, rest: str) -> str:
    """Return our file of identities: the agent's user and the data's owner are our superuser over the socket."""
    users = sorted({agent, instance.user or agent})
    lines = [f"{_MAP} {user} {instance.superuser}" for user in users]
    return "# Written by holdfast.\n" + "\n".join(lines) + "\n" + rest


def _users_files(instance: Instance) -> tuple[Path, Path]:
    """Return the user's own two files: beside the configuration, unless it names others as Debian's does."""
    text = read_file(instance.configuration)
    beside = instance.folder
    found = []
    for parameter, name in (("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")):
        match = re.findall(rf"(?m)^\s*{parameter}\s*=?\s*'([^']+)'", text)
        found.append(beside / match[-1] if match else beside / name)
    return found[0], found[1]


def _rest(path: Path, version: int, directive: str) -> str:
    if version >= _INCLUDES_SINCE:
        return f'{directive}_if_exists "{path}"\n'
    return read_file(path)


def _agent_user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _network(peer: str) -> str:
    if (
        "/" in peer
        or peer in {"samehost", "samenet", "all"}
        or not re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]+", peer)
    ):
        return peer  # a network, a word of pg_hba.conf, or a name
    return f"{peer}/128" if ":" in peer else f"{peer}/32"
