"""PostgreSQL gives its role back by ending: while it is demoted, that it ends is no fault. A witness that ends then has one."""

import pytest

from holdfast.detect.judging import judge
from holdfast.loop.observe import observe
from holdfast.model.events import Exit, ProcessDying, ProcessExited
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProcessSpec, ServicePolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.standing import Role, Status
from holdfast.model.state import InFlight, ProcessRunning, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import running

AT = 100 * SECOND
LIFE = "900:1"
DATABASE = ProcessSpec((), managed=PostgresServer(data="/data", programs="/bin"))
WITNESS = ProcessSpec(("serve",), promote=("promote",), demote=("demote",))


def busy_with(run: ProcessSpec, action: str) -> State:
    state = running(
        Policy("shop", {"db": ServicePolicy("db", Mode.ACTIVE_STANDBY, (MemberPolicy("a", run, port=5432),))})
    )
    primary = replace(
        state.components["db/a"],
        process=ProcessRunning(LIFE, AT),
        status=Status.UP,
        role=Role.PRIMARY,
        flight=InFlight(7, action, AT, AT + 60 * SECOND) if action else None,
    )
    return state.with_component(primary)


@pytest.mark.parametrize(
    ("run", "action", "ends", "ended"),
    [
        (DATABASE, "demote", Status.UNKNOWN, Status.UNKNOWN),
        (DATABASE, "", Status.DOWN, Status.DOWN),
        (DATABASE, "promote", Status.DOWN, Status.DOWN),
        (WITNESS, "demote", Status.DOWN, Status.DOWN),
        (WITNESS, "stop", Status.UNKNOWN, Status.UNKNOWN),
    ],
)
def test_what_ends_by_plan_is_no_fault(run: ProcessSpec, action: str, ends: Status, ended: Status) -> None:
    state = observe(busy_with(run, action), ProcessDying("db/a", LIFE), AT)
    assert judge(state, state.components["db/a"], AT).status is ends
    state = observe(state, ProcessExited("db/a", LIFE, Exit(code=0)), AT)
    assert judge(state, state.components["db/a"], AT).status is ended
