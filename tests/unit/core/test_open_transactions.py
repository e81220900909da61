"""How long open transactions may take in one planned switchover: from the operator's wish to whoever gives its role up."""

import msgspec

from holdfast.config import load_text
from holdfast.failover.leaving import take_role
from holdfast.loop.cluster import leasing
from holdfast.loop.cluster.commands import why_none_open
from holdfast.loop.cluster.state import ClusterState, HeldLease
from holdfast.loop.cluster.turn import turn
from holdfast.loop.commit import LATE_BY
from holdfast.loop.reconcile import reconcile
from holdfast.model.cluster import Assignment, ClusterView, Entitlement, OperatorWish
from holdfast.model.cluster_events import Assign, BeatHeard, Order, TimePassed, ViewSeen
from holdfast.model.decisions import Demote
from holdfast.model.events import Entitled
from holdfast.model.standing import Role
from holdfast.model.time import MINUTE, SECOND
from holdfast.model.value import replace
from tests.unit.core import test_reading as one_host
from tests.unit.core.test_cluster_doubts import NOW, PRIMARY, STANDBY, agent_of, beat, view

HALF = 30 * SECOND
FILE = """
system: shop
cluster: { coordinator: "etcd://10.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 10.0.0.1 }, h2: { address: 10.0.0.2 } }
services:
  web: { mode: active-standby, members: { a: { on: h1 }, b: { on: h2 } }, run: [sleep, inf] }
  db:
    mode: active-standby
    members: { a: { on: h1, port: 5432 }, b: { on: h2, port: 5432 } }
    run: { postgresql: { data: /srv/pg, programs: /bin } }
"""
FOLLOWS = "follows: { host: 192.0.2.1, user: rep, password: { file: /etc/holdfast/outside } }"


def asked_for(open_within: int | None) -> ClusterView:
    """Return what is seen when `a` serves and somebody wants `b` to."""
    wish = OperatorWish("db", "b", "ann", id="1", open_within=open_within)
    return replace(view(holder="a", last="a", epoch=1, to="a"), wishes={"db": wish})


def led(seen: ClusterView) -> tuple[Order, ...]:
    """Return what the leader orders then."""
    state = agent_of("c", seen)
    for host, report in (("a", PRIMARY), ("b", STANDBY)):
        state, _ = turn(state, BeatHeard(beat(host, report), NOW), NOW)
    state = replace(state, leads_under=5, leads_since=NOW - MINUTE)
    return turn(state, TimePassed(), NOW)[1]


def assigned(seen: ClusterView) -> Assignment:
    (order,) = [order for order in led(seen) if isinstance(order, Assign)]
    return order.assignment


def leaving(assignment: Assignment) -> ClusterState:
    """Return how its holder `a` is once it has seen the assignment."""
    state = agent_of("a", view(holder="a", last="a", epoch=1, to="a"))
    state = state.with_held("db", HeldLease("a", 1, 1, NOW + 10 * SECOND))
    seen = replace(
        view(holder="a", last="a", epoch=1), assignments={"db": replace(assignment, leader_epoch=5)}
    )
    return turn(state, ViewSeen(seen), NOW)[0]


# --- from the wish to the holder of the lease --------------------------------------------------------------


def test_the_leader_writes_it_beside_who_takes_over() -> None:
    found = assigned(asked_for(HALF))
    assert (found.holder, found.open_within) == ("b", HALF)
    assert found.why == "planned switchover; open transactions get 30s"
    assert assigned(asked_for(0)).why == "planned switchover; open transactions are ended at once"


def test_nothing_is_said_of_it_where_nobody_asked() -> None:
    found = assigned(asked_for(None))
    assert (found.holder, found.open_within, found.why) == ("b", None, "planned switchover")


def test_it_is_written_once() -> None:
    seen = asked_for(HALF)
    assert not led(replace(seen, assignments={"db": assigned(seen)}))


def test_who_was_told_to_leave_by_a_leader_that_does_not_know_it_is_told_again() -> None:
    seen = asked_for(HALF)
    earlier = replace(assigned(seen), open_within=None)
    assert assigned(replace(seen, assignments={"db": earlier})).open_within == HALF


def test_the_holder_of_the_lease_is_told_when_it_has_to_leave() -> None:
    told = leasing.entitlements(leaving(assigned(asked_for(HALF))), NOW)["db"]
    assert told == Entitlement("a", 1, is_ending=True, open_within=HALF)


def test_what_was_asked_of_an_earlier_move_does_not_count_for_who_took_over_by_it() -> None:
    earlier = replace(assigned(asked_for(HALF)), holder="a", host="a")
    state = leaving(earlier)
    assert leasing.entitlements(state, NOW)["db"] == Entitlement("a", 1)
    state, _ = turn(replace(state, is_leaving=True), TimePassed(), NOW)
    told = leasing.entitlements(state, NOW)["db"]
    assert told == Entitlement("a", 1, is_ending=True)


# --- from the lease to the decision ------------------------------------------------------------------------


def test_the_demotion_has_it_and_that_much_more_time() -> None:
    here = replace(one_host.HERE, role=Role.PRIMARY)
    known = replace(one_host.state(here), entitlements={"db": Entitlement("a", 6)})
    at = one_host.NOW

    def demoted(open_within: int | None) -> tuple[Demote, int]:
        ending = Entitled({"db": Entitlement("a", 6, is_ending=True, open_within=open_within)})
        after, decisions = reconcile(known, ending, at)
        (decision,) = [decision for decision in decisions if isinstance(decision, Demote)]
        flight = after.components["db/a"].flight
        assert flight is not None
        return decision, flight.deadline - at

    as_the_file_says, usual = demoted(None)
    assert as_the_file_says.open_within is None
    assert usual >= LATE_BY
    asked, longer = demoted(HALF)
    assert asked.open_within == HALF
    assert longer == usual + HALF


def test_a_role_that_is_taken_for_another_reason_is_taken_as_the_file_says() -> None:
    here = replace(one_host.HERE, role=Role.PROMOTING)
    known = replace(one_host.state(here), entitlements={"db": Entitlement("a", 6)})
    assert take_role(known, here, "its promotion did not come to an end", one_host.NOW).decisions == (
        Demote("db/a", "its promotion did not come to an end"),
    )


# --- other versions, other services ------------------------------------------------------------------------


def test_what_an_earlier_version_wrote_is_read_as_not_asked_for() -> None:
    wish = b'{"service": "db", "to": "b", "by": "ann", "why": "", "id": "1"}'
    assert msgspec.json.decode(wish, type=OperatorWish).open_within is None
    demote = b'{"is": "Demote", "component": "db/a", "why": "w", "incident": null, "id": 3}'
    assert msgspec.json.decode(demote, type=Demote) == Demote("db/a", "w", id=3)


def test_it_means_something_for_a_primary_of_postgresql_only() -> None:
    services = load_text(FILE).services
    assert not why_none_open(services["db"])
    assert why_none_open(services["web"]).startswith("web is not PostgreSQL")
    following = load_text(FILE.replace("programs: /bin", f"programs: /bin, {FOLLOWS}")).services
    assert why_none_open(following["db"]).startswith("db follows 192.0.2.1:5432")
