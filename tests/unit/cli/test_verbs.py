"""Each verb as an operator calls it, over a real socket to a stand-in agent."""

import json
from pathlib import Path

import pytest

from holdfast.agent import protocol
from holdfast.agent.protocol import ErrorKind, Failure
from holdfast.cli import main as cli
from holdfast.model.decisions import Withheld
from holdfast.model.policy import TrafficPolicy
from holdfast.model.state import State
from holdfast.model.value import replace
from tests.unit.cli import worlds
from tests.unit.cli.calling import Call
from tests.unit.cli.stand_in import StandIn, running


def calm_with_traffic() -> State:
    state = worlds.calm()
    web = replace(state.policy.services["web"], traffic=TrafficPolicy("127.0.0.1", 8080))
    return replace(state, policy=replace(state.policy, services={"web": web}))


# --- help -----------------------------------------------------------------------------------------------


def test_help_lists_every_verb_with_its_line(call: Call) -> None:
    result = call("--help")
    assert result.exit_code == 0
    for name, verb in cli.VERBS.items():
        assert f"  {name} " in result.output
        assert verb.line in result.output


@pytest.mark.parametrize("name", cli.VERBS)
def test_the_help_of_a_verb_begins_with_its_line_and_ends_with_examples(call: Call, name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0, result.output
    assert cli.VERBS[name].line in " ".join(result.output.split())
    assert "Example" in result.output


@pytest.mark.parametrize("name", ["switchover", "drain", "restart", "pause", "resume", "reload", "down"])
def test_every_changing_verb_has_a_dry_run(call: Call, name: str) -> None:
    assert "--dry-run" in call(name, "--help").output


@pytest.mark.parametrize("name", ["status", "explain", "incidents", "plan", "validate"])
def test_every_reading_verb_has_json(call: Call, name: str) -> None:
    assert "--json" in call(name, "--help").output


def test_a_mistyped_verb_is_answered_with_the_nearest(call: Call) -> None:
    result = call("statsu")
    assert result.exit_code == 2
    assert "Did you mean status" in result.output


def test_completion_prints_the_script_of_the_shell(call: Call) -> None:
    for shell in ("zsh", "fish"):
        result = call("completion", shell)
        assert result.exit_code == 0
        assert "_HOLDFAST_COMPLETE" in result.output
    assert call("completion", "tcsh").exit_code == 2


# --- where the agent is -----------------------------------------------------------------------------------


def test_no_agent_is_a_failure_that_says_how_to_start_one(call: Call, folder: Path) -> None:
    result = call("--directory", str(folder / "nowhere"), "status")
    assert result.exit_code == 1
    assert "no agent runs on" in result.output
    assert "holdfast run" in result.output


def test_without_a_file_and_without_a_system_the_question_is_which_agent(call: Call) -> None:
    result = call("status")
    assert result.exit_code == 2
    assert "which agent?" in result.output


def test_an_agent_is_found_through_a_file_that_is_full_of_mistakes(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text("system: shop  # ours\nservices: [oops\n")
    base = Path(str(folder / "state" / "holdfast"))
    (folder / "agent").mkdir()
    result = call("status")
    assert "shop" in result.output
    assert result.exit_code == 1
    assert not base.exists()


def test_options_may_come_before_or_after_the_verb(call: Call, folder: Path) -> None:
    with running(StandIn(worlds.calm()), folder / "there"):
        assert call("--directory", str(folder / "there"), "status").exit_code == 0
        assert call("status", "--directory", str(folder / "there")).exit_code == 0


# --- looking ----------------------------------------------------------------------------------------------


def test_status_shows_the_screen_and_exits_by_health(call: Call, agent: StandIn) -> None:
    result = call("status")
    assert result.exit_code == 4
    assert "below threshold" in result.output
    agent.state = worlds.calm()
    assert call("status").exit_code == 0


def test_status_shows_what_the_agent_needs_a_person_for(call: Call, agent: StandIn) -> None:
    agent.agent = replace(agent.agent, problem="the journal's disk is full")
    assert "PROBLEM the journal's disk is full" in call("status").output


def test_status_as_json_is_the_agents_own(call: Call, agent: StandIn) -> None:
    told = json.loads(call("status", "--json").output)
    assert told["system"] == "shop"
    assert told["services"][0]["members"][0]["status"] == "down"


def test_status_watch_draws_until_the_agent_leaves(call: Call, agent: StandIn) -> None:
    result = call("status", "--watch")
    assert result.exit_code == 1
    assert "web/web-1" in result.output
    assert "the agent ended" in result.output


def test_nagios_gets_one_line_and_its_own_exit_codes(call: Call, agent: StandIn, folder: Path) -> None:
    result = call("status", "--nagios")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    agent.state = worlds.calm()
    assert call("status", "--nagios").exit_code == 0
    unknown = call("status", "--nagios", "--directory", str(folder / "nowhere"))
    assert unknown.exit_code == 3
    assert unknown.output.startswith("HOLDFAST UNKNOWN no agent runs on")


def test_nagios_stands_alone(call: Call, agent: StandIn) -> None:
    assert call("status", "--nagios", "--json").exit_code == 2


def test_explain_answers_about_services_members_decisions_and_incidents(call: Call, agent: StandIn) -> None:
    assert "web serves, since" in call("explain", "web").output
    assert "web/web-1 is down" in call("explain", "web-1").output
    assert "promote web/web-2, epoch 7" in call("explain", "40").output
    assert "failed over" in call("explain", "i-3").output
    assert json.loads(call("explain", "web", "--json").output)["service"]["name"] == "web"


def test_explain_tells_what_is_withheld_and_what_would_change_it(call: Call, agent: StandIn) -> None:
    held = Withheld("web/web-1", "start", "budget_spent", "restarted 5 times within 1m")
    agent.state = replace(agent.state, withheld={"web": (held,)})
    text = " ".join(call("explain", "web/web-1").output.split())
    assert "by rule budget_spent: restarted 5 times within 1m" in text
    assert "changes when the next attempt is due" in text


def test_explain_why_not_names_the_deciding_rule(call: Call, agent: StandIn) -> None:
    agent.state = worlds.calm()
    assert "<-- decides" in call("explain", "web", "--why-not", "failover").output
    assert "<-- decides" in call("explain", "web/web-1", "--why-not", "restart").output
    assert call("explain", "web", "--why-not", "restart").exit_code == 2
    assert call("explain", "web/web-1", "--why-not", "failover").exit_code == 2


@pytest.mark.parametrize("subject", ["nobody", "99", "i-99"])
def test_explain_of_what_is_not_there_is_a_usage_error(call: Call, agent: StandIn, subject: str) -> None:
    assert call("explain", subject).exit_code == 2


def test_incidents_are_listed_told_and_exported(call: Call, agent: StandIn) -> None:
    assert "i-3" in call("incidents").output
    assert "counted from here" in call("incidents", "i-3").output
    assert call("incidents", "i-3", "--export", "md").output.startswith("# Incident i-3: web")
    assert json.loads(call("incidents", "--json").output)[0]["incident"]["id"] == "i-3"
    assert call("incidents", "i-9").exit_code == 2
    assert call("incidents", "--export", "md").exit_code == 2


# --- acting -----------------------------------------------------------------------------------------------


def test_switchover_waits_and_says_in_one_line_what_came_of_it(call: Call, agent: StandIn) -> None:
    agent.state = calm_with_traffic()
    result = call("switchover", "web", "--to", "web-2", "--reason", "new disks")
    assert (result.exit_code, result.output) == (0, "switchover of web to web-2 done in 1.4s: web-2 serves\n")
    assert agent.asked == [
        protocol.SwitchoverRequest(service="web", to="web-2", why="new disks", wait_s=60.0)
    ]


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("0s", 0.0), ("1h", 3600.0)])
def test_switchover_says_how_long_open_transactions_may_take(
    call: Call, agent: StandIn, text: str, seconds: float
) -> None:
    agent.state = calm_with_traffic()
    assert call("switchover", "web", "--open-transactions", text, "--no-wait").exit_code == 0
    assert agent.asked == [protocol.SwitchoverRequest(service="web", open_transactions_s=seconds)]


