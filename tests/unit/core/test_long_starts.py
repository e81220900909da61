"""A start that makes progress takes as long as it takes; one that stands still has its grace, and no more."""

from holdfast.detect.judging import judge
from holdfast.loop.observe import observe
from holdfast.model.events import Probed
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProbePolicy, ProcessSpec, Purpose, ServicePolicy
from holdfast.model.postgresql import PostgresCheck
from holdfast.model.standing import Status
from holdfast.model.state import ProcessRunning, State
from holdfast.model.time import SECOND, Instant
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import running

AT = 100 * SECOND
PROBE = ProbePolicy("postgresql", Purpose.LIVENESS, PostgresCheck())


def recovering() -> State:
    member = MemberPolicy("a", ProcessSpec(("serve",)), (PROBE,), port=5432)
    state = running(Policy("shop", {"db": ServicePolicy("db", Mode.SINGLETON, (member,))}))
    started = replace(state.components["db/a"], process=ProcessRunning("900:1", AT), probes={})
    return state.with_component(started)


def told(state: State, outcome: Outcome, failure: Failure, at: Instant) -> State:
    seen = Observation(outcome, Layer.ANSWER, failure, 0, at, "it recovers: recovering 00000001")
    return observe(state, Probed("db/a", PROBE.name, "900:1", seen), at)


def status(state: State, now: Instant) -> Status:
    return judge(state, state.components["db/a"], now).status


def test_a_recovery_that_makes_progress_is_not_given_up() -> None:
    state = recovering()
    grace = state.policy.services["db"].restart.startup_grace
    for minutes in range(1, 60):
        now = AT + minutes * 60 * SECOND
        state = told(state, Outcome.UNKNOWN, Failure.STARTING, now)
        assert status(state, now + grace - 1) is Status.UNKNOWN
        assert "recovering 00000001" in judge(state, state.components["db/a"], now).reason
    assert status(state, AT + 59 * 60 * SECOND + grace) is Status.DOWN


def test_one_that_answers_badly_all_the_time_has_the_grace_of_a_start() -> None:
    state = recovering()
    grace = state.policy.services["db"].restart.startup_grace
    state = told(state, Outcome.FAILED, Failure.STATUS, AT + grace - SECOND)
    assert status(state, AT + grace - 1) is Status.UNKNOWN
    assert status(state, AT + grace) is Status.DOWN
