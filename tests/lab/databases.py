"""A PostgreSQL service on the hosts of the lab, asked over its own sockets and through the balancers."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.contract.postgresql.stage import make_folder, owner, programs
from tests.lab.hosts import Cluster

PORT, LISTEN = 7432, 7433
PARAMETERS = {
    "fsync": "off",
    "shared_buffers": "8MB",
    "max_connections": 40,
    "autovacuum": "off",
    "wal_retrieve_retry_interval": "100ms",
    "min_wal_size": "4MB",
    "max_wal_size": "32MB",
    "wal_keep_size": "32MB",
}
RECOVERS_S = 60.0


class Database:
    """A PostgreSQL service on a cluster of the lab."""

    def __init__(self, cluster: Cluster, below: str = "") -> None:
        """`below` is the name of each member's data directory in its own folder; empty: that is its data directory."""
        self.cluster = cluster
        self.below = below
        self.folder = make_folder("pg")
        self.programs = programs()
        self.hosts = tuple(host.name for host in cluster.site.hosts)
        self._shown = ""

    def close(self) -> None:
        """Remove its data."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def service(self, **more: Any) -> dict[str, Any]:
        """Return the service of the file."""
        networks = [f"{host.address}/32" for host in self.cluster.site.hosts]
        return {
            "mode": "active-standby",
            "members": {host: {"on": host} for host in self.hosts},
            "port": PORT,
            "traffic": {"listen": f"0.0.0.0:{LISTEN}", "protocol": "tcp"},
            "run": {
                "postgresql": {
                    "data": str(self.data("{member}")),
                    "programs": self.programs,
                    **({"user": name} if (name := owner()) else {}),
                    "parameters": PARAMETERS,
                    "clients": networks,
                    "initdb": ["--locale=C", "--no-sync", "--wal-segsize=1"],
                    "stop": "10s",
                    **more,
                }
            },
        }

    def raise_up(self, lease: str = "2s", **more: Any) -> None:
        """Start everything; `more` are keys of `run.postgresql`."""
        self.cluster.write({"db": self.service(**more)}, lease=lease)
        self.cluster.start_agents()
        self.cluster.until(self.is_whole, "a primary and two standbys that stream", RECOVERS_S)
        self.on(self.primary(), "create table seen (number bigint primary key)")

    def data(self, host: str) -> Path:
        return self.folder / host / self.below

    def target(self, host: str) -> str:
        """Return how the member of a host is connected to over its own socket."""
        return f"host={self.data(host)}.holdfast port={PORT} user=postgres dbname=postgres"

    def client(self, host: str) -> list[str]:
        """Return how the member of a host is asked over its own socket; the statement follows."""
        target = f"{self.target(host)} connect_timeout=3"
        return [f"{self.programs}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", target, "-c"]

    def on(self, host: str, statement: str, within_s: float = 5.0) -> str | None:
        """Return what the member of a host answers over its own socket; None: it did not do it."""
        command = [*self.client(host), statement]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def through_balancer(self, host: str, statement: str) -> str | None:
        """Return what whoever serves answers through the balancer of a host, to a client in the hub."""
        address = self.cluster.site.network[host].address
        target = f"host={address} port={LISTEN} user=app password=app dbname=postgres connect_timeout=2"
        command = [
            *self.cluster.site.network.hub.prefix,
            f"{self.programs}/psql",
            "-XAtq",
            "-c",
            statement,
            target,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def writable(self) -> list[str]:
        """Return the hosts whose member takes a write."""
        statement = "create table if not exists probed (x int); insert into probed values (1)"
        return [host for host in self.hosts if self.on(host, statement) is not None]

    def primary(self) -> str:
        found = self.maybe_primary()
        assert found is not None, self.cluster.said()
        return found

    def maybe_primary(self) -> str | None:
        found = [host for host in self.hosts if self.on(host, "select pg_is_in_recovery()") == "f"]
        return found[0] if len(found) == 1 else None

    def is_whole(self) -> bool:
        """Tell whether one member is primary and all others stream from it. What is not so is shown if a test fails."""
        primary = self.maybe_primary()
        if primary is None:
            self._show("nobody, or more than one, is primary")
            return False
        followers = self.on(primary, "select application_name, state, sent_lsn from pg_stat_replication")
        states = [line.split("|")[1] for line in (followers or "").splitlines()]
        if states == ["streaming"] * (len(self.hosts) - 1):
            return True
        self._show(f"{primary} is primary, and has {followers!r}")
        return False

    def _show(self, what: str) -> None:
        if what != self._shown:
            self._shown = what
            sys.stderr.write(f"{time.strftime('%X')} {what}\n")

    def has_moved(self, old: str) -> bool:
        found = [
            host for host in self.hosts if host != old and self.on(host, "select pg_is_in_recovery()") == "f"
        ]
        return bool(found)

    def reign(self) -> int:
        """Return the newest timeline under which a member serves; 0: none does."""
        timeline = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
        told = (self.on(host, f"select {timeline} where not pg_is_in_recovery()") for host in self.hosts)
        return max((int(each) for each in told if each), default=0)

    def told(self, began: float) -> None:
        """Write down how long it took; shown with -rP."""
        sys.stderr.write(f"after {time.monotonic() - began:.1f}s\n")

    def postmaster(self, host: str) -> int:
        return int((self.data(host) / "postmaster.pid").read_text().splitlines()[0])

    def numbers(self, host: str) -> set[int]:
        return {int(line) for line in (self.on(host, "select number from seen") or "").split()}

    def write(self, host: str, first: int, count: int = 20) -> set[int]:
        """Write rows one by one; return the acknowledged ones."""
        return {
            number
            for number in range(first, first + count)
            if self.on(host, f"insert into seen values ({number})") is not None
        }