def test_a_dry_run_asks_without_waiting(call: Call, agent: StandIn) -> None:
    agent.state = worlds.calm()
    result = call("switchover", "web", "--dry-run")
    assert result.exit_code == 0
    assert "would be accepted, and would begin with" in result.output
    assert agent.asked == [protocol.SwitchoverRequest(service="web", dry_run=True)]


def test_no_wait_returns_when_it_is_accepted(call: Call, agent: StandIn) -> None:
    agent.state = worlds.calm()
    result = call("restart", "web", "--no-wait")
    assert result.output.startswith("restart of web accepted")
    assert agent.asked == [protocol.RestartRequest(target="web")]


def test_a_refusal_exits_with_5_and_every_reason(call: Call, agent: StandIn) -> None:
    result = call("switchover", "web", "--to", "web-1")
    assert result.exit_code == 5
    assert "web-1 cannot take over: down, the process was killed by signal KILL" in result.output


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.TIMEOUT, 7),
        (ErrorKind.FAILED, 1),
        (ErrorKind.DENIED, 5),
        (ErrorKind.USAGE, 2),
        (ErrorKind.BUSY, 1),
    ],
)
def test_what_went_wrong_decides_the_exit_code(
    call: Call, agent: StandIn, kind: ErrorKind, code: int
) -> None:
    agent.state = worlds.calm()
    agent.failure = Failure(kind, "it went wrong")
    result = call("drain", "web/web-2")
    assert result.exit_code == code
    assert "it went wrong" in result.output


