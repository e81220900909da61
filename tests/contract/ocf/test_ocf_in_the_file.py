"""The file names agents, and what is wrong with it is told by what the installed agents say of themselves."""

from textwrap import dedent, indent

import pytest

from holdfast.config import ConfigError
from holdfast.config.loading import load_text
from holdfast.config.planning import plan
from holdfast.model.digests import run_digest
from holdfast.model.policy import OcfAgent, Policy, SecretFrom
from holdfast.model.time import MINUTE, SECOND

ADDRESS = "run: { ocf: ocf:heartbeat:IPaddr2, parameters: { ip: 10.0.0.9 } }"


def read(lines: str) -> Policy:
    return load_text("system: shop\nservices:\n  web:\n" + indent(dedent(lines), "    "))


def problems(lines: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(lines)
    return [line.partition(": services.web.")[2] for line in str(caught.value).splitlines()]


def test_an_agent_with_its_parameters_and_times_is_read() -> None:
    policy = read("""\
        run:
          ocf: ocf:heartbeat:pgsql
          parameters: { pgport: 7000, config: "/etc/{member}.conf", monitor_password: { from_file: /etc/secret } }
          monitor: { every: 2s }
          timeouts: { start: 5m }
        """)
    managed = policy.services["web"].members[0].run.managed
    assert isinstance(managed, OcfAgent)
    assert managed.provider_agent == "heartbeat:pgsql"
    assert managed.parameters["config"] == "/etc/web-1.conf"
    assert managed.parameters["monitor_password"] == SecretFrom(file="/etc/secret")
    assert (managed.monitor_every, managed.start_timeout, managed.stop_timeout) == (
        2 * SECOND,
        5 * MINUTE,
        2 * MINUTE,
    )
    assert not managed.is_promotable


def test_parameters_of_a_member_are_laid_over_those_of_its_service() -> None:
    policy = read("""\
        mode: active-standby
        run: { ocf: "ocf:heartbeat:Stateful", parameters: { state: "/run/{member}" } }
        members: { a: {}, b: { run: { parameters: { state: /elsewhere } } } }
        """)
    a, b = (member.run for member in policy.services["web"].members)
    assert a.managed is not None
    assert b.managed is not None
    assert (a.managed.parameters["state"], b.managed.parameters["state"]) == ("/run/a", "/elsewhere")
    assert a.managed.is_promotable
    assert a.has_roles
    assert a.can_be_demoted


MISTAKES = [
    (
        "run: { ocf: IPaddr2 }",
        "must be a resource agent such as ocf:heartbeat:IPaddr2; write ocf:heartbeat:IPaddr2",
    ),
    ("run: { ocf: ocf:heartbeat:IPadr2 }", "is no agent of this host; did you mean ocf:heartbeat:IPaddr2?"),
    (
        "run: { ocf: ocf:heartbeat:IPaddr2 }",
        "ocf:heartbeat:IPaddr2 needs the parameter ip: IPv4 or IPv6 address",
    ),
    (
        "run: { ocf: ocf:heartbeat:IPaddr2, parameters: { ip: 10.0.0.9, nix: eth0 } }",
        "run.parameters.nix: is no parameter of ocf:heartbeat:IPaddr2; did you mean nic?",
    ),
    (
        "run: { ocf: ocf:heartbeat:IPaddr2, parameters: { ip: 10.0.0.9, arp_count: many } }",
        "run.parameters.arp_count: must be a whole number",
    ),
    (
        "run: { ocf: ocf:heartbeat:IPaddr2, parameters: { ip: 10.0.0.9, lvs_support: perhaps } }",
        "run.parameters.lvs_support: must be true or false",
    ),
    (f"{ADDRESS[:-1]}, user: root }}", "run.user: user goes with command, not with ocf; remove it"),
    (
        "run: { command: [srv], parameters: { ip: x } }",
        "run.parameters: parameters goes with ocf, not with command",
    ),
    (
        "run: { command: [srv], ocf: ocf:heartbeat:Dummy }",
        "needs exactly one of command, ocf, postgresql and redis",
    ),
    (
        "mode: active-standby\nmembers: 2\nrun: { ocf: ocf:heartbeat:Dummy }",
        "mode: ocf:heartbeat:Dummy knows no standby: what it has started serves; write mode: singleton",
    ),
]


@pytest.mark.parametrize(("lines", "wanted"), MISTAKES)
def test_one_mistake_earns_one_line_that_says_what_is_allowed(lines: str, wanted: str) -> None:
    (line,) = problems(lines)
    assert wanted in line


def test_an_agent_that_this_host_does_not_have_is_taken_at_the_files_word() -> None:
    policy = read("mode: active-standby\nmembers: 2\nrun: { ocf: ocf:acme:Ledger, parameters: { book: x } }")
    managed = policy.services["web"].members[0].run.managed
    assert managed is not None
    assert managed.is_promotable


def test_a_parameter_may_be_a_secret_and_is_shown_nowhere() -> None:
    (line,) = problems(
        "run: { ocf: ocf:heartbeat:IPaddr2, parameters: { ip: 10.0.0.9, arp_count: hunter2 } }"
    )
    assert "hunter2" not in line


def test_other_parameters_are_a_restart_and_other_times_are_not() -> None:
    before, after = read(ADDRESS), read(ADDRESS.replace("10.0.0.9", "10.0.0.8"))
    (change,) = plan(before, after).changes
    assert change.text == "web/web-1 is restarted: parameters.ip changed"
    slower = read(f"{ADDRESS[:-2]}, monitor: {{ every: 3s }} }}")
    (change,) = plan(before, slower).changes
    assert change.text == "web/web-1 goes on running: run.monitor_every changed"
    digests = [run_digest(policy.services["web"].members[0].run) for policy in (before, after, slower)]
    assert digests[0] == digests[2] != digests[1]


def test_a_component_that_an_agent_asks_after_needs_no_probe() -> None:
    texts = [weakness.text for weakness in plan(None, read(ADDRESS)).weaknesses]
    assert not any("no probes" in text for text in texts)
