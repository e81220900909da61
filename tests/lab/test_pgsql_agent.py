"""Debian's agent for PostgreSQL, as it is, with replicas on three hosts: who takes over is found by comparing what each has."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import resource_agents
from tests.lab.hosts import Cluster
from tests.lab.network import own_name
from tests.lab.test_addresses_on_hosts import holder
from tests.lab.test_resource_agents import bound, hosts_but

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PORT = 7434
COMES_UP_S = 90.0  # agents compare themselves in three monitors, each of which calls a dozen programs

pytestmark = [
    pytest.mark.skipif(
        not resource_agents.is_installed("heartbeat:pgsql"), reason="resource-agents is missing"
    ),
    pytest.mark.skipif(not PROGRAMS, reason="PostgreSQL is not installed"),
]


class Servers:
    """The same data on each host, to begin with."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.address = cluster.site.hosts[0].address.rpartition(".")[0] + ".201"
        first, *others = (self.data(host.name) for host in cluster.site.hosts)
        self._as_owner([str(PROGRAMS[-1] / "initdb"), "-D", str(first), "-A", "trust", "-N", "--no-locale"])
        network = cluster.site.hosts[0].address.rpartition(".")[0] + ".0/24"
        with (first / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write(f"host all all {network} trust\nhost replication all {network} trust\n")
        with (first / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"port = {PORT}\nunix_socket_directories = ''\nshared_buffers = 16MB\nfsync = off\n")
        for other in others:
            self._as_owner(["cp", "-a", str(first), str(other)])

    def data(self, host: str) -> Path:
        return self.folder / host

    def services(self) -> dict[str, Any]:
        names = " ".join(host.name for host in self.cluster.site.hosts)
        told = {
            "pgctl": str(PROGRAMS[-1] / "pg_ctl"),
            "psql": str(PROGRAMS[-1] / "psql"),
            "pgdata": f"{self.folder}/{{member}}",
            "pgport": str(PORT),
            "pghost": "0.0.0.0",
            "logfile": f"{self.folder}/{{member}}.log",
            "tmpdir": f"{self.folder}/{{member}}.tmp",
            "rep_mode": "async",
            "node_list": names,
            "master_ip": self.address,
            "repuser": "postgres",
        }
        times = {"start": "60s", "stop": "60s", "promote": "60s", "demote": "60s"}
        monitor = {"every": "1s", "timeout": "30s"}
        address = {"ip": self.address, "cidr_netmask": 24, "nic": "eth0"}
        return {
            "db": {
                "mode": "active-standby",
                "members": bound(self.cluster),
                "run": {
                    "ocf": "ocf:heartbeat:pgsql",
                    "parameters": told,
                    "monitor": monitor,
                    "timeouts": times,
                },
            },
            "address": {
                "mode": "singleton",
                "members": bound(self.cluster),
                "depends_on": ["db"],
                "with_primary_of": "db",
                "run": {"ocf": "ocf:heartbeat:IPaddr2", "parameters": address, "monitor": {"every": "1s"}},
            },
        }

    def ask(self, host: str, statement: str) -> str:
        """Return what the server of a host answers; empty: nothing."""
        target = f"host=127.0.0.1 port={PORT} user=postgres dbname=postgres connect_timeout=3"
        command = [str(PROGRAMS[-1] / "psql"), "-XAtq", "-d", target, "-c", statement]
        place = self.cluster.site.network[host].prefix
        try:
            done = subprocess.run([*place, *command], capture_output=True, text=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.strip()

    def primary(self) -> str | None:
        """Return the host whose server takes writes."""
        for host in self.cluster.site.hosts:
            if self.ask(host.name, "select pg_is_in_recovery()") == "f":
                return host.name
        return None

    def streams(self, primary: str) -> int:
        said = self.ask(primary, "select count(*) from pg_stat_replication where state = 'streaming'")
        return int(said or 0)

    def _as_owner(self, command: list[str]) -> None:
        subprocess.run(["runuser", "-u", "postgres", "--", *command], check=True, capture_output=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=own_name("pgsql-")))
    path.chmod(0o755)
    shutil.chown(path, "postgres")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_replicas_compare_themselves_and_the_one_with_everything_follows_a_primary_that_died(
    etcd3: Cluster, folder: Path
) -> None:
    servers = Servers(etcd3, folder)
    etcd3.write(servers.services(), lease="8s")
    etcd3.start_agents()
    etcd3.until(servers.primary, "a first primary", COMES_UP_S)
    first = servers.primary()
    assert first is not None
    etcd3.until(lambda: servers.streams(first) == 2, "both standbys stream", COMES_UP_S)

    # One standby is left behind: it must not be chosen, though nothing else speaks against it.
    behind, ahead = hosts_but(etcd3, first)
    servers.ask(behind, "select pg_wal_replay_pause()")
    pid = int((servers.data(behind) / "postmaster.pid").read_text().splitlines()[0])
    receiver = servers.ask(behind, "select pid from pg_stat_wal_receiver")
    assert receiver
    os.kill(int(receiver), signal.SIGSTOP)
    try:
        assert servers.ask(first, "create table seen as select generate_series(1, 1000) as number") == ""
        etcd3.until(lambda: servers.ask(ahead, "select count(*) from seen") == "1000", "one has it all")
        os.kill(int((servers.data(first) / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        etcd3.until(lambda: servers.primary() == ahead, "who has it all takes over", COMES_UP_S)
    finally:
        os.kill(int(receiver), signal.SIGCONT)
    assert servers.ask(ahead, "select count(*) from seen") == "1000"
    assert pid == int((servers.data(behind) / "postmaster.pid").read_text().splitlines()[0])
    assert holder(etcd3, "db", ahead) == ahead
    # The agent has its old primary stay away until somebody looked at its data.
    assert servers.ask(first, "select 1") == ""
