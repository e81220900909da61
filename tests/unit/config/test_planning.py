"""What a new file would change, in the order in which it would happen."""

import pytest

from holdfast.config import plan
from holdfast.model.policy import Policy, ServicePolicy
from holdfast.model.value import replace
from tests.unit.config.worlds import load

BEFORE = """
system: shop
services:
  web:
    mode: active-active
    members: 2
    port: 8081+
    run: { command: [srv, "{port}"], env: { A: 1, TOKEN: zqxwkj } }
    probes: { alive: { http: / } }
    depends_on: [db]
    traffic: { listen: 8080 }
  db: { run: postgres }
"""


def changes(old: str | None, new: str) -> list[str]:
    found = plan(load(old) if old else None, load(new)).changes
    return [f"{change.kind} {change.subject} {','.join(change.fields)}".strip() for change in found]


def test_nothing_changes_when_the_file_says_the_same() -> None:
    assert changes(BEFORE, BEFORE.replace("{ run: postgres }", "\n    run: [postgres] # the same")) == []


def test_at_first_everything_is_added_dependencies_first() -> None:
    assert changes(None, BEFORE) == [
        "added db/db-1",
        "added web/web-1",
        "added web/web-2",
        "rerouted web traffic",
    ]


def test_what_is_gone_ends_first_dependents_before_what_they_depend_on() -> None:
    after = "system: shop\nservices: { new: { run: x } }\n"
    assert changes(BEFORE, after) == [
        "removed web/web-2",
        "removed web/web-1",
        "removed db/db-1",
        "added new/new-1",
    ]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("run: postgres", "run: postgres -x", ["restarted db/db-1 command"]),
        (
            "A: 1, TOKEN: zqxwkj",
            "B: 1, TOKEN: secret",
            ["restarted web/web-1 env.A,env.B,env.TOKEN", "restarted web/web-2 env.A,env.B,env.TOKEN"],
        ),
        ("http: /", "http: /x", ["reprobed web/web-1 probes.alive", "reprobed web/web-2 probes.alive"]),
        ("listen: 8080", "listen: 8090", ["rerouted web traffic.listen_port"]),
        ("    traffic: { listen: 8080 }\n", "", ["rerouted web traffic"]),
        ("mode: active-active", "mode: active-standby", ["adjusted web mode"]),
        (
            "run: postgres }",
            "run: postgres, restart: { max: 3 }, flapping: { hold: 1s } }",
            ["adjusted db restart.max,flapping.hold"],
        ),
        (
            "run: postgres }",
            "run: { command: postgres, stop: { grace: 1s } } }",
            ["adjusted db/db-1 run.stop.grace"],
        ),
        ("system: shop", "system: shop\nthreshold: 0.4", ["adjusted shop threshold"]),
        ("system: shop", "system: shop\nhaproxy: { stats: 8404 }", ["rerouted haproxy stats"]),
        ("system: shop", "system: market", ["adjusted market system"]),
        (
            "port: 8081+",
            "port: 8091+",
            [
                "restarted web/web-1 command",
                "rerouted web/web-1 port",
                "reprobed web/web-1 probes.alive",
                "restarted web/web-2 command",
                "rerouted web/web-2 port",
                "reprobed web/web-2 probes.alive",
            ],
        ),
    ],
)
def test_each_difference_is_a_change_of_its_kind(old: str, new: str, wanted: list[str]) -> None:
    assert changes(BEFORE, BEFORE.replace(old, new)) == wanted


def test_the_text_of_a_plan_shows_no_value_of_a_variable() -> None:
    after = BEFORE.replace("zqxwkj", "vbnmty")
    texts = [change.text for change in plan(load(BEFORE), load(after)).changes]
    assert texts[0] == "web/web-1 is restarted: env.TOKEN changed"
    assert not [text for text in texts if "zqxwkj" in text or "vbnmty" in text]


def test_holdfasts_own_services_are_no_part_of_a_plan() -> None:
    policy = load(BEFORE)
    builtin = ServicePolicy(
        "haproxy", policy.services["db"].mode, policy.services["db"].members, is_builtin=True
    )
    running: Policy = replace(policy, services={**policy.services, "haproxy": builtin})
    assert plan(running, policy).changes == plan(policy, running).changes == ()
    assert plan(None, running).weaknesses == plan(None, policy).weaknesses
