"""Who is read from, and who waits for whose sessions to end: tables of the core, on a service of one host of three."""

from collections.abc import Mapping

import pytest

from holdfast.failover import cutting
from holdfast.failover.obeying import obey_lease
from holdfast.failover.reading import wanted_readers, why_unread
from holdfast.failover.routing import wanted_routing, with_readers
from holdfast.loop import observe_process
from holdfast.model.cluster import Entitlement, MemberReport
from holdfast.model.decisions import Promote
from holdfast.model.events import MemberTraffic
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import (
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Protocol,
    Purpose,
    ServicePolicy,
    TrafficPolicy,
)
from holdfast.model.reading import PrimaryReads, ReadingCheck, ReadPolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.standing import Role, Status
from holdfast.model.state import (
    ComponentState,
    Drain,
    ProbeState,
    ProcessAbsent,
    ProcessRunning,
    ServiceState,
    State,
)
from holdfast.model.time import SECOND
from holdfast.model.value import replace

IN, DRAIN, DOWN, OUT = Lane.IN, Lane.DRAIN, Lane.DOWN, Lane.OUT
NOW = 100 * SECOND
FRESH = ProbeState(passed=True)
STALE = ProbeState(passed=False)
PROBE = ProbePolicy("reading", Purpose.READING, ReadingCheck(), fall=2)
RUN = ProcessSpec(("serve",), promote=("promote",), demote=("demote",))


def service(rules: ReadPolicy | None = None) -> ServicePolicy:
    traffic = TrafficPolicy("127.0.0.1", 5432, Protocol.TCP, read_only=rules or ReadPolicy("127.0.0.1", 5433))
    a, b, c = (MemberPolicy(name, RUN, (PROBE,), port=5432) for name in "abc")
    return ServicePolicy("db", Mode.ACTIVE_STANDBY, (a,), traffic=traffic, is_leased=True, elsewhere=(b, c))


HERE = ComponentState("db/a", ProcessRunning("1:1", 0), Status.UP, probes={"reading": FRESH})
THERE = MemberReport(Status.UP, unread="")
PRIMARY = MemberReport(Status.UP, Role.PRIMARY, epoch=5, lane=IN, unread="it is primary")


def state(
    here: ComponentState = HERE,
    b: MemberReport | None = PRIMARY,
    c: MemberReport | None = THERE,
    rules: ReadPolicy | None = None,
) -> State:
    others = {f"db/{name}": report for name, report in (("b", b), ("c", c)) if report is not None}
    return State(
        Policy("shop", {"db": service(rules)}),
        components={"db/a": here},
        services={"db": ServiceState("db")},
        entitlements={},
        elsewhere=others,
    )


def readers(now: State) -> Mapping[str, Lane]:
    policy = now.policy.services["db"]
    return wanted_readers(now, policy, wanted_routing(now, policy, NOW)[0].lanes, NOW)


def test_standbys_that_say_they_may_be_are_read_from_and_the_primary_is_not() -> None:
    assert readers(state()) == {"a": IN, "b": DRAIN, "c": IN}


@pytest.mark.parametrize(
    ("here", "lane"),
    [
        (replace(HERE, probes={"reading": STALE}), DRAIN),
        (replace(HERE, probes={}), DRAIN),  # what is not known is not read from
        (replace(HERE, status=Status.SUSPECT), IN),
        (replace(HERE, status=Status.DOWN), OUT),
        (replace(HERE, status=Status.UNKNOWN), OUT),
        (replace(HERE, process=ProcessAbsent(0)), OUT),
        (replace(HERE, process=ProcessRunning("1:1", 0, stopped_since=1)), OUT),
        (replace(HERE, status=Status.DRAINING, drain=Drain("me", "", 0)), DRAIN),
        (replace(HERE, held_until=NOW + 1), DRAIN),
        (replace(HERE, role=Role.PROMOTING), DRAIN),
    ],
)
def test_a_member_here_is_read_from_as_it_stands(here: ComponentState, lane: Lane) -> None:
    assert readers(state(here))["a"] is lane


@pytest.mark.parametrize(
    ("report", "lane"),
    [
        (None, OUT),
        (MemberReport(Status.UP), DRAIN),  # an older holdfast, which does not tell
        (replace(THERE, unread="its probe reading has failed"), DRAIN),
        (replace(THERE, status=Status.DOWN), OUT),  # its host is silent
        (replace(THERE, status=Status.DRAINING, unread="drained by an operator"), DRAIN),
        (replace(THERE, status=Status.UNKNOWN), IN),  # its agent has just started, and it was read before
        (MemberReport(Status.UNKNOWN), OUT),
    ],
)
def test_a_member_elsewhere_is_read_from_as_its_host_says(report: MemberReport | None, lane: Lane) -> None:
    assert readers(state(c=report))["c"] is lane


def test_who_is_too_old_is_cut_where_the_file_says_so() -> None:
    rules = ReadPolicy("127.0.0.1", 5433, cut_stale=True)
    assert readers(state(replace(HERE, probes={"reading": STALE}), rules=rules)) == {
        "a": OUT,
        "b": OUT,
        "c": IN,
    }


