"""What a host's guards are for, and that they go when nothing is left for them to do."""

import os
import signal
from pathlib import Path

from holdfast.guard.understudy import OF
from tests.lab.hosts import Cluster
from tests.lab.several_hosts import PORT, ask, judge, moved_from, primary, raise_up

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
