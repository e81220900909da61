"""What the cluster loop makes of operators' mistakes and of a coordinator that lost its memory."""

from holdfast.config import load_text
from holdfast.loop.cluster import rollout, whereabouts
from holdfast.loop.cluster.showing import next_beat
from holdfast.loop.cluster.state import ClusterState, HeldLease, Session
from holdfast.loop.cluster.turn import turn
from holdfast.model.cluster import Assignment, ClusterView, HostReport, Lease, MemberReport
from holdfast.model.cluster_events import BeatHeard, GiveLease, Order, TakeLease, ViewSeen
from holdfast.model.standing import Role, Status
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
HELD = FILE.replace("{ coordinator", "{ lease: LEASE, coordinator").replace(
    "{ mode: active-standby", "{ on_coordinator_loss: hold, mode: active-standby"
)
POLICY = load_text(FILE)
PLACED = {"job": {"job-1": "h1", "job-2": "h3"}}
NOW = 100 * SECOND


def of_host(me: str) -> ClusterState:
    return ClusterState(me, "l1", POLICY, 0, report=HostReport("l1"))


def connected(me: str) -> ClusterState:
    report = HostReport("l1", 1, {"web/web-1": MemberReport(Status.UP, is_clear=True)})
    session = Session(1, NOW + 2 * SECOND, 2 * SECOND)
    return replace(of_host(me), session=session, report=report, is_looked_at=True)


def orders(state: ClusterState, view: ClusterView) -> tuple[Order, ...]:
    return turn(state, ViewSeen(view), NOW)[1]


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


# --- a coordinator that was wiped, or put back from a backup -----------------------------------------------


def assigned(leader_epoch: int) -> ClusterView:
    return ClusterView(
        assignments={"web": Assignment("web", leader_epoch, {}, "web-1", "h1", "nobody holds it")}
    )


def test_a_lease_that_the_coordinator_forgot_is_taken_above_every_epoch_that_was_seen() -> None:
    state = replace(connected("h1"), leases_seen={"web": 7}, assigned_under={"web": 4})
    (order,) = orders(state, assigned(leader_epoch=5))
    assert isinstance(order, TakeLease)
    assert (order.after, order.above) == (0, 7)


def test_who_is_not_obeyed_is_told() -> None:
    state, ordered = turn(
        replace(connected("h1"), assigned_under={"web": 4}), ViewSeen(assigned(leader_epoch=1)), NOW
    )
    assert not ordered
    assert state.withheld["lease web"] == "it was assigned by a leader of epoch 1, after one of 4"


def test_a_lease_that_was_seen_and_stands_there_no_more_is_not_believed() -> None:
    until = NOW + 2 * SECOND
    held = replace(connected("h1"), held={"web": HeldLease("web-1", 7, 1, until)})
    stands = ClusterView(leases={"web": Lease("web", "h1", "web-1", 7, "l1")}, lease_epochs={"web": 7})
    earlier = ClusterView(leases={"web": Lease("web", "h2", "web-2", 5, "l2")}, lease_epochs={"web": 5})
    assert "web" in after(held, stands).held
    assert "web" in after(held, earlier).held, "the view may be older than our taking it"
    gone_back = after(after(held, stands), earlier)
    assert "web" not in gone_back.held
    assert any("has gone back from epoch 7 to 5" in note.text for note in gone_back.notes)


# --- a file that has no use for a lease any more ---------------------------------------------------------------


def holding(file: str, **reports: HostReport) -> tuple[ClusterState, ClusterView]:
    policy = load_text(file)
    state = connected("h1")
    held = {"web": HeldLease("web-1", 7, 1, NOW + 2 * SECOND)}
    report = replace(state.report, revision=policy.revision)
    state = replace(state, policy=policy, held=held, report=report, known={})
    view = ClusterView(
        hosts={"h1": report, **reports},
        leases={"web": Lease("web", "h1", "web-1", 7, "l1")},
        lease_epochs={"web": 7},
    )
    return state, view


def test_the_lease_of_a_service_that_the_file_dropped_is_given_up_once_nothing_of_it_runs() -> None:
    state, view = holding(FILE.replace("  web:", "  other:"))
    runs = MemberReport(Status.UP, Role.PRIMARY, epoch=7_000_001)
    still_running = replace(state, report=replace(state.report, members={"web/web-1": runs}))
    assert not orders(still_running, view)
    (order,) = orders(replace(state, report=replace(state.report, members={})), view)
    assert isinstance(order, GiveLease)


def test_the_lease_of_a_service_whose_members_all_serve_now_is_given_up_once_all_hosts_know() -> None:
    file = FILE.replace("active-standby", "active-active")
    state, view = holding(file, h2=HostReport("l2", revision=POLICY.revision))
    assert not orders(state, view)
    state, view = holding(file, h2=HostReport("l2", revision=load_text(file).revision))
    (order,) = orders(state, view)
    assert isinstance(order, GiveLease)


# --- hosts whose files differ ------------------------------------------------------------------------------------


def promised_by(lease: str) -> bool:
    """Tell whether a promise of h2, whose file has this lease, counts for h1, whose file has one of 4 s."""
    policy = load_text(HELD.replace("LEASE", "4s"))
    held = {"web": HeldLease("web-1", 7, 1, NOW + SECOND)}
    strained = Session(1, NOW + SECOND, 4 * SECOND)
    h1 = replace(of_host("h1"), policy=policy, held=held, session=strained, view=ClusterView())
    h1, asking = next_beat(h1, NOW)
    h2 = replace(of_host("h2"), life="l2", policy=load_text(HELD.replace("LEASE", lease)))
    h2, _ = turn(h2, BeatHeard(asking, NOW), NOW)
    assert "web" in h2.promises
    h1, _ = turn(h1, BeatHeard(next_beat(h2, NOW)[1], NOW), NOW)
    return "h2" in h1.held["web"].promised


def test_a_promise_of_a_host_whose_file_has_a_shorter_lease_does_not_count() -> None:
    assert promised_by("4s")
    assert promised_by("5s")
    assert not promised_by("2s")
