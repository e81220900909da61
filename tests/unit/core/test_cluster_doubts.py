"""What the cluster loop believes of orders that nobody answered, of leases that vanished, and of its own word."""

from holdfast.detect.reach import Reach
from holdfast.loop.cluster import leading, leasing, promising
from holdfast.loop.cluster.state import ClusterState, Flight, HeldLease, Session
from holdfast.loop.cluster.turn import turn
from holdfast.model.beats import Beat, Heard
from holdfast.model.cluster import Assignment, ClusterView, HostReport, LastLease, Lease, MemberReport
from holdfast.model.cluster_events import (
    AdoptLease,
    Assign,
    BeatHeard,
    MembersReported,
    Order,
    OrderFinished,
    SessionEnded,
    TakeLease,
    TimePassed,
    ViewSeen,
)
from holdfast.model.events import Ending
from holdfast.model.standing import Role, Status
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.model.value import replace
from holdfast.sim.cluster.systems import LEASE, systems

NOW: Instant = 1000 * SECOND
STANDBY = MemberReport(Status.UP, is_clear=True)
PRIMARY = MemberReport(Status.UP, Role.PRIMARY, epoch=1_000_001)


def reports(**members: MemberReport) -> dict[str, HostReport]:
    return {host: HostReport(f"{host}.1", 1, {f"db/{host}": report}) for host, report in members.items()}


def view(
    *, holder: str = "", last: str = "", epoch: int = 0, to: str = "b", settled: bool = False
) -> ClusterView:
    leases = {"db": Lease("db", holder, holder, epoch, f"{holder}.1")} if holder else {}
    newest = {"db": LastLease(Lease("db", last, last, epoch, f"{last}.1"), settled)} if last else {}
    return ClusterView(
        hosts=reports(a=STANDBY, b=STANDBY, c=STANDBY),
        leases=leases,
        lease_epochs={"db": epoch} if epoch else {},
        last_leases=newest,
        assignments={"db": Assignment("db", 1, {}, to, to)},
    )


def agent_of(me: str, seen: ClusterView, system: str = "pair") -> ClusterState:
    """Return the state of an agent that runs for a minute, has a session and a member that is fit."""
    policy = systems()[system][0]
    session = Session(1, NOW + 10 * SECOND, 10 * SECOND)
    state = ClusterState(me, f"{me}.1", policy, NOW - 60 * SECOND, session=session)
    members = {f"db/{me}": STANDBY} if me in "ab" else {}
    state, _ = turn(state, MembersReported(members, {}), NOW)
    return turn(state, ViewSeen(seen), NOW)[0]


def beat(host: str, report: MemberReport, sequence: int = 1, **more: object) -> Beat:
    told = HostReport(f"{host}.1", 2, {f"db/{host}": report})
    return Beat(host, f"{host}.1", sequence, report_number=2, report=told, **more)  # type: ignore[arg-type]  # what else it says


def takes(state: ClusterState) -> list[Order]:
    return [flight.order for flight in state.flights.values() if isinstance(flight.order, TakeLease)]


def test_a_take_that_nobody_answered_is_asked_again_under_the_same_condition() -> None:
    state = agent_of("b", view())
    (first,) = takes(state)
    state, _ = turn(state, OrderFinished(first.id, Ending.UNKNOWN), NOW)
    assert takes(state) == [first]
    state, orders = turn(state, TimePassed(), NOW + SECOND)
    (again,) = orders
    assert isinstance(again, TakeLease)
    assert isinstance(first, TakeLease)
    assert (again.after, again.member) == (first.after, first.member)


def test_a_take_in_doubt_stays_so_when_asking_again_is_refused() -> None:
    state = agent_of("b", view())
    state, _ = turn(state, OrderFinished(takes(state)[0].id, Ending.UNKNOWN), NOW)
    state, _ = turn(state, TimePassed(), NOW + SECOND)
    state, _ = turn(
        state, OrderFinished(takes(state)[0].id, Ending.FAILED, "somebody holds it"), NOW + SECOND
    )
    assert promising.is_taking(state, "db")


def test_a_take_in_doubt_is_over_with_its_session() -> None:
    state = agent_of("b", view())
    order = takes(state)[0]
    state, _ = turn(state, SessionEnded("lost"), NOW)
    state, _ = turn(state, OrderFinished(order.id, Ending.UNKNOWN), NOW)
    assert not state.flights


def test_a_take_in_doubt_that_was_seen_to_have_succeeded_is_held() -> None:
    state = agent_of("b", view())
    order = takes(state)[0]
    state, _ = turn(state, ViewSeen(view(holder="b", last="b", epoch=1)), NOW)
    state, _ = turn(state, OrderFinished(order.id, Ending.UNKNOWN), NOW)
    assert state.held["db"].epoch == 1


