"""The redis.conf that holdfast writes: the operator's file included, his parameters, and what is ours to say, which comes last.

A server starts as a standby that follows nobody: its upstream is a port that nobody can listen on. So one that comes back, empty perhaps,
takes no writes, and feeds nobody: a standby without a primary refuses to copy itself to others. That closes Redis' oldest trap, the primary that
lost its memory and wipes its replicas.
"""

import contextlib
import grp
import hashlib
import os
import pwd
from pathlib import Path

from holdfast.model.redis import RedisServer
from holdfast.model.tags import Tags
from holdfast.model.time import SECOND
from holdfast.redis.asking import ACCOUNT

NAME = "holdfast.conf"
NOBODY = ("127.0.0.1", 0)  # port 0 can be listened on by nobody
# Clients do not administer: they would see the members' password, and could tell a server whom to follow.
_OF_CLIENTS = "+@all -@admin +role +slowlog +latency +lastsave"
_SILENT_FOR = 5 * SECOND  # a link that says nothing for so long is broken: both sides are near each other


def text_of(server: RedisServer, password: str, clients: str | None, tags: Tags) -> str:
    """Return the file. `clients` is what the default user logs in with; None: it is off."""
    quick = {
        "repl-diskless-sync-delay": "0",  # there are few standbys, and nobody else is waited for
        "repl-timeout": str(_SILENT_FOR // SECOND),
        "repl-ping-replica-period": "1",
        "tcp-keepalive": "10",
    }
    first = [f"include {_quoted(server.include)}"] if server.include is not None else []
    given = [f"{name} {value}" for name, value in (quick | server.parameters).items()]
    lines = ["# Written by holdfast at each start: change holdfast.yaml instead.", *first, *given]
    return "\n".join((*lines, *_own(server, password, clients, tags))) + "\n"


def _own(server: RedisServer, password: str, clients: str | None, tags: Tags) -> list[str]:
    lag = max(1, server.min_replicas_max_lag // SECOND)
    entrance = "off resetpass" if clients is None else f"on resetpass {_hashed(clients)} ~* &* {_OF_CLIENTS}"
    return [
        f"port {server.port}",
        f"bind {_bound(server.host)}",
        f"dir {_quoted(server.data)}",
        "daemonize no",
        "supervised no",
        'logfile ""',
        "protected-mode no",  # nobody is let in without a password
        f"user {ACCOUNT} reset on {_hashed(password)} ~* &* +@all",
        f"user default reset {entrance}",
        f"masteruser {ACCOUNT}",
        f"masterauth {_quoted(password)}",
        f"replica-announce-ip {server.host}",
        f"replica-announce-port {server.port}",
        f"replica-priority {0 if tags.nofailover else 100}",
        "replica-read-only yes",
        "replica-serve-stale-data yes",  # so that one that follows nobody tells what it has
        "repl-diskless-load disabled",  # a copy is whole on the disk before the old data is let go of
        f"min-replicas-to-write {server.min_replicas_to_write}",
        f"min-replicas-max-lag {lag}",
        f"replicaof {NOBODY[0]} {NOBODY[1]}",
    ]


def write_settings(server: RedisServer, text: str) -> Path:
    """Make the data folder where there is none, write the file into it, return its path. OSError, LookupError.

    The folder belongs to the server's user, who could lay a link into our way: the file is made anew and renamed, following none.
    """
    folder = Path(server.data)
    user = None if server.user is None else pwd.getpwnam(server.user)
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fresh = f"{NAME}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=at)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600, dir_fd=at)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if user is not None:
                os.fchown(descriptor, user.pw_uid, user.pw_gid)
        os.rename(fresh, NAME, src_dir_fd=at, dst_dir_fd=at)
    finally:
        os.close(at)
    return folder / NAME


def group_of(server: RedisServer) -> str | None:
    """Return the group of the server's user; None: the agent's own. LookupError if there is no such user."""
    return None if server.user is None else grp.getgrgid(pwd.getpwnam(server.user).pw_gid).gr_name


def _bound(host: str) -> str:
    return host if host.startswith("127.") else f"{host} 127.0.0.1"


def _hashed(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def _quoted(text: str | None) -> str:
    escaped = (text or "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
