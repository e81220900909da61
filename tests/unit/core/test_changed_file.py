"""A new file takes nothing along that has no place in it."""

from holdfast.agent.reloading import policy_changed
from holdfast.loop.observe import observe
from holdfast.loop.reconcile import reconcile
from holdfast.loop.reporting import report_members
from holdfast.model.decisions import Stop
from holdfast.model.events import RestartRequested
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import Mode
from holdfast.model.standing import Role, Status
from holdfast.model.state import ProbeState, ProcessAbsent, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import policy, running

AT = 10 * SECOND
WARNING = Observation(Outcome.DEGRADED, Layer.PROGRAM, Failure.EXIT_CODE, 0, AT, "disk 91% full")


def all_up(state: State) -> State:
    for component in state.members("web"):
        passed = ProbeState(passed=True, streak=1, ever_passed=True)
        state = state.with_component(replace(component, status=Status.UP, probes={"alive": passed}))
    return state


def test_a_warning_of_a_probe_that_the_file_no_longer_names_is_forgotten() -> None:
    state = all_up(running(policy()))
    web = state.components["web/web-1"]
    state = state.with_component(
        replace(web, probes={**web.probes, "disk": ProbeState(passed=True, last=WARNING)})
    )
    after = observe(state, policy_changed(policy()), AT)
    assert after.components["web/web-1"].probes.keys() == {"alive"}


def test_a_member_that_was_primary_is_restarted_like_any_other_once_all_serve() -> None:
    state = all_up(running(policy()))
    web = state.components["web/web-1"]
    state = state.with_component(replace(web, role=Role.PRIMARY, epoch=3))
    state, _ = reconcile(state, policy_changed(policy(Mode.ACTIVE_ACTIVE)), AT)
    assert state.components["web/web-1"].role is Role.STANDBY
    _, decisions = reconcile(state, RestartRequested("web/web-1", "ann"), AT)
    assert [type(decision) for decision in decisions] == [Stop]


def test_what_the_file_no_longer_names_is_told_of_until_nothing_of_it_is_left_and_is_fit_for_nothing() -> (
    None
):
    state = all_up(running(policy()))
    dropped = replace(state.policy, services={n: s for n, s in state.policy.services.items() if n != "web"})
    state = observe(state, policy_changed(dropped), AT)
    told = report_members(state, AT)["web/web-1"]
    assert (bool(told.unfit), bool(told.leaving), told.is_clear) == (True, True, False)
    ended = replace(state.components["web/web-1"], process=ProcessAbsent(AT))
    assert report_members(state.with_component(ended), AT)["web/web-1"].is_clear
