"""holdfast: members on h2, h3 and h4, agents on all four hosts, clients through the HAProxy of h1."""

from pathlib import Path

from bench.failover.stateful import BALANCER, COMES_BACK_S
from bench.failover.tolls import MEMBERS
from bench.failover_redis.servers import LISTEN, PARAMETERS, PASSWORD, PORT, RedisContender
from tests.lab.several_hosts import ask, is_well


class Holdfast(RedisContender):
    """One cluster of four hosts, with members on three."""

    def __init__(self, folder: Path, lease: str) -> None:
        super().__init__(folder)
        self._lease = lease

    def start(self) -> None:
        """Start the agents, and wait until everything is well."""
        password = self.data / "password"
        password.write_text(f"{PASSWORD}\n", "utf-8")
        server = {"data": str(self.data / "{member}"), "password": str(password), "stop": "10s"}
        service = {
            "mode": "active-standby",
            "members": {host: {"on": host} for host in MEMBERS},
            "port": PORT,
            "traffic": {"listen": f"0.0.0.0:{LISTEN}", "protocol": "tcp"},
            "on_coordinator_loss": "hold",
            "run": {"redis": {**server, "parameters": PARAMETERS}},
        }
        self.cluster.write({"db": service}, lease=self._lease)
        self.cluster.start_agents()
        hosts = [host.name for host in self.site.hosts]
        self.until(self.is_whole, "a primary and two standbys", COMES_BACK_S)
        self.until(lambda: all(is_well(self.cluster, host) for host in hosts), "all is well", COMES_BACK_S)

    def manager_pids(self, host: str) -> list[int]:
        """Return the agent and its guard."""
        return [self.cluster.agents[host].pid, *self.cluster.processes(host, "holdfast.guard")]

    def start_manager(self, host: str) -> None:
        """Start the agent there."""
        self.cluster.start_agent(host)

    def move(self, host: str) -> None:
        """Have an operator move it."""
        other = next(member for member in MEMBERS if member != host)
        done = ask(self.cluster, BALANCER, "switchover", "db", "--to", other, "--reason", "a benchmark")
        assert done.returncode == 0, done.stdout + done.stderr
