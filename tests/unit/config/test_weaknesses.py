"""What a valid file leaves weak."""

import pytest

from holdfast.config import Weakness, WeaknessCode, plan
from tests.unit.config.worlds import load, service

TWO = "mode: active-active\nmembers: 2\nport: 8081+\nrun: srv {port}\n"
PROBED = "probes: { a: { http: / } }\n"


def found(lines: str) -> dict[WeaknessCode, Weakness]:
    return {w.code: w for w in plan(None, service(lines)).weaknesses if w.code is not WeaknessCode.ONE_HOST}


def test_two_probed_members_are_weak_only_in_that_they_share_a_host() -> None:
    (weakness,) = plan(None, service(TWO + PROBED)).weaknesses
    assert (weakness.code, weakness.subject) == (WeaknessCode.ONE_HOST, "shop")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("run: srv\nport: 1\n" + PROBED, WeaknessCode.ONE_MEMBER),
        (TWO, WeaknessCode.NO_PROBES),
        (TWO + "probes: { a: { http: /, purpose: readiness } }", WeaknessCode.NO_LIVENESS),
        (TWO + "probes: { a: { tcp: '{port}' } }\ntraffic: { listen: 80 }", WeaknessCode.NO_HTTP_PROBE),
        (
            TWO.replace("active-active", "active-standby")
            + PROBED
            + "traffic: { listen: 80, read_only: { listen: 81 } }",
            WeaknessCode.NO_READING_PROBE,
        ),
        (TWO.replace("{port}", "x") + PROBED, WeaknessCode.SAME_COMMAND),
        (TWO + "probes: { a: { http: /, every: 1m } }", WeaknessCode.SLOW_DETECTION),
        (TWO + PROBED + "restart: { backoff: 15s, max: 5 }", WeaknessCode.BUDGET_NEVER_SPENT),
        (TWO + PROBED + "restart: { max: 0 }", WeaknessCode.NO_RESTARTS),
        (TWO + PROBED + "threshold: 1", WeaknessCode.THRESHOLD_TOO_HIGH),
        (
            TWO.replace("active-active", "active-standby").replace("run: srv {port}", "")
            + PROBED
            + "run: { command: 'srv {port}', stop: { grace: 1m } }",
            WeaknessCode.SLOW_STOP,
        ),
    ],
)
def test_each_weakness_is_found_alone_and_says_what_would_help(lines: str, code: WeaknessCode) -> None:
    weak = found(lines)
    assert set(weak) == {code}
    assert weak[code].subject in weak[code].text
    assert weak[code].advice


def test_a_single_dependency_under_redundant_services_is_named_with_them() -> None:
    policy = load("""
        system: shop
        services:
          db: { run: postgres, port: 5432, probes: { a: { tcp: 5432 } } }
          app: { mode: singleton, members: 2, run: app, depends_on: [db] }
          web: { mode: singleton, members: 2, run: web, depends_on: [app] }
    """)
    weak = [w for w in plan(None, policy).weaknesses if w.code is WeaknessCode.LONE_DEPENDENCY]
    assert [w.text for w in weak] == ["db has one member, and app and web cannot serve without it"]


def test_the_default_budget_can_be_spent() -> None:
    assert WeaknessCode.BUDGET_NEVER_SPENT not in found("run: srv")
