"""Which commands are sent for which difference, and in which order."""

import pytest

from holdfast.model.policy import Mode, Protocol, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.value import replace
from holdfast.traffic.standing import Server
from holdfast.traffic.steering import commands, letting_go
from tests.unit.traffic.policies import cache, web

IN, DRAIN, DOWN, OUT = Lane.IN, Lane.DRAIN, Lane.DOWN, Lane.OUT
UP = Server(IN, is_up=True, sessions=0)
BUSY = Server(IN, is_up=True, sessions=3)
FALLEN = Server(IN, is_up=False, sessions=0)
DRAINED = Server(DRAIN, is_up=True, sessions=0)
MAINTAINED = Server(OUT, is_up=False, sessions=0)


def sent(service: ServicePolicy, wanted: Routing, *servers: Server, word: str | None = None) -> list[str]:
    standing = dict(zip((m.name for m in service.members), servers, strict=True))
    return [
        c.replace("set server ", "").replace("set map active.map ", "map ")
        for c in commands(service, wanted, standing, word)
    ]


def of_cache(active: str | None, first: Lane, second: Lane) -> Routing:
    return Routing(active, {"cache-1": first, "cache-2": second})


def of_web(first: Lane, second: Lane) -> Routing:
    return Routing(None, {"web-1": first, "web-2": second})


def test_nothing_is_sent_when_all_is_as_wanted() -> None:
    assert sent(cache(), of_cache("cache-1", IN, IN), UP, UP, word="cache-1") == []
    assert sent(web(), of_web(IN, DRAIN), UP, DRAINED) == []
    assert sent(web(), of_web(IN, OUT), UP, MAINTAINED) == []


def test_an_entry_that_is_not_in_the_map_is_added() -> None:
    wanted = of_cache("cache-1", IN, IN)
    assert sent(cache(), wanted, UP, UP, word=None) == ["add map active.map cache cache-1"]


def test_failing_over_cuts_the_old_before_the_new_is_named() -> None:
    assert sent(cache(), of_cache("cache-2", OUT, IN), BUSY, UP, word="cache-1") == [
        "cache/cache-1 state maint",
        "map cache cache-2",
    ]


def test_the_next_one_is_let_in_first_while_the_map_still_steers_to_one_that_is_usable() -> None:
    wanted = of_cache("cache-2", OUT, IN)
    raised = ["cache/cache-2 state ready", "cache/cache-2 health up"]
    cut = ["cache/cache-1 state maint"]
    turned = ["map cache cache-2"]
    assert sent(cache(), wanted, BUSY, MAINTAINED, word="cache-1") == raised + cut + turned
    assert sent(cache(), wanted, BUSY, MAINTAINED, word="~cache-1") == cut + raised + turned
    draining = replace(BUSY, admin=DRAIN)
    assert sent(cache(), wanted, draining, MAINTAINED, word="cache-1") == cut + raised + turned


def test_a_planned_switchover_names_the_new_before_the_old_drains() -> None:
    assert sent(cache(), of_cache("cache-2", DRAIN, IN), BUSY, UP, word="cache-1") == [
        "map cache cache-2",
        "cache/cache-1 state drain",
    ]


def test_a_draining_active_member_is_parked_because_use_server_does_not_look_at_drain() -> None:
    assert sent(cache(), of_cache("cache-1", DRAIN, IN), UP, UP, word="cache-1") == [
        "map cache ~cache-1",
        "cache/cache-1 state drain",
    ]


def test_the_one_that_shall_serve_is_let_in_at_once_and_a_standby_by_its_checks() -> None:
    assert sent(cache(), of_cache("cache-1", IN, IN), MAINTAINED, MAINTAINED, word="cache-1") == [
        "cache/cache-1 state ready",
        "cache/cache-1 health up",
        "cache/cache-2 state ready;set server cache/cache-2 health down".replace("set server ", ""),
    ]


def test_of_equals_all_are_let_in_at_once_only_if_there_is_none() -> None:
    assert sent(web(), of_web(IN, IN), FALLEN, MAINTAINED) == [
        "web/web-1 state ready",
        "web/web-1 health up",
        "web/web-2 state ready",
        "web/web-2 health up",
    ]
    assert sent(web(), of_web(IN, IN), FALLEN, UP) == []
    assert sent(web(), of_web(IN, IN), DRAINED, UP) == ["web/web-1 state ready"]


def test_of_equals_whoever_comes_comes_before_whoever_goes() -> None:
    assert sent(web(), of_web(OUT, IN), UP, DRAINED) == [
        "web/web-2 state ready",
        "web/web-2 health up",
        "web/web-1 state maint",
    ]


@pytest.mark.parametrize("server", [MAINTAINED, DRAINED])
def test_down_is_reached_from_every_state_so_that_it_can_heal(server: Server) -> None:
    assert sent(web(), of_web(DOWN, IN), server, UP) == ["web/web-1 state ready;web/web-1 health down"]


def test_down_is_pushed_again_because_the_checks_may_be_about_to_raise_it() -> None:
    assert sent(web(), of_web(DOWN, IN), FALLEN, UP) == ["web/web-1 health down"]


def test_sessions_of_an_equal_that_is_down_are_left_to_the_configuration() -> None:
    assert sent(web(), of_web(DOWN, IN), BUSY, UP) == ["web/web-1 health down"]


def test_sessions_are_ended_by_command_only_where_going_down_does_not_end_them() -> None:
    end = "shutdown sessions server cache/cache-1"
    held_since = replace(BUSY, is_up=False)
    assert end not in sent(cache(), of_cache("cache-2", OUT, IN), BUSY, UP, word="cache-2")
    assert end in sent(cache(), of_cache("cache-2", OUT, IN), held_since, UP, word="cache-2")
    traffic = web().traffic
    assert traffic is not None
    tcp = replace(web(), traffic=replace(traffic, protocol=Protocol.TCP))
    assert sent(tcp, of_web(OUT, IN), BUSY, UP)[-1] == "shutdown sessions server web/web-1"


def test_letting_go_leaves_only_the_active_member_of_a_singleton() -> None:
    single = replace(cache(), mode=Mode.SINGLETON)
    servers = {"cache-1": MAINTAINED, "cache-2": MAINTAINED}
    back = "set server cache/cache-2 state ready;set server cache/cache-2 health down"
    assert letting_go(single, servers, "cache-2") == (back,)
    assert letting_go(single, servers, None) == ()
    assert len(letting_go(cache(), servers, "cache-2")) == 2
    assert letting_go(cache(), {"cache-1": UP, "cache-2": FALLEN}, "cache-2") == ()
