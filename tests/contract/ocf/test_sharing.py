"""What agents write on several hosts: three folders and one common place, in which each host's writes arrive at every other."""

from pathlib import Path

import pytest

from holdfast.ocf.attributes import CLUSTER, Attributes
from holdfast.ocf.sharing import Noted, Replica

BOOT, NEXT_BOOT = "boot-1", "boot-2"


class Hosts:
    """Folders of some hosts, and what stands in the common place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.common: dict[str, Noted] = {}
        self.replicas: dict[str, Replica] = {}

    def attributes(self, host: str) -> Attributes:
        return Attributes(self.folder / host / "attributes")

    def live(self, host: str, boot: str = BOOT) -> Replica:
        """Begin a life of the host's agent."""
        self.attributes(host).begin(boot)
        self.replicas[host] = Replica(self.attributes(host), host, boot)
        return self.replicas[host]

    def write(self, on: str, host: str, name: str, value: str | None, lifetime: str = "reboot") -> None:
        """Write as an agent on host `on` does."""
        attributes = self.attributes(on)
        attributes.swap(host, lifetime, name, attributes.read(host, name, lifetime=lifetime), value)

    def push(self, on: str) -> None:
        replica = self.replicas[on]
        for host, changes in replica.changes().items():
            self.common[host] = self.common.get(host, Noted()).after(changes)
            replica.learn(host, self.common[host])

    def pull(self, on: str) -> None:
        for host, noted in self.common.items():
            self.replicas[on].learn(host, noted)


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    hosts = Hosts(tmp_path)
    for name in ("h1", "h2"):
        hosts.live(name)
    return hosts


def test_a_primary_gives_scores_to_members_on_other_hosts(hosts: Hosts) -> None:
    hosts.write("h1", "h2", "master-db", "100")
    hosts.write("h1", CLUSTER, "db_REPL_INFO", "h1", "forever")
    hosts.push("h1")
    hosts.pull("h2")
    assert hosts.attributes("h2").score_of("h2", "db") == 100
    assert hosts.attributes("h2").read(CLUSTER, "db_REPL_INFO", lifetime="forever") == "h1"
    assert hosts.replicas["h2"].changes() == {}


def test_the_newest_write_counts_whoever_wrote_it(hosts: Hosts) -> None:
    hosts.write("h2", "h2", "master-db", "5")
    hosts.push("h2")
    hosts.pull("h1")
    hosts.write("h1", "h2", "master-db", "-INFINITY")
    hosts.push("h1")
    hosts.pull("h2")
    assert hosts.attributes("h2").score_of("h2", "db") == -1_000_000
    hosts.write("h2", "h2", "master-db", None)
    hosts.push("h2")
    hosts.pull("h1")
    assert hosts.attributes("h1").of("h2") == {}


def test_what_an_agent_writes_while_nothing_can_be_carried_is_not_undone_by_what_comes(hosts: Hosts) -> None:
    hosts.write("h1", "h2", "master-db", "100")
    hosts.push("h1")
    hosts.write("h2", "h2", "master-db", "1000")
    hosts.pull("h2")
    assert hosts.attributes("h2").score_of("h2", "db") == 1000
    hosts.push("h2")
    hosts.pull("h1")
    assert hosts.attributes("h1").score_of("h2", "db") == 1000


def test_an_agent_that_was_away_does_not_take_its_old_score_for_news(hosts: Hosts) -> None:
    hosts.write("h1", "h1", "master-db", "1000")
    hosts.push("h1")
    hosts.pull("h2")
    hosts.write("h2", "h1", "master-db", "-INFINITY")  # while the agent of h1 is away
    hosts.push("h2")
    hosts.live("h1")
    assert hosts.replicas["h1"].changes() == {}
    hosts.pull("h1")
    assert hosts.attributes("h1").score_of("h1", "db") == -1_000_000


def test_a_boot_ends_the_scores_of_its_own_host_and_not_what_lives_longer(hosts: Hosts) -> None:
    hosts.write("h1", "h1", "master-db", "1000")
    hosts.write("h1", "h1", "db-data-status", "LATEST", "forever")
    hosts.write("h2", "h2", "master-db", "5")
    for host in ("h1", "h2", "h1"):
        hosts.pull(host)
        hosts.push(host)
    hosts.live("h1", NEXT_BOOT)
    hosts.push("h1")
    for host in ("h1", "h2"):
        hosts.pull(host)
        assert hosts.attributes(host).score_of("h1", "db") is None
        assert hosts.attributes(host).score_of("h2", "db") == 5
        assert hosts.attributes(host).read("h1", "db-data-status", lifetime="forever") == "LATEST"


def test_a_common_place_that_was_emptied_is_filled_again(hosts: Hosts) -> None:
    hosts.write("h1", "h1", "db-data-status", "LATEST", "forever")
    hosts.push("h1")
    hosts.common.clear()
    hosts.replicas["h1"].forget("h1")
    hosts.push("h1")
    assert hosts.common["h1"].forever == {"db-data-status": "LATEST"}
