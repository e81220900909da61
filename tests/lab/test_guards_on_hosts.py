"""What a host's guards are for, and that they go when nothing is left for them to do."""

import os
import signal
from pathlib import Path

from holdfast.components.guarding import log_of
from holdfast.guard.understudy import OF
from tests.lab.hosts import HOLDFAST, Cluster
from tests.lab.several_hosts import PORT, ask, judge, moved_from, primary, raise_up, witness_pid

GUARD = "holdfast.guard"


def _is_understudy(pid: int) -> bool:
    return OF.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_agent_and_guard_killed_at_one_blow_leave_no_second_primary(etcd3: Cluster) -> None:
    raise_up(etcd3)
    old = primary(etcd3)
    assert old is not None
    etcd3.until(lambda: len(etcd3.processes(old, GUARD)) == 2, "the guard of a primary has an understudy")
    (first,) = (pid for pid in etcd3.processes(old, GUARD) if not _is_understudy(pid))
    for pid in (etcd3.agents[old].pid, first):
        os.kill(pid, signal.SIGKILL)
    etcd3.until(lambda: moved_from(etcd3, old), "another host serves once the lease is over")
    etcd3.until(lambda: not etcd3.processes(old, "witness.py"), "the old primary was ended by the understudy")
    judge(etcd3)


def test_a_demotion_that_hangs_when_its_host_is_cut_off_is_ended_by_the_guard(etcd3: Cluster) -> None:
    service = etcd3.witnesses("db", PORT)
    hanging = {"demote": ["sleep", "1000"], "hook_timeout": "60s"}
    raise_up(etcd3, {**service, "run": {**service["run"], **hanging}})
    old = primary(etcd3)
    assert old is not None
    new = next(host.name for host in etcd3.site.hosts if host.name != old)
    moving = etcd3.site.network[old].start(
        [HOLDFAST, "switchover", "db", "--to", new, "--directory", str(etcd3.directory(old))],
        etcd3.log("switchover"),
    )
    etcd3.until(lambda: etcd3.processes(old, "sleep"), "its demotion hangs")
    serving = witness_pid(etcd3, old)
    etcd3.nemesis.isolate(old)
    etcd3.until(lambda: moved_from(etcd3, old), "another host serves once the lease is over")
    assert not Path(f"/proc/{serving}").exists()
    assert f"ended db/{old}" in log_of(etcd3.directory(old)).read_text("utf-8"), "by the guard"
    moving.kill()
    judge(etcd3)


def test_a_guard_goes_with_the_agent_that_stops_everything(etcd3: Cluster) -> None:
    raise_up(etcd3, etcd3.witnesses("db", PORT))
    host = primary(etcd3)
    assert host is not None
    assert etcd3.processes(host, GUARD)
    down = ask(etcd3, host, "down", "--yes")
    assert down.returncode == 0, down.stderr
    etcd3.until(lambda: not etcd3.processes(host, GUARD), "no guard is left there")
    etcd3.until(lambda: moved_from(etcd3, host), "another host serves")
    judge(etcd3)
