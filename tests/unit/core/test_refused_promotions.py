"""A promotion that is not permitted is tried again soon, and after a second less and less often under one lease: it may wait for somebody for long."""

from itertools import count

from holdfast.loop.commit import commit
from holdfast.loop.observe import observe
from holdfast.loop.observe_finished import REFUSED_QUICKLY
from holdfast.model.cluster import LEASE_BLOCK, Entitlement
from holdfast.model.decisions import Promote
from holdfast.model.events import Ending, Finished
from holdfast.model.policy import Policy
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import replace
from holdfast.model.wishes import Wishes
from tests.unit.agent.rehearsal import running
from tests.unit.core.test_reading import service

AT = 100 * SECOND
TIMES = count()


def idle() -> State:
    state = running(Policy("shop", {"db": service()}))
    standby = ComponentState("db/a", ProcessRunning("1:1", 0), Status.UP)
    return replace(state.with_component(standby), entitlements={"db": Entitlement("a", 7)})


def tried(state: State, lease: int, ending: Ending = Ending.FAILED) -> State:
    """Return the state after a promotion was tried under a lease; FAILED: it was not permitted."""
    wish = Promote("db/a", lease * LEASE_BLOCK + next(TIMES), "this host holds the lease")
    state, (decision,), _ = commit(state, Wishes(decisions=(wish,)), AT)
    return observe(state, Finished(decision.id, ending, is_unbegun=ending is Ending.FAILED), AT)


def waits(state: State) -> Duration:
    return state.components["db/a"].not_before - AT


def test_after_some_refusals_in_a_row_each_waits_twice_as_long_up_to_a_bound() -> None:
    state, seen = idle(), []
    for _ in range(REFUSED_QUICKLY + 5):
        state = tried(state, 7)
        seen.append(waits(state) // MILLISECOND)
        assert state.components["db/a"].role is Role.STANDBY
    assert seen == [100] * REFUSED_QUICKLY + [200, 400, 800, 800, 800]


def test_under_another_lease_it_begins_anew() -> None:
    state = idle()
    for _ in range(REFUSED_QUICKLY + 2):
        state = tried(state, 7)
    assert waits(tried(state, 8)) == 100 * MILLISECOND


def test_once_it_was_promoted_it_begins_anew() -> None:
    state = idle()
    for _ in range(REFUSED_QUICKLY + 2):
        state = tried(state, 7)
    state = tried(state, 7, Ending.DONE)
    assert state.components["db/a"].role is Role.PRIMARY
    standby = replace(state.components["db/a"], role=Role.STANDBY)
    assert waits(tried(state.with_component(standby), 7)) == 100 * MILLISECOND
