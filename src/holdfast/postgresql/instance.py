"""One instance: a data directory on this host, and how its server is reached and run.

A value, and the paths that follow from it. What is done with an instance is in the modules beside this one, one
verb each.
"""

import re
from pathlib import Path

from holdfast.model.value import Value

SETTINGS = "holdfast.conf"  # ours, in the data directory; see settings.py
CLIENTS = "holdfast_hba.conf"  # ours: who may log in; see clients.py
IDENTITIES = "holdfast_ident.conf"


class Instance(Value, frozen=True):
    """One PostgreSQL on this host."""

    name: str  # of the member: its application_name and its slot's name are made of it
    data: str  # the data directory: absolute, and not itself a mount point, as clones are renamed into its place
    programs: str  # where `postgres`, `pg_rewind` and so on of its version are
    port: int
    listen: str = "127.0.0.1"  # listen_addresses
    user: str | None = (
        None  # who owns the data and runs the server; None: the agent's own user, which is not root
    )
    superuser: str = "postgres"  # the role that we use over the local socket
    replicator: str = "holdfast_replicator"  # the role under which standbys stream
    guest: str = (
        ""  # one more role under which they may: that of a server outside, whose roles are in the data
    )
    rewinder: str = "holdfast_rewinder"  # the role under which pg_rewind reads
    database: str = "postgres"  # where our own questions are asked
    config: str = ""  # the user's postgresql.conf where it is not in the data directory, as Debian has it

    def program(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        return f"{self.programs}/{name}"

    @property
    def folder(self) -> Path:
        """Return the data directory."""
        return Path(self.data)

    @property
    def beside(self) -> Path:
        """Return our own folder beside the data: what must survive a clone or a rewind, and the socket."""
        return Path(f"{self.data}.holdfast")

    @property
    def passwords(self) -> Path:
        """Return the passfile with the passwords of the replicator and the rewinder."""
        return self.beside / "passfile"

    @property
    def configuration(self) -> Path:
        """Return the user's own postgresql.conf."""
        return Path(self.config) if self.config else self.folder / "postgresql.conf"

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no data: nothing, or an empty folder."""
        return not self.folder.exists() or not any(self.folder.iterdir())

    def version(self) -> int:
        """Return the major version of the data, such as 15; 0 without data."""
        try:
            return int((self.folder / "PG_VERSION").read_text("ascii").strip())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return 0


def slot_name(member: str) -> str:
    """Return the replication slot of `member`. Slots have lower-case letters, digits and underscores only."""
    plain = re.sub(r"[^a-z0-9_]", "_", member.lower())
    # Two members must not share a slot: where a letter was replaced the name gets what tells them apart.
    suffix = "" if plain == member else f"_{_digest(member)}"
    return f"holdfast_{plain}"[: 63 - len(suffix)] + suffix


def _digest(text: str) -> str:
    number = 0
    for letter in text.encode():
        number = (number * 257 + letter) % 0xFFFFFFFB
    return f"{number:08x}"
