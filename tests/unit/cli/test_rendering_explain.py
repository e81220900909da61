"""Answers to "why", about services, components, decisions, and what was not done."""

import pytest

from holdfast.cli import explaining
from holdfast.cli.explaining import About, AboutComponent, AboutDecision, AboutIncident, AboutService
from holdfast.cli.painting import Paint
from holdfast.cli.rendering_explain import (
    component_text,
    decision_text,
    decisions_text,
    held_text,
    service_text,
    why_not_text,
)
from holdfast.cli.why_not import why_not_failover, why_not_restart
from holdfast.model.decisions import Withheld
from holdfast.model.events import Ending, Exit
from holdfast.model.policy import Mode
from holdfast.model.state import Drain, Pause, State
from holdfast.model.time import MILLISECOND, MINUTE, SECOND
from holdfast.model.value import replace
from tests.unit.cli import worlds
from tests.unit.cli.goldens import assert_golden

PAINT = Paint(width=80)
WIDE = Paint(width=140)


def held() -> State:
    withheld = (Withheld("web/web-1", "start", "budget_spent", "restarted 5 times within 1m"),)
    return replace(worlds.hurt(), withheld={"web": withheld})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("web", AboutService("web")),
        ("web/web-1", AboutComponent("web/web-1")),
        ("web-1", AboutComponent("web/web-1")),
        ("i-3", AboutIncident("i-3")),
        ("41", AboutDecision(41)),
        ("#41", AboutDecision(41)),
        ("nobody", None),
    ],
)
def test_a_question_may_be_about_anything_with_a_name(text: str, meant: About | None) -> None:
    assert explaining.about(text, worlds.hurt()) == meant


def test_a_decision_is_joined_with_its_trigger_and_its_ending() -> None:
    promote, start = explaining.taken_in(worlds.TURNS)
    assert promote.because_of == "web/web-1 was killed by signal KILL"
    assert (promote.ending, promote.took) == (Ending.DONE, 403 * MILLISECOND)
    assert (start.ending, start.error) == (Ending.FAILED, "no such program")


def test_decisions_are_chosen_by_what_the_question_is_about() -> None:
    taken = explaining.taken_in(worlds.TURNS)

    def numbers(subject: About) -> list[int]:
        return [one.number for one in explaining.concerning(taken, subject)]

    assert numbers(AboutService("web")) == [41, 40]
    assert numbers(AboutComponent("web/web-1")) == [41]
    assert numbers(AboutIncident("i-3")) == [41, 40]
    assert numbers(AboutDecision(40)) == [40]


def test_a_component_is_explained() -> None:
    state = held()
    lines = component_text(state, state.components["web/web-1"], worlds.NOW, worlds.CLOCK, PAINT)
    subject = AboutComponent("web/web-1")
    lines += ["", *held_text(explaining.held_of(state, subject), PAINT)]
    taken = explaining.concerning(explaining.taken_in(worlds.TURNS), subject)
    lines += ["", *decisions_text(taken, worlds.NOW, worlds.CLOCK, PAINT)]
    assert_golden("explain-component", "\n".join(lines) + "\n")


def test_a_service_is_explained() -> None:
    lines = service_text(worlds.hurt(), "web", worlds.NOW, worlds.CLOCK, PAINT)
    assert_golden("explain-service", "\n".join(lines) + "\n")


def test_a_decision_is_explained() -> None:
    promote, _ = explaining.taken_in(worlds.TURNS)
    assert_golden(
        "explain-decision", "\n".join(decision_text(promote, worlds.NOW, worlds.CLOCK, PAINT)) + "\n"
    )


def test_why_not_failover_of_a_healthy_service_names_the_rule_that_decides() -> None:
    answer = why_not_failover(worlds.calm(), "web", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "the active member has failed"
    assert_golden("why-not-failover", "\n".join(why_not_text(answer, WIDE)) + "\n")
    assert_golden("why-not-failover-narrow", "\n".join(why_not_text(answer, PAINT)) + "\n")


def test_a_pause_decides_before_anything_else() -> None:
    pause = Pause("ann", "kernel update", worlds.NOW, worlds.NOW + MINUTE)
    answer = why_not_failover(replace(worlds.hurt(), pause=pause), "web", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "not paused"
    assert 'paused by ann for another 1m: "kernel update"' in answer.decides.have


def test_no_fit_candidate_decides_when_the_only_other_member_is_drained() -> None:
    state = worlds.calm()
    failed = replace(worlds.down("web/web-1"), role=state.components["web/web-1"].role)
    drained = replace(state.components["web/web-2"], drain=Drain("ann", "", 0))
    answer = why_not_failover(state.with_component(failed).with_component(drained), "web", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "a fit candidate"
    assert any(rule.have == "drained by an operator" for rule in answer.rules)


def test_members_that_serve_together_have_nobody_to_fail_over_to() -> None:
    state = replace(worlds.calm(), policy=worlds.policy(worlds.web_policy(Mode.ACTIVE_ACTIVE)))
    answer = why_not_failover(state, "web", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "one member serves alone"


def test_why_not_restart_names_a_spent_budget() -> None:
    state = held()
    spent = replace(
        state.components["web/web-1"],
        restarted_at=tuple(worlds.NOW - i * SECOND for i in range(5)),
        gave_up_at=worlds.NOW,
    )
    answer = why_not_restart(state.with_component(spent), "web/web-1", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "restart budget"
    assert answer.recorded == ("web/web-1 start (budget_spent): restarted 5 times within 1m",)


def test_a_running_component_is_not_restarted_because_it_has_not_failed() -> None:
    answer = why_not_restart(worlds.calm(), "web/web-1", worlds.NOW)
    assert answer.decides is not None
    assert answer.decides.rule == "it has failed"


def test_what_a_failed_process_said_last_is_told_with_how_it_is() -> None:
    said = "last output: FATAL: configuration file contains errors"
    failed = worlds.down("web/web-1")
    ended = replace(failed.process, exit=Exit(code=1, detail=said))
    lines = component_text(worlds.hurt(), replace(failed, process=ended), worlds.NOW, worlds.CLOCK, PAINT)
    assert f"  how      {said}" in lines
    planned = replace(failed, process=replace(ended, is_expected=True))
    assert said not in "".join(component_text(worlds.hurt(), planned, worlds.NOW, worlds.CLOCK, PAINT))