def test_drain_pause_and_resume_say_what_they_were_told(call: Call, agent: StandIn) -> None:
    agent.state = worlds.calm()
    call("drain", "web/web-1", "--force", "--timeout", "5s")
    call("pause", "web", "--for", "30m", "--reason", "repair")
    call("pause", "--for", "1h", "--reason", "move", "--dry-run")
    call("resume", "web/web-1")
    call("resume")
    assert agent.asked == [
        protocol.DrainRequest(component="web/web-1", force=True, wait_s=5.0),
        protocol.PauseRequest(service="web", for_s=1800.0, why="repair", wait_s=10.0),
        protocol.PauseRequest(for_s=3600.0, why="move", dry_run=True),
        protocol.ResumeRequest(target="web/web-1", wait_s=10.0),
        protocol.ResumeRequest(wait_s=10.0),
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("pause", "--for", "30m"),
        ("pause", "--reason", "x"),
        ("pause", "--for", "30", "--reason", "x"),
        ("pause", "--for", "5m", "--reason", " "),
        ("pause", "--for", "30d", "--reason", "x"),
        ("switchover",),
        ("drain",),
        ("restart",),
        ("switchover", "web", "--timeout", "soon"),
        ("switchover", "web", "--open-transactions", "30"),
        ("switchover", "web", "--open-transactions", "2h"),
        ("switchover", "web", "--timeout", "2h"),
        ("explain",),
        ("replay", "--from", "0"),
        ("simulate",),
        ("simulate", "--kill", "web/web-1", "--seeds", "3"),
        ("status", "--no-such-option"),
    ],
)
def test_wrong_usage_exits_with_2_and_asks_nobody(call: Call, agent: StandIn, args: tuple[str, ...]) -> None:
    assert call(*args).exit_code == 2
    assert agent.asked == []


def test_down_does_not_ask_where_nobody_can_answer(call: Call, agent: StandIn) -> None:
    result = call("down")
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert agent.asked == []


def test_down_with_yes_stops_everything(call: Call, agent: StandIn) -> None:
    assert call("down", "--yes").exit_code == 0
    assert agent.asked == [protocol.DownRequest(wait_s=120.0)]


def test_reload_names_the_mistakes_of_the_file(call: Call, agent: StandIn) -> None:
    assert "reload done: revision 4f1c" in call("reload").output
    agent.failure = Failure(ErrorKind.CONFIGURATION, "the file has errors", ("holdfast.yaml:3:1: oops",))
    result = call("reload")
    assert result.exit_code == 2
    assert "holdfast.yaml:3:1: oops" in result.output
