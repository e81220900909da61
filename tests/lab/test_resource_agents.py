"""Resource agents as they are, on three hosts: scores choose the primary, an address lives with it and an exporter comes after."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import resource_agents
from holdfast.ocf.attributes import INFINITY, Attributes
from holdfast.ocf.variables import STAND_INS
from tests.lab.address_watch import AddressWatch, gaps, overlaps
from tests.lab.hosts import Cluster
from tests.lab.neighbours import Announcements, resolved
from tests.lab.network import own_name
from tests.lab.several_hosts import LEASE, ask, healed, seen_from
from tests.lab.test_addresses_on_hosts import holder

pytestmark = pytest.mark.skipif(
    not resource_agents.is_installed("heartbeat:IPaddr2"), reason="resource-agents is not installed"
)

PORT = 7379
WHOLE_S = 120.0  # the agent of redis asks again once a second, and pauses its clients for two, on a machine that others use too
TIMES = {"start": "20s", "stop": "20s", "promote": "20s", "demote": "20s"}


def bound(cluster: Cluster) -> dict[str, Any]:
    return {host.name: {"on": host.name} for host in cluster.site.hosts}


def hosts_but(cluster: Cluster, *names: str) -> list[str]:
    return [host.name for host in cluster.site.hosts if host.name not in names]


# --- scores ---------------------------------------------------------------------------------------------


def test_a_primary_is_followed_by_whom_the_agents_score_highest_and_by_nobody_whom_they_forbid(
    etcd3: Cluster,
) -> None:
    run = {"ocf": "ocf:heartbeat:Stateful", "monitor": {"every": "1s"}, "timeouts": TIMES}
    etcd3.write({"db": {"mode": "active-standby", "members": bound(etcd3), "run": run}}, lease=LEASE)
    etcd3.start_agents()
    names = [host.name for host in etcd3.site.hosts]
    etcd3.until(
        lambda: scores(etcd3, names[0]) == dict(zip(names, (10, 5, 5), strict=True)), "scores are known"
    )

    first, second, third = names
    assert holder(etcd3, "db", first) == first
    # A primary gives scores to others, as pgsql does: what is written on one host counts on the other.
    score(etcd3, first, third, "50")
    score(etcd3, first, second, "-INFINITY")
    etcd3.until(
        lambda: scores(etcd3, second) == {first: 10, second: -INFINITY, third: 50}, "they arrive", WHOLE_S
    )
    etcd3.nemesis.crash(first)
    etcd3.until(lambda: holder(etcd3, "db", third) == third, "the highest score takes over", WHOLE_S)
    etcd3.until(lambda: scores(etcd3, third).get(third) == 10, "it is promoted", WHOLE_S)

    etcd3.nemesis.freeze(etcd3.agents[third].pid)
    etcd3.until(lambda: holder(etcd3, "db", second) is None, "the lease of the frozen host is over", WHOLE_S)
    etcd3.until(
        lambda: "forbids it" in withheld(etcd3, second), "who is forbidden to is not promoted", WHOLE_S
    )
    assert holder(etcd3, "db", second) is None
    score(etcd3, second, second, "5")
    etcd3.until(lambda: holder(etcd3, "db", second) == second, "it is allowed again", WHOLE_S)


def score(cluster: Cluster, on: str, host: str, value: str) -> None:
    """Give a member a score as an agent does, on whichever host it runs."""
    variables = {
        "HOLDFAST_OCF_ATTRIBUTES": str(cluster.directory(on) / "ocf" / "attributes"),
        "HOLDFAST_OCF_HOST": on,
        "OCF_RESOURCE_INSTANCE": "db",
    }
    command = [str(STAND_INS / "crm_master"), "-N", host, "-l", "reboot", "-v", value]
    subprocess.run(command, env={**os.environ, **variables}, check=True)


def scores(cluster: Cluster, asked: str) -> dict[str, int | None]:
    """Return the scores of all members, as agents on `asked` know them."""
    known = Attributes(cluster.directory(asked) / "ocf" / "attributes")
    return {host.name: known.score_of(host.name, "db") for host in cluster.site.hosts}


def withheld(cluster: Cluster, asked: str) -> str:
    return str(seen_from(cluster, asked)["withheld"])


# --- an address and an exporter -------------------------------------------------------------------------


class Cache:
    """redis on each host, an address that lives with the primary, and an exporter after it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.address = cluster.site.hosts[0].address.rpartition(".")[0] + ".200"
        self.names = folder / "hosts"
        lines = [f"{host.address} {host.name}" for host in cluster.site.hosts]
        self.names.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]), "utf-8")
        for host in cluster.site.hosts:
            place = folder / host.name
            place.mkdir()
            shutil.chown(place, "redis")
            said = f"port {PORT}\ndir {place}\nlogfile {place}/log\nprotected-mode no\nrepl-diskless-sync-delay 0\n"
            (place / "redis.conf").write_text(said, "utf-8")

    def services(self) -> dict[str, Any]:
        place = f"{self.folder}/{{member}}"
        monitor = {"every": "1s"}
        redis = {
            "config": f"{place}/redis.conf",
            "rundir": place,
            "socket_name": "redis.sock",
            "port": str(PORT),
        }
        redis["pidfile_name"] = "redis-server.pid"
        address = {"ip": self.address, "cidr_netmask": 24, "nic": "eth0", "arp_count": 5}
        beside = {"mode": "singleton", "members": bound(self.cluster), "with_primary_of": "cache"}
        return {
            "cache": {
                "mode": "active-standby",
                "members": bound(self.cluster),
                "run": {
                    "ocf": "ocf:heartbeat:redis",
                    "parameters": redis,
                    "monitor": monitor,
                    "timeouts": TIMES,
                },
            },
            "address": {
                **beside,
                "depends_on": ["cache"],
                "run": {"ocf": "ocf:heartbeat:IPaddr2", "parameters": address, "monitor": monitor},
            },
            "exporter": {
                **beside,
                "depends_on": ["address"],
                "run": {
                    "ocf": "ocf:heartbeat:Dummy",
                    "parameters": {"state": f"{place}/exporter"},
                    "monitor": monitor,
                },
            },
        }

    def start(self) -> None:
        """Start the agents. redis reaches its primary by the name of its host, so each host knows the names."""
        know = f'mount --bind {self.names} /etc/hosts && exec "$@"'
        self.cluster.write(self.services(), lease="4s")
        for host in self.cluster.site.hosts:
            self.cluster.start_agent(host.name, ("unshare", "--mount", "sh", "-c", know, "sh"))

    def redis(self, host: str, *words: str) -> str:
        command = ["redis-cli", "-s", str(self.folder / host / "redis.sock"), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip()

    def is_attached(self, host: str, primary: str) -> bool:
        said = self.redis(host, "info", "replication")
        return f"master_host:{primary}" in said and "master_link_status:up" in said

    def exporter_since(self, host: str) -> float | None:
        try:
            return (self.folder / host / "exporter").stat().st_mtime
        except OSError:
            return None

    def pid(self, host: str) -> int:
        return int((self.folder / host / "redis-server.pid").read_text())

    def is_whole(self, primary: str) -> bool:
        """Tell whether it all runs with this primary: the replicas attached, the exporter beside it and nowhere else."""
        others = hosts_but(self.cluster, primary)
        exporters = [self.exporter_since(host) is not None for host in (primary, *others)]
        return exporters == [True, False, False] and all(self.is_attached(host, primary) for host in others)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=own_name("redis-")))
    path.chmod(0o755)  # the user redis goes there
    yield path
    shutil.rmtree(path)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis is not installed")
