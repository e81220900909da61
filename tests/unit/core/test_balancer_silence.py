"""A balancer that runs and does not answer is hung; one unanswered look is not enough to say so."""

import pytest

from holdfast.detect.judging import judge
from holdfast.loop.observe import observe
from holdfast.model.duty import LOOKS_IN_SILENCE, SILENT_FOR, has_left
from holdfast.model.events import Ending, Finished, MemberTraffic, TrafficLost, TrafficSeen
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProcessSpec, ServicePolicy, TrafficPolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.standing import Status
from holdfast.model.state import InFlight, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import SECOND, Instant
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import policy, running

AT = 100 * SECOND


def carried() -> State:
    """Return a state in which `web` has traffic through our balancer, which runs and was seen."""
    web = replace(policy().services["web"], traffic=TrafficPolicy("127.0.0.1", 80))
    member = MemberPolicy("haproxy", ProcessSpec(("haproxy",)))
    balancer = ServicePolicy("haproxy", Mode.SINGLETON, (member,), is_builtin=True)
    state = running(Policy("shop", {"haproxy": balancer, "web": web}))
    state = state.with_service(replace(state.services["web"], flight=None))
    seen = {name: MemberTraffic(Lane.IN, 0, is_up=True) for name in ("web-1", "web-2")}
    return observe(state, TrafficSeen(AT - 1, "web", None, seen), AT - 1)


def status(state: State, now: Instant) -> Status:
    return judge(state, state.components["haproxy/haproxy"], now).status


def silent(state: State, looks: int, since: Instant = AT) -> State:
    for number in range(looks):
        at = since + number * SECOND
        state = observe(state, TrafficLost(at, "it does not answer"), at)
    return state


def test_a_balancer_that_leaves_every_look_unanswered_is_down() -> None:
    state = silent(carried(), LOOKS_IN_SILENCE)
    assert status(state, AT + SILENT_FOR - 1) is not Status.DOWN
    assert status(state, AT + SILENT_FOR) is Status.DOWN


@pytest.mark.parametrize("looks", range(LOOKS_IN_SILENCE))
def test_a_long_pause_of_ours_is_not_its_silence(looks: int) -> None:
    assert status(silent(carried(), looks), AT + 3600 * SECOND) is not Status.DOWN


def test_one_answer_ends_the_silence() -> None:
    state = silent(carried(), LOOKS_IN_SILENCE)
    state = observe(state, TrafficSeen(AT + 4 * SECOND, "web", None, {}), AT + 4 * SECOND)
    state = silent(state, 1, AT + 5 * SECOND)
    assert status(state, AT + 3600 * SECOND) is not Status.DOWN


def test_one_that_never_answered_in_this_life_has_the_time_of_a_start() -> None:
    state = carried()
    balancer = replace(state.components["haproxy/haproxy"], process=ProcessRunning("900:1", AT))
    state = silent(state.with_component(balancer), LOOKS_IN_SILENCE)
    grace = state.policy.services["haproxy"].restart.startup_grace
    assert status(state, AT + SILENT_FOR) is not Status.DOWN
    assert status(state, AT + grace) is Status.DOWN


def test_an_answer_of_its_last_life_says_nothing_of_this_one() -> None:
    state = carried()
    balancer = replace(state.components["haproxy/haproxy"], process=ProcessRunning("900:1", AT))
    state = state.with_component(balancer)
    assert observe(state, TrafficSeen(AT - 1, "web", None, {}), AT + 1).balancer_answered != "900:1"
    assert observe(state, TrafficSeen(AT + 1, "web", None, {}), AT + 1).balancer_answered == "900:1"


def test_a_confirmed_route_is_an_answer() -> None:
    state = carried()
    balancer = replace(state.components["haproxy/haproxy"], process=ProcessRunning("900:1", AT))
    told = InFlight(7, "route", AT + 1, AT + SECOND)
    state = state.with_component(balancer).with_service(replace(state.services["web"], flight=told))
    state = replace(state, flights={7: "web"})
    assert observe(state, Finished(7, Ending.FAILED, "no"), AT + 2).balancer_answered != "900:1"
    assert observe(state, Finished(7, Ending.DONE), AT + 2).balancer_answered == "900:1"


def test_one_that_does_not_run_is_not_silent() -> None:
    state = silent(carried(), LOOKS_IN_SILENCE)
    balancer = replace(state.components["haproxy/haproxy"], process=ProcessAbsent(AT))
    state = silent(state.with_component(balancer), 1, AT + 3 * SECOND)
    assert state.balancer_silence is None


def test_sessions_counted_before_the_member_left_do_not_prove_that_it_is_empty() -> None:
    state = carried()
    told = Routing(None, {"web-1": Lane.DRAIN, "web-2": Lane.IN})
    state = state.with_service(replace(state.services["web"], routed=told, routed_at=AT, flight=None))
    member = state.components["web/web-1"]
    assert not has_left(state, member)
    drained = {**state.services["web"].seen, "web-1": MemberTraffic(Lane.DRAIN, 0, is_up=True)}
    assert has_left(observe(state, TrafficSeen(AT + 1, "web", None, drained), AT + 1), member)
