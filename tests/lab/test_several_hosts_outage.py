"""A coordinator that is away for long, with `on_coordinator_loss: hold`: no healthy service is interrupted. Real agents, real time."""

import pytest

from holdfast.model.time import SECOND, Instant
from tests.lab.history import Asked, Mark, now
from tests.lab.hosts import Cluster
from tests.lab.judging import outage
from tests.lab.several_hosts import (
    LEASE,
    LISTEN,
    PORT,
    healed,
    is_well,
    judge,
    newest_epoch,
    seen_from,
    start_up,
)

OUTAGE = 45 * SECOND
ANSWERS_WITHIN = (
    2 * SECOND
)  # on the busiest machine; a takeover would take longer, and a restart changes processes


@pytest.mark.slow  # a minute, of which it waits 45 s
@pytest.mark.timeout(240)
def test_with_hold_no_service_is_interrupted_while_the_coordinator_is_away_for_45_s(etcd3: Cluster) -> None:
    db = etcd3.witnesses("db", PORT, on_coordinator_loss="hold", traffic={"listen": f"0.0.0.0:{LISTEN}"})
    once = {"mode": "singleton", "members": 1, "on_coordinator_loss": "hold", "run": ["sleep", "1000001"]}
    spread = {"mode": "active-active", "members": 3, "run": ["sleep", "1000002"]}
    etcd3.write({"db": db, "once": once, "spread": spread}, lease=LEASE)
    primary = start_up(etcd3)
    etcd3.until(lambda: len(processes(etcd3)) == 7, "three witnesses, one singleton and three others run")
    asked = next(host for host in etcd3.site.hosts if host.name != primary)
    etcd3.start_clients(asked.address, LISTEN)
    etcd3.until(lambda: answers_since(etcd3, 0) > 20, "clients are served")
    before, epoch = processes(etcd3), newest_epoch(etcd3)
    began = now()
    for server in etcd3.site.servers.values():
        etcd3.nemesis.freeze(server.pid)
    etcd3.until(lambda: not seen_from(etcd3, primary)["is_connected"], "its session is over")
    etcd3.until(lambda: now() > began + OUTAGE, "45 s pass", within_s=60)
    assert answers_since(etcd3, now() - 5 * SECOND) > 0
    healed(etcd3)
    assert all(is_well(etcd3, host.name) for host in etcd3.site.hosts)
    assert (processes(etcd3), newest_epoch(etcd3)) == (before, epoch)
    history = etcd3.so_far()
    assert {mark.host for mark in history.of(Mark) if mark.at > began} == {primary}
    longest = outage(history.of(Asked), began)
    assert longest is not None
    assert longest < ANSWERS_WITHIN
    judge(etcd3)


def processes(cluster: Cluster) -> set[int]:
    """Return what serves on all hosts."""
    words = ("witness.py", "1000001", "1000002")
    return {
        pid for host in cluster.site.hosts for word in words for pid in cluster.processes(host.name, word)
    }


def answers_since(cluster: Cluster, since: Instant) -> int:
    return sum(one.is_ok for one in cluster.so_far().of(Asked) if one.at >= since)