def test_the_address_lives_with_the_primary_and_the_exporter_comes_after_it(
    etcd3: Cluster, tmp_path: Path, folder: Path
) -> None:
    cache = Cache(etcd3, folder)
    with AddressWatch(etcd3.site.hosts, cache.address, tmp_path) as watch:
        cache.start()
        etcd3.until(watch.now_on, "the address is somewhere", WHOLE_S)
        first = watch.now_on()
        assert first is not None
        etcd3.until(lambda: cache.is_whole(first), "everything runs", WHOLE_S)
        assert cache.redis(first, "set", "word", "kept") == "OK"
        hub = etcd3.site.network.hub
        etcd3.until(
            lambda: resolved(hub, cache.address) == etcd3.site.network[first].mac(), "it is found", WHOLE_S
        )

        second = hosts_but(etcd3, first)[0]
        with Announcements(hub, cache.address) as announcements:
            moved = ask(etcd3, second, "switchover", "cache", "--to", second)
            assert moved.returncode == 0, moved.stderr
            etcd3.until(lambda: watch.now_on() == second, "the address follows a planned move", WHOLE_S)
            mac = etcd3.site.network[second].mac()
            # Nobody asks for it meanwhile: the neighbour knows the new host because it was told, more than once.
            etcd3.until(
                lambda: announcements.by(mac) >= 2, "its new place is announced again and again", WHOLE_S
            )
            etcd3.until(
                lambda: resolved(hub, cache.address, is_asking=False) == mac,
                "a neighbour learns its new place",
                WHOLE_S,
            )
        etcd3.until(lambda: cache.is_whole(second), "everything has moved", WHOLE_S)
        assert cache.redis(second, "get", "word") == "kept"
        assert cache.redis(second, "set", "word", "kept again") == "OK"

        others = hosts_but(etcd3, second)
        etcd3.until(
            lambda: all(cache.redis(host, "get", "word") == "kept again" for host in others),
            "copies",
            WHOLE_S,
        )
        os.kill(cache.pid(second), signal.SIGKILL)
        etcd3.until(lambda: watch.now_on() in others, "the address leaves a host whose primary died", WHOLE_S)
        third = watch.now_on()
        assert third is not None
        etcd3.until(lambda: cache.is_whole(third), "all is whole again, without hands", WHOLE_S)
        assert cache.redis(third, "get", "word") == "kept again"

        etcd3.nemesis.freeze(etcd3.agents[third].pid)
        etcd3.until(
            lambda: watch.now_on() not in {None, third},
            "the address leaves a host whose agent is frozen",
            WHOLE_S,
        )
        fourth = watch.now_on()
        assert fourth is not None
        healed(etcd3)
        etcd3.until(lambda: cache.is_whole(fourth), "all is whole again, without hands", WHOLE_S)
        assert cache.redis(fourth, "get", "word") == "kept again"
        held = watch.held()
    assert overlaps(held) == [], held
    sys.stdout.write(f"no host had the address for {[round(gap, 3) for gap in gaps(held)]} s\n")
    since = cache.exporter_since(fourth)
    assert since is not None
    assert since > held[-1].since, "it was started after the address had come"
