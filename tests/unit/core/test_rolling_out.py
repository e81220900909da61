"""When a host takes a shared file over: after those before it, and once it could have been seen to break something there."""

from holdfast.config import load_text
from holdfast.loop.cluster import rollout
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport, MemberReport
from holdfast.model.standing import Status
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace

FILE = """
system: shop
cluster: { coordinator: "etcd://10.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 10.0.0.1 }, h2: { address: 10.0.0.2 }, h3: { address: 10.0.0.3 } }
services:
  web:
    mode: active-active
    members: { web-1: { on: h1 } }
    run: [sleep, inf]
    probes: { alive: { exec: ["true"], every: EVERY, timeout: 500ms, fall: 4 } }
"""
POLICY = load_text(FILE.replace("EVERY", "2s"))
NEW = "9a2b"


def seen(me: str, **reports: HostReport) -> ClusterState:
    return ClusterState(me, "l1", POLICY, 0, view=ClusterView(hosts=reports), report=HostReport("l1"))


def runs(revision: str, status: Status = Status.UP) -> HostReport:
    return HostReport("l9", 1, {"web/web-1": MemberReport(status, reason="alive failed")}, revision)


def test_first_host_waits_for_nobody() -> None:
    assert not rollout.why_wait(seen("h1", h2=runs("4f1c")), NEW)
    assert rollout.forerunners(seen("h1", h2=runs("4f1c"))) == ()


def test_next_one_waits_until_the_one_before_runs_it_well() -> None:
    assert "h1 takes it over first" in rollout.why_wait(seen("h2", h1=runs("4f1c")), NEW)
    told = rollout.why_wait(seen("h2", h1=runs(NEW, Status.DOWN)), NEW)
    assert told == "h1 runs it, but web/web-1 there is down: alive failed"
    assert not rollout.why_wait(seen("h2", h1=runs(NEW)), NEW)


def test_what_was_down_before_is_not_waited_for() -> None:
    before = rollout.down_before(seen("h2", h1=runs("4f1c", Status.DOWN)), NEW)
    assert before == {"h1": {"web/web-1"}}
    assert not rollout.why_wait(seen("h2", h1=runs(NEW, Status.DOWN)), NEW, before)
    assert "h1 takes it over first" in rollout.why_wait(seen("h2", h1=runs("4f1c")), NEW, before)


def test_what_is_down_under_the_new_file_was_not_down_before_for_who_comes_late() -> None:
    late = seen("h2", h1=runs(NEW, Status.DOWN))
    assert rollout.why_wait(late, NEW, rollout.down_before(late, NEW))
    assert not rollout.down_before(seen("h2", h1=runs("4f1c", Status.SUSPECT)), NEW)


def test_host_without_a_session_is_not_waited_for() -> None:
    state = seen("h3", h2=runs(NEW))
    assert not rollout.why_wait(state, NEW)
    assert rollout.forerunners(state) == ("h2",)


def test_nothing_is_known_before_the_first_look() -> None:
    assert rollout.why_wait(replace(seen("h1"), view=None), NEW)


def test_a_file_is_watched_until_its_slowest_probe_could_have_failed() -> None:
    assert rollout.watched_for(POLICY) == 8 * SECOND + 500 * MILLISECOND
    assert rollout.watched_for(load_text(FILE.replace("EVERY", "1m"))) == rollout.WATCHED_MAX
    assert rollout.watched_for(load_text(FILE.partition("    probes")[0])) == rollout.WATCHED_MIN


def test_what_hosts_have_to_agree_on_cannot_be_rolled_out() -> None:
    cluster = FILE.replace("secret:", "lease: 5s, port: 7555, heartbeat: 200ms, secret:")
    told = rollout.why_not_while_running(POLICY, load_text(cluster.replace("EVERY", "2s")))
    assert told == (
        "cluster.lease cannot change while agents run",
        "cluster.heartbeat cannot change while agents run",
        "cluster.port cannot change while agents run",
    )
    moved = FILE.replace("EVERY", "2s").replace("10.0.0.2", "10.0.0.7")
    assert rollout.why_not_while_running(POLICY, load_text(moved)) == (
        "hosts.h2.address cannot change while agents run",
    )


def test_hosts_may_come_and_go_and_services_change() -> None:
    fewer = FILE.replace("EVERY", "9s").replace(", h3: { address: 10.0.0.3 }", "")
    assert not rollout.why_not_while_running(POLICY, load_text(fewer))
    assert not rollout.why_not_while_running(load_text(fewer), POLICY)