def test_a_lease_in_our_name_that_nobody_told_us_of_is_adopted_once() -> None:
    state = agent_of("b", view(holder="b", last="b", epoch=1))
    orders = [flight.order for flight in state.flights.values()]
    assert [type(order) for order in orders] == [AdoptLease]
    given = replace(state, flights={}, given_up={"db": 1})
    assert not turn(given, TimePassed(), NOW)[1]


def test_nobody_promises_while_a_take_of_theirs_is_on_its_way() -> None:
    state = agent_of("b", view(last="a", epoch=1, settled=True), "pair_hold")
    order = TakeLease("db", "b", 1, "", id=7)
    state = replace(state, flights={"lease db": Flight(order, NOW + SECOND, 1)})
    asking = beat("a", PRIMARY, holds={"db": 1})
    assert not turn(state, BeatHeard(asking, NOW), NOW)[0].promises
    assert turn(replace(state, flights={}), BeatHeard(asking, NOW), NOW)[0].promises["db"].to == "a"


def test_a_lease_that_vanished_is_left_to_a_holder_that_serves_and_is_heard() -> None:
    state = agent_of("b", view(holder="a", last="a", epoch=1))
    state, _ = turn(state, BeatHeard(beat("a", PRIMARY), NOW), NOW)
    state, orders = turn(state, ViewSeen(view(last="a", epoch=1)), NOW)
    assert not orders
    assert leasing.waits_for_last(state, "db", NOW) is not None
    assert leasing.waits_for_last(state, "db", NOW + LEASE) is None


def test_with_hold_it_is_left_to_it_for_as_long_as_it_serves() -> None:
    state = agent_of("b", view(holder="a", last="a", epoch=1), "pair_hold")
    state, _ = turn(state, BeatHeard(beat("a", PRIMARY), NOW), NOW)
    state = replace(turn(state, ViewSeen(view(last="a", epoch=1)), NOW)[0], reach={"a": Reach.HEARD})
    assert leasing.waits_for_last(state, "db", NOW + 100 * LEASE) is not None


def test_a_lease_that_needs_fencing_is_not_taken_before_its_holder_is_proven_off() -> None:
    gone = replace(view(last="a", epoch=1), hosts=reports(b=STANDBY))
    assert not takes(agent_of("b", gone, "fenced"))
    settled = replace(view(last="a", epoch=1, settled=True), hosts=reports(b=STANDBY))
    assert takes(agent_of("b", settled, "fenced"))
    told = view(last="a", epoch=1)  # the holder's own host is there, and says that its member is a standby
    assert takes(agent_of("b", told, "fenced"))


def test_a_leader_takes_who_holds_a_lease_for_present_though_its_report_is_missing() -> None:
    seen = replace(view(holder="a", last="a", epoch=1, to="a"), hosts=reports(b=STANDBY, c=STANDBY))
    state = replace(agent_of("c", seen), leads_under=5, leads_since=NOW - 60 * SECOND)
    state, orders = turn(state, TimePassed(), NOW)
    assert "a" not in state.gone_since
    assert not [order for order in orders if isinstance(order, Assign)]


def test_while_nobody_is_fit_the_last_assignment_stays_as_it_is() -> None:
    seen = replace(view(last="a", epoch=1, to="a", settled=True), hosts=reports(c=STANDBY))
    state = replace(agent_of("c", seen), leads_under=5, leads_since=NOW - 60 * SECOND)
    assert not turn(state, TimePassed(), NOW)[1]
    assert "db" in leading.lead(state, NOW).withheld


def test_a_mere_beat_changes_nothing_but_that_its_sender_was_heard() -> None:
    state = agent_of("b", view(to="a"))
    state, _ = turn(state, BeatHeard(beat("a", STANDBY), NOW), NOW)
    state, _ = turn(state, TimePassed(), NOW)
    later = NOW + 100 * MILLISECOND
    mere = Beat("a", "a.1", 2, {"b": Heard("b.1", 1, 0)}, report_number=2)
    after, orders = turn(state, BeatHeard(mere, later), later)
    assert not orders
    assert after.peers["a"].heard_at == later
    assert replace(after, peers=state.peers) == state


def test_a_held_lease_counts_as_over_a_moment_before_its_end() -> None:
    state = agent_of("b", view(to="a"))
    state = state.with_held("db", HeldLease("b", 1, 1, NOW + SECOND))
    early = leasing.acts_before(state)
    assert early > 0
    assert leasing.entitlements(state, NOW + SECOND - early - 1)
    assert not leasing.entitlements(state, NOW + SECOND - early)
    assert leasing.deadlines(state)["db"] == NOW + SECOND
