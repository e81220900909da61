"""What operators do to several hosts by mistake, and what a coordinator does that lost what it knew. On real agents."""

import shutil
import signal

from tests.lab.hosts import Cluster
from tests.lab.several_hosts import (
    LEASE,
    LISTEN,
    PORT,
    ask,
    healed,
    is_well,
    judge,
    newest_epoch,
    primary,
    raise_up,
    seen_from,
)

JOB = "31536001"  # what tells the job's processes from all others
SERVES_AGAIN_S = 60.0


def raise_with_job(cluster: Cluster) -> None:
    """Raise a cluster that looks after a pair and, on every host, a member that the leader places."""
    hosts = [host.name for host in cluster.site.hosts]
    job = {"mode": "active-active", "members": len(hosts), "run": ["sleep", JOB]}
    cluster.write({"db": cluster.witnesses("db", PORT), "job": job}, lease=LEASE)
    cluster.start_agents()
    cluster.until(lambda: primary(cluster), "a first primary")
    cluster.until(lambda: all(cluster.processes(host, JOB) for host in hosts), "a job on every host")
    cluster.until(lambda: all(is_well(cluster, host) for host in hosts), "all is well")


def jobs(cluster: Cluster) -> dict[str, list[int]]:
    return {host.name: cluster.processes(host.name, JOB) for host in cluster.site.hosts}


def wipe(cluster: Cluster) -> None:
    """End all servers of the coordinator, and start them with nothing."""
    for server in cluster.site.ensemble.members:
        server.kill()
    for server in cluster.site.ensemble.members:
        shutil.rmtree(server.folder / "data")
        server.start()
    cluster.site.ensemble.await_service()


def test_an_agent_that_comes_back_leaves_the_members_that_were_placed_there_alone(etcd3: Cluster) -> None:
    raise_with_job(etcd3)
    before = jobs(etcd3)
    for host in etcd3.site.hosts:
        etcd3.agents[host.name].send_signal(signal.SIGKILL)
        etcd3.agents[host.name].wait()
        etcd3.start_agent(host.name)
        etcd3.until(lambda name=host.name: is_well(etcd3, name), "its next life is well")  # type: ignore[misc]
        assert jobs(etcd3) == before
    judge(etcd3)


def test_a_coordinator_that_comes_back_empty_is_followed_under_larger_epochs(etcd3: Cluster) -> None:
    raise_with_job(etcd3)
    old = primary(etcd3)
    assert old is not None
    assert ask(etcd3, old, "switchover", "db").returncode == 0
    before, epoch = jobs(etcd3), newest_epoch(etcd3)
    wipe(etcd3)
    etcd3.until(lambda: newest_epoch(etcd3) > epoch, "a primary under a larger epoch", SERVES_AGAIN_S)
    healed(etcd3)
    assert jobs(etcd3) == before
    shared = ask(etcd3, old, "apply", "--yes", "--wait", "60s")
    assert shared.returncode == 0, shared.stdout + shared.stderr
    judge(etcd3)


def test_a_file_that_would_deafen_the_hosts_is_refused_and_changes_nothing(etcd3: Cluster) -> None:
    old = raise_up(etcd3)
    etcd3.write({"db": etcd3.witnesses("db", PORT)}, lease=LEASE, port=7555)
    for words in (("apply", "--yes"), ("apply", "--dry-run"), ("reload",)):
        refused = ask(etcd3, old, *words)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "cluster.port cannot change while agents run" in refused.stderr
    assert all(host["reach"] in {"me", "heard"} for host in seen_from(etcd3, old)["hosts"])
    judge(etcd3)


def test_a_host_without_a_balancer_runs_what_is_placed_there(etcd3: Cluster) -> None:
    hosts = [host.name for host in etcd3.site.hosts]
    job = {"mode": "active-active", "members": len(hosts), "run": ["sleep", JOB]}
    web = etcd3.witnesses("web", PORT + 1, mode="active-active", traffic={"listen": f"0.0.0.0:{LISTEN}"})
    del web["run"]["promote"], web["run"]["demote"]
    etcd3.write({"job": job, "web": web}, lease=LEASE)
    for host in hosts[:-1]:
        etcd3.start_agent(host)
    etcd3.start_agent(hosts[-1], PATH="/usr/bin:/bin")  # Debian's HAProxy is in /usr/sbin
    etcd3.until(lambda: all(etcd3.processes(host, JOB) for host in hosts), "a job on every host")
    told = ask(etcd3, hosts[-1], "status")
    assert "cannot run haproxy" in told.stdout, told.stdout + told.stderr
    assert shutil.which("haproxy", path="/usr/bin:/bin") is None
