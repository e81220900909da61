"""A balancer that refuses is asked again, more and more rarely, and at once when it comes back."""

from holdfast.loop import observe_finished, observe_traffic
from holdfast.model.decisions import Route
from holdfast.model.events import Ending, Finished, MemberTraffic, TrafficSeen
from holdfast.model.policy import Policy
from holdfast.model.routing import Lane, Routing
from holdfast.model.state import InFlight, ServiceState, State
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.model.value import replace

ROUTE = Route("web", Routing(None, {"a": Lane.IN}), "it is up")


def refused(state: State, now: Instant) -> State:
    flight = InFlight(1, "route", now, now + SECOND)
    service = replace(state.services["web"], flight=flight, routing=ROUTE.routing)
    state = replace(state.with_service(service), flights={1: "web"})
    return observe_finished.finished(state, Finished(1, Ending.FAILED, "entry not found"), now)


def test_a_route_that_is_refused_again_and_again_waits_longer_each_time() -> None:
    state = State(Policy("shop", {}), services={"web": ServiceState("web")})
    waits = []
    for number in range(8):
        now = number * 60 * SECOND
        state = refused(state, now)
        waits.append(state.services["web"].not_before - now)
    assert waits[:3] == [200 * MILLISECOND, 400 * MILLISECOND, 800 * MILLISECOND]
    assert waits[-1] == 5 * SECOND


def test_a_balancer_that_answers_again_is_told_at_once() -> None:
    state = refused(State(Policy("shop", {}), services={"web": ServiceState("web")}), SECOND)
    seen = TrafficSeen(2 * SECOND, "web", None, {"a": MemberTraffic(Lane.IN, 0, is_up=True)})
    service = observe_traffic.seen(state, seen).services["web"]
    assert (service.not_before, service.route_failures) == (0, 0)
