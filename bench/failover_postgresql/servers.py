"""What contenders for PostgreSQL share: the servers' settings, who may log in, and how servers are asked.

Both sides run the same PostgreSQL with the same parameters, data in memory, and keep their pace: a disk is not what is compared.
"""

import shutil
from abc import abstractmethod
from pathlib import Path

from bench.failover.stateful import BALANCER, Contender
from bench.failover.tolls import FOLLOWERS, MEMBERS
from tests.lab import shared_memory
from tests.lab.database_history import Listed
from tests.lab.database_load import ClientSpec
from tests.lab.database_sampler import Sampling
from tests.lab.database_sessions import LISTING, SCHEMA, Where
from tests.lab.databases import LISTEN, PORT, Database
from tests.lab.history import now


class PostgresContender(Contender):
    """A manager of PostgreSQL."""

    kind = "postgresql"
    database: Database

    def __init__(self, folder: Path, commit: str) -> None:
        super().__init__(folder)
        self.commit = commit

    def make_schema(self) -> None:
        """Make the tables that clients write to, and let the clients in."""
        done = self.database.on(self.primary(), SCHEMA, 30)
        assert done is not None, "the schema could not be made"

    def primary(self) -> str:
        """Return the one server that is not in recovery."""
        return self.database.primary()

    def is_whole(self) -> bool:
        """Tell whether all stream, and commits wait for whom they have to."""
        is_safe = self.commit == "asynchronous" or self.followers("sync_state in ('sync', 'quorum')")
        return self.database.is_whole() and bool(is_safe)

    def followers(self, condition: str) -> list[str]:
        """Return the hosts whose servers follow the primary, as it says itself."""
        primary = self.database.maybe_primary()
        asked = f"select host(client_addr) from pg_stat_replication where {condition}"  # noqa: S608 - the words are ours
        addresses = (self.database.on(primary, asked) or "").split() if primary else []
        return [name for name in MEMBERS if self.network[name].address in addresses]

    def server_pid(self, host: str) -> int:
        """Return the postmaster."""
        return self.database.postmaster(host)

    def port(self, host: str) -> int:  # noqa: ARG002 - others have one for each
        """Return the port of the server there."""
        return PORT

    @abstractmethod
    def socket(self, host: str) -> str:
        """Return the folder of the server's socket."""

    def roaming(self, *, is_new_each: bool) -> ClientSpec:
        """Go through the balancer."""
        where = self._where(self.network[BALANCER].address, LISTEN)
        return ClientSpec("roaming", "append", (where,), not is_new_each, patience_s=1, every_s=0.01)

    def pinned(self, host: str) -> ClientSpec:
        """Go straight to the server, and wait."""
        where = self._where(self.network[host].address, self.port(host))
        return ClientSpec("pinned", "append", (where,), is_pinned=True, patience_s=60, every_s=0.02)

    def sampling(self) -> Sampling:
        """Ask each server over its own socket."""
        options = "-c synchronous_commit=local -c log_min_messages=panic"
        targets = {
            host: Where(self.socket(host), self.port(host), user="postgres", options=options)
            for host in MEMBERS
        }
        return Sampling(self.kind, str(self.files[-1]), targets)

    def listed(self, host: str) -> Listed:
        """Read the table."""
        rows = self.database.on(host, LISTING, 30)
        assert rows is not None
        pairs = (line.split("|") for line in rows.splitlines())
        return Listed(now(), host, is_primary=True, entries=tuple((name, int(n)) for name, n in pairs))

    def raise_(self) -> None:
        """Raise all of it; the memory that servers share is apart from everybody else's."""
        shared_memory.have_own()
        super().raise_()

    def end(self) -> None:
        """Leave nothing, neither the data nor what killed servers left in memory."""
        super().end()
        shutil.rmtree(self.database.folder, ignore_errors=True)
        shared_memory.clear()

    def _where(self, address: str, port: int) -> Where:
        return Where(address, port, hosts={host.address: host.name for host in self.site.hosts})


assert FOLLOWERS == 2, "Database.is_whole counts all but one of its hosts"
