"""The status screen, its one-line form, and the verdict behind the exit code."""

import pytest

from holdfast.cli.painting import Paint
from holdfast.cli.rendering_status import nagios_code, nagios_text, status_text
from holdfast.cli.standing import Verdict, standing_of
from holdfast.model.policy import Mode, TrafficPolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import Drain, InFlight, Pause, State
from holdfast.model.time import MINUTE, SECOND
from holdfast.model.value import replace
from tests.unit.cli import worlds
from tests.unit.cli.goldens import assert_golden


def screen(state: State, *, width: int = 80, is_coloured: bool = False) -> str:
    standing = standing_of(state, worlds.NOW, worlds.CLOCK)
    return status_text(standing, Paint(is_coloured=is_coloured, width=width))


def verdict(state: State) -> Verdict:
    return standing_of(state, worlds.NOW, worlds.CLOCK).verdict


def paused() -> State:
    pause = Pause("ann", "kernel update", worlds.NOW, worlds.NOW + 30 * MINUTE)
    return replace(worlds.hurt(), pause=pause)


def with_traffic(state: State) -> State:
    web = replace(state.policy.services["web"], traffic=TrafficPolicy("127.0.0.1", 8080))
    return replace(state, policy=replace(state.policy, services={"web": web}))


def drifting() -> State:
    state = with_traffic(worlds.calm())
    seen = worlds.traffic("web-1", web_1=Lane.IN, web_2=Lane.OUT)
    return state.with_service(replace(state.services["web"], seen=seen))


def draining() -> State:
    state = worlds.calm()
    drain = Drain("ann", "disk swap", worlds.NOW - MINUTE)
    flight = InFlight(12, "demote", worlds.NOW, worlds.NOW + SECOND)
    first = replace(state.components["web/web-1"], status=Status.DRAINING, drain=drain, flight=flight)
    return state.with_component(first)


def alike() -> State:
    """Return an active-active service, whose members have no roles."""
    state = replace(worlds.calm(), policy=worlds.policy(worlds.web_policy(Mode.ACTIVE_ACTIVE)))
    return state.with_component(replace(state.components["web/web-1"], role=Role.STANDBY))


@pytest.mark.parametrize(
    ("name", "state", "width"),
    [
        ("calm", worlds.calm(), 80),
        ("hurt", worlds.hurt(), 80),
        ("hurt-wide", worlds.hurt(), 140),
        ("paused", paused(), 80),
        ("drifting", drifting(), 80),
        ("draining", draining(), 80),
        ("active-active", alike(), 80),
        ("empty", State(policy=worlds.policy()), 80),
    ],
)
def test_the_screen_is(name: str, state: State, width: int) -> None:
    text = screen(state, width=width)
    assert_golden(f"status-{name}", text)
    assert max(map(len, text.splitlines())) <= width


def test_colour_adds_nothing_that_the_plain_screen_does_not_say() -> None:
    coloured = screen(worlds.hurt(), is_coloured=True)
    assert "\x1b[31m" in coloured
    for code in ("31", "32", "33", "2", "1", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == screen(worlds.hurt())


def test_output_of_a_component_cannot_steer_the_terminal() -> None:
    state = worlds.hurt()
    evil = replace(state.components["web/web-1"], reason="said \x1b[2J\x07 and\nHOLDFAST OK")
    text = screen(state.with_component(evil))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\nHOLDFAST OK" not in text


def test_all_well_is_ok() -> None:
    assert verdict(worlds.calm()) is Verdict.OK


def test_health_at_the_threshold_is_below_it() -> None:
    assert verdict(worlds.hurt()) is Verdict.BELOW_THRESHOLD


def test_one_service_at_its_threshold_is_not_hidden_by_a_healthy_system() -> None:
    assert verdict(replace(worlds.hurt(), health=0.95)) is Verdict.BELOW_THRESHOLD


def test_a_member_down_degrades_even_if_health_is_high() -> None:
    state = worlds.hurt()
    web = replace(state.services["web"], health=0.9)
    assert verdict(replace(state.with_service(web), health=0.9)) is Verdict.DEGRADED


def test_drift_degrades() -> None:
    assert verdict(drifting()) is Verdict.DEGRADED


def test_what_was_told_a_moment_ago_is_no_drift_before_it_could_be_read_back() -> None:
    state = drifting()
    fresh = replace(state.services["web"], routed_at=worlds.NOW - SECOND)
    assert "DRIFT" not in screen(state.with_service(fresh))


def test_a_drain_is_meant_and_does_not_degrade() -> None:
    assert verdict(draining()) is Verdict.OK


def test_a_drain_is_told_once() -> None:
    state = draining()
    first = replace(state.components["web/web-1"], reason="drained by ann: disk swap")
    assert screen(state.with_component(first)).count("drained by ann") == 1


def test_a_doubt_is_no_verdict_and_does_not_degrade() -> None:
    state = worlds.calm()
    doubted = replace(state.components["web/web-2"], status=Status.SUSPECT)
    assert verdict(state.with_component(doubted)) is Verdict.OK


def test_a_pause_that_has_run_out_is_not_shown() -> None:
    over = replace(worlds.calm(), pause=Pause("ann", "x", 0, worlds.NOW))
    assert "PAUSED" not in screen(over)


def test_balancer_in_line_with_what_is_wanted_is_no_drift() -> None:
    assert "DRIFT" not in screen(with_traffic(worlds.calm()))


@pytest.mark.parametrize(
    ("state", "code", "start"),
    [
        (worlds.calm(), 0, "HOLDFAST OK shop S 1.00 | health=1.000;;0.5;0;1 incidents=0"),
        (drifting(), 1, "HOLDFAST WARNING shop S 1.00 | "),
        (
            worlds.hurt(),
            2,
            "HOLDFAST CRITICAL shop S 0.50: web/web-1 down | health=0.500;;0.5;0;1 incidents=1",
        ),
        (paused(), 2, "HOLDFAST CRITICAL shop S 0.50 (paused): web/web-1 down | "),
    ],
)
def test_the_nagios_line_fits_its_exit_code(state: State, code: int, start: str) -> None:
    standing = standing_of(state, worlds.NOW, worlds.CLOCK)
    assert nagios_code(standing.verdict) == code
    assert nagios_text(standing).startswith(start)
    assert nagios_text(standing).count("\n") == 1
