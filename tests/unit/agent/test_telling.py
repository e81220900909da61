from holdfast.agent.log import Level, Line
from holdfast.agent.telling import lines_of
from holdfast.agent.turning import Turned
from holdfast.loop.reconcile import reconcile
from holdfast.model.events import (
    DownRequested,
    Ending,
    Event,
    Exit,
    Finished,
    PauseRequested,
    Probed,
    ProcessExited,
    ResumeRequested,
    Ticked,
)
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.state import State
from holdfast.model.time import MINUTE, SECOND
from tests.unit.agent.rehearsal import play, policy, running


def tell(before: State, event: Event, at: int) -> tuple[State, tuple[Line, ...]]:
    after, decisions = reconcile(before, event, at)
    return after, lines_of(Turned(at, event, decisions, before, after))


def passed(component: str, incarnation: str, at: int) -> Probed:
    return Probed(
        component, "alive", incarnation, Observation(Outcome.PASSED, Layer.CONTENT, Failure.NONE, 1, at)
    )


def up() -> State:
    state = running(policy())
    state = play(
        state,
        passed("web/web-1", "100:1", 2 * SECOND),
        passed("web/web-2", "101:1", 2 * SECOND),
        at=2 * SECOND,
    )
    for decision in tuple(state.flights):
        state = play(state, Finished(decision, Ending.DONE), at=2 * SECOND)
    return state


def test_steady_state_is_silent() -> None:
    state = up()
    for second in range(3, 30):
        state, lines = tell(state, Ticked(), second * SECOND)
        assert lines == ()


def test_failure_is_told_from_what_was_seen_to_what_is_done_each_with_its_incident() -> None:
    _, lines = tell(up(), ProcessExited("web/web-1", "100:1", Exit(signal="KILL")), 3 * SECOND)
    told = [(line.level, line.subject, line.word) for line in lines]
    assert told[0] == (Level.ERROR, "web/web-1", "down")
    assert (Level.ERROR, "web", "incident") in told
    assert told.index((Level.ERROR, "web", "incident")) < told.index((Level.INFO, "web/web-2", "promote"))
    assert {line.incident for line in lines} == {"i-1"}
    assert all(line.text for line in lines)


def test_what_an_operator_asked_for_is_told_with_the_name() -> None:
    state, lines = tell(
        up(), PauseRequested(None, 3 * SECOND + 30 * MINUTE, "ann", "kernel update"), 3 * SECOND
    )
    assert lines[0] == Line(Level.INFO, "agent", "command", "pause, by ann: kernel update")
    assert any(line.word == "paused" and "by ann" in line.text and "30m" in line.text for line in lines)
    state, lines = tell(state, ResumeRequested(None, "bob"), 4 * SECOND)
    assert lines[0].text == "resume, by bob"
    assert lines[1].word == "resumed"
    _, lines = tell(state, DownRequested("ann"), 5 * SECOND)
    assert lines[0].text == "down: stop everything, by ann"
    assert [line.word for line in lines].count("stop") == 2


def test_what_is_held_back_is_told_once() -> None:
    state, _ = tell(up(), PauseRequested(None, 3 * SECOND + 30 * MINUTE, "ann", "w"), 3 * SECOND)
    state, first = tell(state, ProcessExited("web/web-2", "101:1", Exit(code=1)), 4 * SECOND)
    assert any(line.word == "withheld" and "start" in line.text for line in first)
    for second in range(5, 10):
        state, again = tell(state, Ticked(), second * SECOND)
        assert not [line for line in again if line.word == "withheld"]
