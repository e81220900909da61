"""holdfast: members on h2, h3 and h4, agents on all four hosts, clients through the HAProxy of h1."""

from pathlib import Path

from bench.failover.stateful import BALANCER, COMES_BACK_S
from bench.failover.tolls import MEMBERS
from bench.failover_postgresql.servers import PostgresContender
from tests.lab.databases import Database
from tests.lab.network import HUB
from tests.lab.several_hosts import ask, is_well


class Holdfast(PostgresContender):
    """One cluster of four hosts, with members on three."""

    phase_s = 1.0

    def __init__(self, folder: Path, commit: str, lease: str) -> None:
        super().__init__(folder, commit)
        self._lease = lease
        self.database = Database(self.cluster)
        self.database.hosts = MEMBERS

    def start(self) -> None:
        """Start the agents, and wait until everything is well."""
        clients = [f"{host.address}/32" for host in (*self.site.hosts, self.network[HUB])]
        service = {
            **self.database.service(clients=clients, commit=self.commit),
            "on_coordinator_loss": "hold",
        }
        self.cluster.write({"db": service}, lease=self._lease)
        self.cluster.start_agents()
        hosts = [host.name for host in self.site.hosts]
        self.until(self.is_whole, "a primary and two standbys", COMES_BACK_S)
        self.until(lambda: all(is_well(self.cluster, host) for host in hosts), "all is well", COMES_BACK_S)
        self.make_schema()
        primary = self.primary()
        asked = ("switchover", "db", "--to", self._other(primary), "--dry-run", "--reason", "a benchmark")
        self.until(
            lambda: ask(self.cluster, BALANCER, *asked).returncode == 0, "a standby is fit", COMES_BACK_S
        )

    def manager_pids(self, host: str) -> list[int]:
        """Return the agent and its guard."""
        return [self.cluster.agents[host].pid, *self.cluster.processes(host, "holdfast.guard")]

    def start_manager(self, host: str) -> None:
        """Start the agent there."""
        self.cluster.start_agent(host)

    def move(self, host: str) -> None:
        """Have an operator move it."""
        done = ask(
            self.cluster, BALANCER, "switchover", "db", "--to", self._other(host), "--reason", "a benchmark"
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def socket(self, host: str) -> str:
        """Return the folder of the server's socket."""
        return f"{self.database.data(host)}.holdfast"

    def _other(self, host: str) -> str:
        """Return a standby that a commit waits for, if commits wait for any."""
        synchronous = self.followers("sync_state in ('sync', 'quorum')")
        return (synchronous or [member for member in MEMBERS if member != host])[0]