@pytest.mark.parametrize(
    ("rule", "can_read", "lane"),
    [
        (PrimaryReads.LAST, True, DRAIN),
        (PrimaryReads.LAST, False, IN),
        (PrimaryReads.NEVER, False, DRAIN),
        (PrimaryReads.ALWAYS, True, IN),
    ],
)
def test_the_primary_is_read_from_as_the_file_says(rule: PrimaryReads, can_read: bool, lane: Lane) -> None:
    rules = ReadPolicy("127.0.0.1", 5433, primary=rule)
    standby = THERE if can_read else replace(THERE, unread="it lags")
    here = HERE if can_read else replace(HERE, probes={"reading": STALE})
    assert readers(state(here, c=standby, rules=rules))["b"] is lane


@pytest.mark.parametrize("rule", PrimaryReads)
def test_a_primary_that_is_cut_off_is_cut_off_from_those_who_read_too(rule: PrimaryReads) -> None:
    rules = ReadPolicy("127.0.0.1", 5433, primary=rule)
    assert readers(state(b=replace(PRIMARY, lane=OUT), rules=rules))["b"] is OUT


def test_an_agent_that_starts_goes_on_with_whom_an_earlier_one_had_read_from() -> None:
    adopted = replace(HERE, process=ProcessRunning("1:1", 0, adopted=True), status=Status.UNKNOWN, probes={})
    fresh = state(adopted)
    assert readers(fresh)["a"] is OUT
    seen = replace(fresh.services["db"], seen_readers={"a": MemberTraffic(IN, 3, is_up=True)})
    before = fresh.with_service(seen)
    policy = before.policy.services["db"]
    assert readers(before)["a"] is IN
    assert not why_unread(before, policy, adopted, NOW)
    up = replace(adopted, status=Status.UP)
    assert not why_unread(before, policy, up, NOW)
    assert why_unread(before, policy, replace(up, probes={"reading": STALE}), NOW)


def test_a_program_that_does_not_know_how_old_its_member_is_counts_against_it() -> None:
    unknown = Observation(Outcome.UNKNOWN, Layer.PROGRAM, Failure.EXIT_CODE, 0, NOW)
    once = observe_process.counted(FRESH, PROBE, unknown)
    assert once.passed is True
    assert observe_process.counted(once, PROBE, unknown).passed is False
    liveness = replace(PROBE, purpose=Purpose.LIVENESS)
    assert observe_process.counted(FRESH, liveness, unknown).passed is True


# --- cutting first ------------------------------------------------------------------------------------


def entitled(**more: object) -> State:
    """Return the state of a host that has just taken the lease: reports still say that `b` is primary."""
    held = replace(state(), entitlements={"db": Entitlement("a", 6)})
    routed = Routing("b", {"a": OUT, "b": IN, "c": OUT}, {"a": IN, "b": DRAIN, "c": IN})
    return held.with_service(replace(held.services["db"], routed=routed, **more))


def promotes(now: State) -> bool:
    return any(
        isinstance(each, Promote) for each in obey_lease(now, now.policy.services["db"], NOW).decisions
    )


def told(now: State) -> State:
    policy = now.policy.services["db"]
    routing = with_readers(wanted_routing(now, policy, NOW)[0], now, policy, NOW)
    return now.with_service(replace(now.services["db"], routed=routing))


def test_who_holds_the_lease_reaches_nobody_elsewhere_whatever_reports_say() -> None:
    now = entitled()
    routing = told(now).services["db"].routed
    assert routing is not None
    assert routing.lanes == {"a": OUT, "b": OUT, "c": OUT}
    assert routing.readers["b"] is OUT


def test_a_promotion_waits_until_the_old_primarys_sessions_are_confirmed_to_be_over() -> None:
    now = entitled()
    (withheld,) = obey_lease(now, now.policy.services["db"], NOW).withheld
    assert (withheld.rule, promotes(now)) == ("uncut", False)
    assert "nobody reaches b" in withheld.why
    assert promotes(told(now))


def test_sessions_of_those_who_read_count_as_well() -> None:
    now = told(entitled())
    routed = now.services["db"].routed
    assert routed is not None
    kept = replace(routed, readers={**routed.readers, "b": DRAIN})
    assert not promotes(now.with_service(replace(now.services["db"], routed=kept)))


def test_what_the_balancer_does_is_asked_for_before_a_promotion() -> None:
    assert not promotes(entitled().with_service(ServiceState("db")))


def test_a_balancer_that_fails_holds_no_promotion_up() -> None:
    assert promotes(entitled(route_failures=1))


def test_where_standbys_may_serve_anyway_nothing_is_waited_for() -> None:
    now = entitled()
    plain = now.policy.services["db"]
    bare = tuple(replace(m, run=ProcessSpec(("serve",))) for m in plain.everywhere)
    policy = replace(plain, members=bare[:1], elsewhere=bare[1:])
    assert cutting.uncut(now, policy, "a", NOW) == ()
