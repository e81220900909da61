from holdfast.agent.waiting import Stand, down_progress, drain_progress, lives_of, look_for, restart_progress
from holdfast.model.events import (
    DownRequested,
    DrainRequested,
    Ending,
    Exit,
    Finished,
    MemberTraffic,
    PauseRequested,
    RestartRequested,
    SwitchoverRequested,
)
from holdfast.model.policy import TrafficPolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ProcessRunning, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import play, policy, running

AT = 2 * SECOND


def primary(name: str, *, assigned: str) -> State:
    state = running(policy())
    state = state.with_component(replace(state.components[f"web/{name}"], role=Role.PRIMARY, epoch=1))
    return state.with_service(replace(state.services["web"], assigned=assigned, epoch=1))


def test_switchover_is_done_when_the_target_holds_the_role() -> None:
    command = SwitchoverRequested("web", "web-2", "ann")
    before = primary("web-1", assigned="web-1")
    look = look_for(command, before)
    assert look(primary("web-1", assigned="web-2")).stand is Stand.PENDING
    assert look(primary("web-2", assigned="web-2")).stand is Stand.DONE
    assert look(primary("web-1", assigned="web-1")).stand is Stand.FAILED


def test_restart_is_done_when_every_member_lives_a_new_life_and_is_up() -> None:
    before = running(policy())
    lives = lives_of(before, "web")
    assert lives == {"web/web-1": "100:1", "web/web-2": "101:1"}
    state = before
    for number, id_ in enumerate(lives):
        assert restart_progress(state, lives).stand is Stand.PENDING
        new = replace(
            state.components[id_], process=ProcessRunning(f"{200 + number}:1", AT), status=Status.UP
        )
        state = state.with_component(new)
    assert restart_progress(state, lives).stand is Stand.DONE
    gave_up = replace(state.components["web/web-2"], gave_up_at=AT)
    assert restart_progress(state.with_component(gave_up), lives).stand is Stand.FAILED
    one = look_for(RestartRequested("web/web-1", "ann"), before)
    assert one(state).stand is Stand.DONE


def test_drain_is_done_when_no_session_is_left() -> None:
    state = play(running(policy()), DrainRequested("web/web-1", "ann"), at=AT)
    assert drain_progress(state, "web/web-1").stand is Stand.DONE  # no traffic
    service = replace(state.policy.services["web"], traffic=TrafficPolicy("127.0.0.1", 80))
    state = replace(state, policy=replace(state.policy, services={"web": service}))
    assert drain_progress(state, "web/web-1").stand is Stand.PENDING
    for lane, sessions, stand in (
        (Lane.IN, 0, Stand.PENDING),
        (Lane.DRAIN, 3, Stand.PENDING),
        (Lane.DRAIN, 0, Stand.DONE),
    ):
        seen = {"web-1": MemberTraffic(lane, sessions, is_up=True)}
        assert (
            drain_progress(state.with_service(replace(state.services["web"], seen=seen)), "web/web-1").stand
            is stand
        )
    resumed = state.with_component(replace(state.components["web/web-1"], drain=None))
    assert drain_progress(resumed, "web/web-1").stand is Stand.FAILED


def test_down_is_done_when_nothing_runs() -> None:
    state = play(running(policy()), DownRequested("ann"), at=AT)
    assert down_progress(state).text == "still running: web/web-1, web/web-2"
    for decision in tuple(state.flights):
        state = play(state, Finished(decision, Ending.DONE, exit=Exit(code=0)), at=AT)
    assert down_progress(state).stand is Stand.DONE


def test_pause_is_done_at_once() -> None:
    state = running(policy())
    assert look_for(PauseRequested(None, 1, "ann", "w"), state)(state).stand is Stand.DONE
