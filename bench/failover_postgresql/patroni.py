"""Patroni 4 with the same etcd, and the HAProxy that its documentation shows, on h1.

Installed by the benchmark into an environment of its own, and run as the user of the servers. There is no watchdog device, as on
most virtual machines; so nothing ends a primary whose Patroni is gone.
"""

import json
import os
import pwd
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from bench.failover import environments
from bench.failover.stateful import BALANCER, COMES_BACK_S
from bench.failover.tolls import MEMBERS
from bench.failover_postgresql.servers import PostgresContender
from tests.contract.postgresql.stage import owner
from tests.lab.databases import LISTEN, PARAMETERS, PORT, Database
from tests.lab.etcd_ensemble import CLIENT_PORT
from tests.lab.hosts import Cluster

REST = 8008
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ROLES = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}

# What a user gets who sets nothing; pg_rewind is on, so that the old primary can come back.
DEFAULT: dict[str, Any] = {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}
# The least that Patroni accepts, no restart in place, and no demotion as long as all members agree.
FAST: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "primary_start_timeout": 0,
    "failsafe_mode": True,
}
COMMITS: dict[str, dict[str, Any]] = {
    "asynchronous": {},
    "synchronous": {"synchronous_mode": True},
    "quorum": {"synchronous_mode": "quorum"},
}
# The sample configuration of its documentation, and one that asks as often as is sensible over a real network.
CHECKS = {
    "default": "inter 3s fall 3 rise 2 on-marked-down shutdown-sessions",
    "fast": "inter 300ms fastinter 100ms fall 2 rise 1 on-marked-down shutdown-sessions",
}


class _Servers(Database):
    """The servers of Patroni, whose sockets are where it was told to put them."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.hosts = MEMBERS

    def target(self, host: str) -> str:
        return f"host={self.folder} port={self.port(host)} user=postgres dbname=postgres"

    def port(self, host: str) -> int:
        """Return a port of its own for each, as sockets in one folder are called after it."""
        return PORT + MEMBERS.index(host)


class Patroni(PostgresContender):
    """One cluster of three members."""

    profiles: ClassVar[dict[str, dict[str, Any]]] = {"default": DEFAULT, "fast": FAST}

    def __init__(self, folder: Path, commit: str, profile: str) -> None:
        super().__init__(folder, commit)
        self._settings = {**self.profiles[profile], **COMMITS[commit]}
        self._check = CHECKS[profile]
        self.phase_s = float(self._settings["loop_wait"])
        self.database: _Servers = _Servers(self.cluster)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def prepare(cls) -> None:
        """Install it."""
        environments.prepare("patroni", REQUIREMENTS)

    def start(self) -> None:
        """Start the first member, then the others, then the balancer."""
        for host in MEMBERS:
            (self.folder / f"{host}.yml").write_text(json.dumps(self._configuration(host)))  # JSON is YAML
        self.folder.chmod(0o755)
        self.start_manager(MEMBERS[0])
        self.until(self.database.maybe_primary, "a primary", COMES_BACK_S)
        for host in MEMBERS[1:]:
            self.start_manager(host)
        file = self.folder / "haproxy.cfg"
        file.write_text(self._balancer())
        self.network[BALANCER].start(["haproxy", "-db", "-f", str(file)], self.folder / "haproxy.log")
        self.until(self.is_whole, "a primary and two standbys", COMES_BACK_S)
        self.until(self._knows_itself, "Patroni knows that they stream", COMES_BACK_S)
        self.make_schema()

    def manager_pids(self, host: str) -> list[int]:
        """Return Patroni, which is one process."""
        return [self._running[host].pid]

    def start_manager(self, host: str) -> None:
        """Start Patroni there."""
        if host in self._running:
            self._running[host].wait()
        name = owner()
        account = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
        user = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
        command = [
            "setpriv",
            *user,
            str(environments.place("patroni") / "patroni"),
            str(self.folder / f"{host}.yml"),
        ]
        log = self.folder / f"patroni-{host}.log"
        # Without a home of its own libpq would look for keys in the caller's, and complain.
        self._running[host] = self.network[host].start(command, log, {"HOME": str(self.database.folder)})

    def move(self, host: str) -> None:
        """Ask its REST interface, as patronictl does."""
        synchronous = [one["name"] for one in self._members() if one["role"].endswith("sync_standby")]
        others = [name for name in MEMBERS if name != host]
        wanted = {"leader": host, "candidate": (synchronous or others)[0]}
        self._ask(host, "/switchover", json.dumps(wanted).encode())

    def port(self, host: str) -> int:
        """Return the port of the server there."""
        return self.database.port(host)

    def socket(self, host: str) -> str:  # noqa: ARG002 - all are in one folder
        """Return the folder of the server's socket."""
        return str(self.database.folder)

    def _knows_itself(self) -> bool:
        streaming = [one for one in self._members() if one.get("state") == "streaming"]
        return len(streaming) == len(MEMBERS) - 1

    def _members(self) -> list[dict[str, Any]]:
        for host in MEMBERS:
            try:
                members: list[dict[str, Any]] = json.loads(self._ask(host, "/cluster"))["members"]
                return members
            except OSError:
                continue
        return []

    def _ask(self, host: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://{self.network[host].address}:{REST}{path}", body, {"Content-Type": "application/json"}
        )
        with self.network.hub.entered():
            opened = urllib.request.urlopen(request, timeout=60)  # noqa: S310 - the scheme is ours
        with opened as answer:
            said: bytes = answer.read()
        return said

    def _configuration(self, host: str) -> dict[str, Any]:
        address, data = self.network[host].address, self.database.data(host)
        endpoints = [f"{member.address}:{CLIENT_PORT}" for member in self.site.ensemble.members]
        login = {name: {"username": role, "password": role} for name, role in ROLES.items()}
        subnet = f"{self.network.subnet}.0/24"
        server = {"use_pg_rewind": True, "use_slots": True, "parameters": PARAMETERS}
        options = [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync", {"wal-segsize": "1"}]
        return {
            "scope": "bench",
            "name": host,
            "restapi": {"listen": f"{address}:{REST}", "connect_address": f"{address}:{REST}"},
            "etcd3": {"hosts": endpoints},
            "bootstrap": {"dcs": {**self._settings, "postgresql": server}, "initdb": options},
            "postgresql": {
                "listen": f"*:{self.database.port(host)}",
                "connect_address": f"{address}:{self.database.port(host)}",
                "data_dir": str(data),
                "bin_dir": self.database.programs,
                "pgpass": str(self.database.folder / f"{host}.pgpass"),
                "authentication": login,
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication replicator 127.0.0.1/32 trust",
                    f"host all all {subnet} scram-sha-256",
                    f"host replication replicator {subnet} scram-sha-256",
                ],
                "parameters": {"unix_socket_directories": str(self.database.folder)},
            },
            "watchdog": {"mode": "off"},
        }

    def _balancer(self) -> str:
        servers = "\n".join(
            f"    server {name} {self.network[name].address}:{self.database.port(name)} maxconn 100 check port {REST}"
            for name in MEMBERS
        )
        return f"""
global
    maxconn 200
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen primary
    bind *:{LISTEN}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server {self._check}
{servers}
"""
