"""What the cluster loop makes of operators' mistakes and of a coordinator that lost its memory."""

from holdfast.config import load_text
from holdfast.loop.cluster import rollout, whereabouts
from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.cluster.turn import turn
from holdfast.model.cluster import Assignment, ClusterView, HostReport
from holdfast.model.cluster_events import ViewSeen
from holdfast.model.time import SECOND
from holdfast.model.value import replace

FILE = """
system: shop
cluster: { coordinator: "etcd://10.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 10.0.0.1 }, h2: { address: 10.0.0.2 }, h3: { address: 10.0.0.3 } }
services:
  web: { mode: active-standby, members: { web-1: { on: h1 }, web-2: { on: h2 } }, run: [sleep, inf] }
  job: { mode: active-active, members: 2, run: [sleep, inf] }
"""
POLICY = load_text(FILE)
PLACED = {"job": {"job-1": "h1", "job-2": "h3"}}
NOW = 100 * SECOND


def of_host(me: str) -> ClusterState:
    return ClusterState(me, "l1", POLICY, 0, report=HostReport("l1"))


def after(state: ClusterState, view: ClusterView) -> ClusterState:
    return turn(state, ViewSeen(view), NOW)[0]


def test_members_stay_where_the_last_life_saw_them_placed_until_the_coordinator_is_seen() -> None:
    state = replace(of_host("h1"), placed=PLACED)
    assert state.view is None
    assert whereabouts.placed(state) == PLACED
    assert whereabouts.host_of(state, POLICY.services["job"], "job-2") == "h3"


def test_members_stay_where_they_are_when_the_coordinator_comes_back_empty() -> None:
    placed = ClusterView(assignments={"job": Assignment("job", 3, placed=PLACED["job"])})
    state = after(after(of_host("h1"), placed), ClusterView())
    assert whereabouts.placed(state) == PLACED


def test_what_the_leader_says_now_counts_more_than_what_is_remembered() -> None:
    state = replace(of_host("h1"), placed=PLACED)
    moved = {"job-1": "h2", "job-2": "h3"}
    state = after(state, ClusterView(assignments={"job": Assignment("job", 3, placed=moved)}))
    assert whereabouts.placed(state) == {"job": moved}


def test_a_host_that_the_file_no_longer_names_goes_last() -> None:
    state = after(of_host("h9"), ClusterView(hosts={"h1": HostReport("l2"), "h3": HostReport("l3")}))
    assert rollout.forerunners(state) == ("h1", "h3")
