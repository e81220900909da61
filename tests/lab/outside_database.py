"""A PostgreSQL server in the hub, outside of the cluster: what a standby cluster follows."""

import os
import pwd
import signal
import subprocess
from typing import Any

from tests.contract.postgresql.stage import make_folder, owner, programs
from tests.lab.databases import PARAMETERS
from tests.lab.hosts import Cluster

PORT = 7532
USER, PASSWORD = "dr", "other: site's"


class OutsideDatabase:
    """A plain primary, as somebody else runs it. It knows nothing of holdfast but a role that may stream."""

    def __init__(self, cluster: Cluster) -> None:
        self.folder = make_folder("outside")
        self._hub = cluster.site.network.hub
        self._log = cluster.log("outside")
        self._data = self.folder / "data"
        self._secret = cluster.folder / "outside.password"
        self._secret.write_text(f"{PASSWORD}\n")
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def words(self) -> str:
        return f"{self._hub.address}:{PORT}"

    def follows(self) -> dict[str, Any]:
        """Return what the file of its standby cluster says of it."""
        return {
            "host": self._hub.address,
            "port": PORT,
            "user": USER,
            "password": {"file": str(self._secret)},
            "slot": "other_site",
        }

    def make(self, network: str) -> None:
        """Make its data; hosts of `network` may stream."""
        options = ("-U", "postgres", "--locale=C", "--no-sync", "--wal-segsize=1", "-A", "trust")
        made = subprocess.run(
            [*_as_owner(), f"{programs()}/initdb", "-D", str(self._data), *options],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        with (self._data / "pg_hba.conf").open("a") as clients:
            clients.write(f"host replication {USER} {network} scram-sha-256\n")

    def start(self) -> None:
        settings = {**PARAMETERS, "listen_addresses": self._hub.address, "port": PORT}
        settings |= {"unix_socket_directories": str(self.folder)}
        told = [f"-c{name}={value}" for name, value in settings.items()]
        command = [*_as_owner(), f"{programs()}/postgres", "-D", str(self._data), *told]
        self._server = self._hub.start(command, self._log)

    def stop(self) -> None:
        """Shut it down in good order: whoever streams has all of its log then."""
        if self._server is not None:
            os.kill(self._server.pid, signal.SIGINT)
            self._server.wait(timeout=60)
            self._server = None

    def ask(self, statement: str) -> str | None:
        """Return what it answers; None: it does not."""
        client = [f"{programs()}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]
        target = ["-h", str(self.folder), "-p", str(PORT), "-d", "postgres", "-c", statement]
        done = subprocess.run([*client, *target], capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def write(self, first: int, count: int = 10) -> set[int]:
        """Commit rows; return their numbers."""
        numbers = range(first, first + count)
        assert self.ask(f"insert into seen select generate_series({first}, {first + count - 1})") is not None
        return set(numbers)


def _as_owner() -> list[str]:
    if (name := owner()) is None:
        return []
    return ["setpriv", f"--reuid={name}", f"--regid={pwd.getpwnam(name).pw_gid}", "--clear-groups"]
