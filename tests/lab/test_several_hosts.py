"""Real agents on several hosts, broken in every way the lab knows. Judged from what witnesses wrote down, not from what agents say.

In each: never two primaries at once, epochs only grow, and the service comes back.
"""

import json
import signal
from typing import Any

import pytest

from holdfast.model.cluster import lease_of
from tests.lab.history import Asked, Mark
from tests.lab.hosts import Cluster
from tests.lab.several_hosts import (
    LEASE,
    LISTEN,
    PORT,
    ask,
    healed,
    is_well,
    judge,
    moved_from,
    newest_epoch,
    primary,
    raise_up,
    seen_from,
    start_up,
    witness_pid,
)

# --- one fault at a time -----------------------------------------------------------------------------------


def test_another_member_serves_when_the_primary_is_killed(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.nemesis.kill(witness_pid(etcd3, old))
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    healed(etcd3)
    judge(etcd3)


def test_another_member_serves_when_the_primarys_host_crashes(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.nemesis.crash(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    etcd3.nemesis.heal()
    etcd3.reboot(old)
    healed(etcd3)
    judge(etcd3)


def test_the_guard_ends_the_primary_of_a_host_that_is_cut_off(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.nemesis.isolate(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    healed(etcd3)
    judge(etcd3)


def test_the_guard_ends_the_primary_whose_agent_is_frozen(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.nemesis.freeze(etcd3.agents[old].pid)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    healed(etcd3)
    judge(etcd3)


def test_a_killed_agent_that_comes_back_keeps_its_primary_and_its_lease(etcd3: Cluster) -> None:
    raise_up(etcd3, lease="10s")  # in which an agent starts on the busiest machine
    old = primary(etcd3)
    assert old is not None
    before, epoch = witness_pid(etcd3, old), newest_epoch(etcd3)
    etcd3.agents[old].send_signal(signal.SIGKILL)
    etcd3.agents[old].wait()
    etcd3.start_agent(old)
    etcd3.until(lambda: is_well(etcd3, old), "its next life is well")
    healed(etcd3)
    assert primary(etcd3) == old
    assert witness_pid(etcd3, old) == before
    # It may have been killed before it wrote down that the role is given: then its next life gives it once more.
    assert lease_of(newest_epoch(etcd3)) == lease_of(epoch)
    judge(etcd3)


def test_a_host_that_hears_but_is_not_heard_loses_the_role_safely(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.nemesis.silence(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    healed(etcd3)
    judge(etcd3)


def test_the_primary_serves_on_when_only_the_beats_are_cut(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    epoch = newest_epoch(etcd3)
    everybody = [host.name for host in etcd3.site.hosts]
    etcd3.nemesis.cut_port(7420, everybody, everybody)
    etcd3.until(lambda: any(h["reach"] == "lost" for h in seen_from(etcd3, old)["hosts"]), "beats are missed")
    assert (primary(etcd3), newest_epoch(etcd3)) == (old, epoch)
    healed(etcd3)
    assert newest_epoch(etcd3) == epoch
    judge(etcd3)


def test_a_switchover_moves_the_role_in_good_order(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    to = next(host.name for host in etcd3.site.hosts if host.name != old)
    said = ask(etcd3, old, "switchover", "db", "--to", to)
    assert said.returncode == 0, said.stdout + said.stderr
    etcd3.until(lambda: primary(etcd3) == to, "the wanted primary")
    judge(etcd3)


# --- the coordinator ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_the_primary_serves_on_when_the_coordinators_leader_fails(etcd3: Cluster, how: str) -> None:
    raise_up(etcd3)
    leader = etcd3.site.leader()
    server = etcd3.site.servers[leader]
    (etcd3.nemesis.kill if how == "kill" else etcd3.nemesis.freeze)(server.pid)

    def is_another_leading() -> bool:
        with etcd3.site.ensemble.inside():
            return any(
                etcd3.site.ensemble.leads(other)
                for name, other in etcd3.site.servers.items()
                if name != leader
            )

    etcd3.until(is_another_leading, "another server leads")
    etcd3.nemesis.heal()
    if not server.is_running:
        server.start()
    healed(etcd3)
    judge(etcd3)


def test_a_primary_that_may_not_hold_stops_before_its_lease_can_be_anothers(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    for server in etcd3.site.servers.values():
        etcd3.nemesis.freeze(server.pid)

    def is_quiet() -> bool:
        marks = len(etcd3.so_far().of(Mark))
        return not seen_from(etcd3, old)["is_connected"] and marks == len(etcd3.so_far().of(Mark))

    etcd3.until(is_quiet, "nobody serves")
    healed(etcd3)
    etcd3.until(lambda: newest_epoch(etcd3) > 0 and primary(etcd3), "somebody serves again")
    judge(etcd3)


# --- through the balancer, and on ZooKeeper ------------------------------------------------------------------


def test_clients_of_every_hosts_balancer_are_served_again_after_a_crash(etcd3: Cluster) -> None:
    service = etcd3.witnesses("db", PORT, traffic={"listen": f"0.0.0.0:{LISTEN}"})
    old = raise_up(etcd3, service)
    asked = next(host for host in etcd3.site.hosts if host.name != old)
    etcd3.start_clients(asked.address, LISTEN)
    etcd3.until(lambda: sum(one.is_ok for one in etcd3.so_far().of(Asked)) > 20, "clients are served")
    etcd3.nemesis.crash(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    count = sum(one.is_ok for one in etcd3.so_far().of(Asked))
    etcd3.until(
        lambda: sum(one.is_ok for one in etcd3.so_far().of(Asked)) > count + 20, "clients are served again"
    )
    etcd3.nemesis.heal()
    etcd3.reboot(old)
    healed(etcd3)
    judge(etcd3)


def test_zookeeper_carries_it_as_well(zookeeper3: Cluster) -> None:
    old = raise_up(zookeeper3)
    zookeeper3.nemesis.crash(old)
    zookeeper3.until(lambda: moved_from(zookeeper3, old), "another primary")
    zookeeper3.nemesis.heal()
    zookeeper3.reboot(old)
    healed(zookeeper3)
    judge(zookeeper3)


# --- fencing, placement, roll-out ----------------------------------------------------------------------------


def fence_of(cluster: Cluster, host: str) -> dict[str, Any]:
    """Return a fence of the operator's own: it writes that it was asked, and only then the host counts as off."""
    script = "echo $HOLDFAST_HOST >> " + str(cluster.folder / "fenced")
    return {"fence": {"command": ["/bin/sh", "-c", script], "timeout": "10s"}}


def test_nobody_takes_over_before_the_old_primarys_host_is_fenced(etcd3: Cluster) -> None:
    service = etcd3.witnesses("db", PORT, needs_fencing=True)
    etcd3.write({"db": service}, lease=LEASE)
    document = json.loads(etcd3.file.read_text())
    for name, host in document["hosts"].items():
        host.update(fence_of(etcd3, name))
    etcd3.file.write_text(json.dumps(document))
    old = start_up(etcd3)
    etcd3.nemesis.crash(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another primary")
    assert (etcd3.folder / "fenced").read_text().split() == [old]
    etcd3.nemesis.heal()
    etcd3.reboot(old)
    healed(etcd3)
    judge(etcd3)


def test_a_fence_that_fails_keeps_everybody_else_from_serving(etcd3: Cluster) -> None:
    service = etcd3.witnesses("db", PORT, needs_fencing=True)
    etcd3.write({"db": service}, lease=LEASE)
    document = json.loads(etcd3.file.read_text())
    for host in document["hosts"].values():
        host["fence"] = {"command": ["/bin/false"], "timeout": "5s"}
    etcd3.file.write_text(json.dumps(document))
    old = start_up(etcd3)
    epoch = newest_epoch(etcd3)
    etcd3.nemesis.crash(old)
    etcd3.until(
        lambda: any(note["word"] == "not fenced" for note in all_notes(etcd3, old)), "the leader tried"
    )
    assert newest_epoch(etcd3) == epoch
    etcd3.nemesis.heal()
    etcd3.reboot(old)  # who comes back shows that it serves no more: no fence is needed then
    healed(etcd3)
    judge(etcd3)


def all_notes(cluster: Cluster, but: str) -> list[dict[str, Any]]:
    return [
        note
        for host in cluster.site.hosts
        if host.name != but
        for note in seen_from(cluster, host.name)["notes"]
    ]


def test_a_lost_hosts_placed_members_run_elsewhere(etcd3: Cluster) -> None:
    service = {
        "mode": "active-active",
        "members": 3,
        "run": ["sleep", "infinity"],
        "placement": {"move_after": "1s"},
    }
    etcd3.write({"work": service}, lease=LEASE)
    etcd3.start_agents()

    def homes() -> list[str]:
        """Return where the members are that run elsewhere than on h1, as h1 sees them."""
        try:
            seen = seen_from(etcd3, "h1")["elsewhere"]
        except OSError:
            return []
        return sorted(one["host"] for one in seen if one["report"]["status"] == "up")

    # One on each host, if none of them was late.
    etcd3.until(lambda: homes() and is_all_up(etcd3), "all run, some of them elsewhere")
    lost = homes()[-1]
    etcd3.nemesis.crash(lost)
    etcd3.until(lambda: lost not in homes() and is_all_up(etcd3), "its members have another home")
    etcd3.nemesis.heal()
    etcd3.reboot(lost)
    etcd3.until(lambda: is_well(etcd3, lost), "it is back", 60)


def is_all_up(cluster: Cluster) -> bool:
    said = ask(cluster, "h1", "status", "--json")
    services = json.loads(said.stdout)["services"]
    return all(service["health"] == 1.0 for service in services if service["name"] == "work")
