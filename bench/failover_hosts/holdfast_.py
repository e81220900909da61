"""holdfast: members on h1 and h2, the agents' coordinator on all three hosts, clients through the HAProxy of h3.

`warm`: both members serve whoever asks, one is active (a stateless service with a warm standby). `exclusive`: a member serves only
after its promote hook, and never two do: the lease, or the proof that the old one ended, comes first.

The ensemble's own leader is on h3 when a host is lost, where no member runs: as it is where the coordinator has hosts of its own, and
by two of three chances where it has not. `crash+leader` is the third: the leader dies with the member that serves.
"""

from pathlib import Path
from typing import Any

from bench.failover_hosts.contenders import PORT, Contender, Kind
from tests.lab.history import Mark, now
from tests.lab.hosts import Cluster, Site
from tests.lab.several_hosts import ask, is_well, seen_from

LISTEN = 9001
FRESH = 60_000_000  # a witness marks every 5 ms while it is primary


class Holdfast(Contender):
    """One cluster of three hosts, with members on two."""

    kinds = frozenset(Kind)
    packages = ()
    hosts = 3

    def __init__(self, folder: Path, engine: str, lease: str, *, exclusive: bool) -> None:
        self._site = Site(engine, self.hosts)
        self._cluster = Cluster(self._site, folder / "cluster")
        self._lease = lease
        self._exclusive = exclusive
        self.folder = folder
        self.network = self._site.network
        self.nemesis = self._cluster.nemesis
        self.address = self.network["h3"].address
        self.port = LISTEN
        self._dead = set()

    def raise_(self) -> None:
        """Raise the hosts, the coordinator and the agents."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._site.__enter__()
        self._cluster.__enter__()
        self.start()

    def start(self) -> None:
        """Start the agents, and wait until everything is well."""
        service: dict[str, Any] = self._cluster.witnesses("db", PORT)
        service["members"] = {name: {"on": name} for name in ("h1", "h2")}
        service["traffic"] = {"listen": f"0.0.0.0:{LISTEN}"}
        if not self._exclusive:  # each serves from its start, whoever asks
            witness = self._cluster.witness("{member}", "db", PORT)
            service["run"] = {"command": ["/usr/bin/env", "HOLDFAST_START_ROLE=primary", *witness]}
        self._cluster.write({"db": service}, lease=self._lease)
        self._cluster.start_agents()
        self._until_well()

    def _until_well(self) -> None:
        hosts = list(self.network.hosts)
        self.until(lambda: all(is_well(self._cluster, host) for host in hosts), "all is well", within_s=60)
        self.until(self.active, "one serves", within_s=30)

    def set_the_stage(self, kind: Kind) -> None:
        """Have the ensemble led from h3; or from h2, together with the member that serves."""
        leader = "h2" if kind is Kind.CRASH_LEADER else "h3"
        self._site.have_lead(leader)
        self._until_well()
        if kind is Kind.CRASH_LEADER and self.active() != leader:
            self.move(self.active())
            self.until(
                lambda: self.active() == leader, "it serves where the ensemble is led from", within_s=30
            )
            self._until_well()

    def move(self, host: str) -> None:
        """Have an operator move it."""
        other = "h2" if host == "h1" else "h1"
        ask(self._cluster, "h3", "switchover", "db", "--to", other, "--no-wait")

    def active(self) -> str:
        """Return the host that holds the lease, as h3 sees it."""
        (lease,) = seen_from(self._cluster, "h3")["leases"]
        return str(lease["lease"]["host"])

    def owners(self) -> set[str]:
        """Return the hosts whose witness says at present that it is primary, by the marks that no network cuts."""
        if not self._exclusive:
            return set()
        since = now() - FRESH
        return {mark.host for mark in self._cluster.so_far().of(Mark) if mark.at >= since}

    def end(self) -> None:
        """Leave nothing."""
        self._cluster.__exit__(None, None, None)
        self._site.__exit__(None, None, None)
