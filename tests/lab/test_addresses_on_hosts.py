"""An address that lives with a database's primary, on several hosts, through resource agents as they are: never on two hosts."""

from pathlib import Path
from typing import Any

import pytest

from holdfast.config import resource_agents
from tests.lab.address_watch import AddressWatch, overlaps
from tests.lab.hosts import Cluster
from tests.lab.several_hosts import LEASE, ask, seen_from

pytestmark = pytest.mark.skipif(
    not resource_agents.is_installed("heartbeat:IPaddr2"), reason="resource-agents is not installed"
)


def services(cluster: Cluster, address: str) -> dict[str, Any]:
    bound = {host.name: {"on": host.name} for host in cluster.site.hosts}
    monitor = {"every": "1s"}
    parameters = {"ip": address, "cidr_netmask": 24, "nic": "eth0", "arp_count": 3}
    return {
        "db": {
            "mode": "active-standby",
            "members": bound,
            "run": {"ocf": "ocf:heartbeat:Stateful", "monitor": monitor},
        },
        "vip": {
            "mode": "singleton",
            "members": bound,
            "depends_on": ["db"],
            "with_primary_of": "db",
            "run": {"ocf": "ocf:heartbeat:IPaddr2", "parameters": parameters, "monitor": monitor},
        },
    }


def holder(cluster: Cluster, service: str, asked: str) -> str | None:
    """Return the host that holds the lease of a service, as the agent of `asked` sees it."""
    try:
        leases = seen_from(cluster, asked)["leases"]
    except OSError:
        return None
    found = next((one["lease"] for one in leases if one["service"] == service), None)
    return None if found is None else str(found["host"])


def test_the_address_follows_the_primary_by_plan_and_from_a_host_whose_agent_is_frozen(
    etcd3: Cluster, tmp_path: Path
) -> None:
    address = etcd3.site.hosts[0].address.rpartition(".")[0] + ".200"
    etcd3.write(services(etcd3, address), lease=LEASE)
    with AddressWatch(etcd3.site.hosts, address, tmp_path) as watch:
        etcd3.start_agents()
        etcd3.until(watch.now_on, "the address is somewhere")
        first = watch.now_on()
        assert first is not None
        assert holder(etcd3, "db", first) == first, "it is where the primary is"

        second = next(host.name for host in etcd3.site.hosts if host.name != first)
        moved = ask(etcd3, second, "switchover", "db", "--to", second)
        assert moved.returncode == 0, moved.stderr
        etcd3.until(lambda: watch.now_on() == second, "the address follows a planned move")

        others = [host.name for host in etcd3.site.hosts if host.name != second]
        etcd3.nemesis.freeze(etcd3.agents[second].pid)
        etcd3.until(lambda: watch.now_on() in others, "the address leaves a host whose agent is frozen")
        third = watch.now_on()
        assert third is not None
        assert holder(etcd3, "db", third) == third
        etcd3.nemesis.heal()
        held = watch.held()
    assert len(held) >= 3, held
    assert overlaps(held) == [], held
