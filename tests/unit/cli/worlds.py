"""Hand-made states for the tests of the command line: what an agent could have said."""

from datetime import UTC

from holdfast.cli.wall_clock import WallClock
from holdfast.model.decisions import Promote, Start
from holdfast.model.events import Ending, Exit, Finished, MemberTraffic, ProcessExited, Ticked
from holdfast.model.findings import Cause, CauseCode
from holdfast.model.incidents import Entry, Incident, Stage
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import (
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Purpose,
    ServicePolicy,
)
from holdfast.model.routing import Lane, Routing
from holdfast.model.standing import Role, Status
from holdfast.model.state import (
    ComponentState,
    ProbeState,
    ProcessAbsent,
    ProcessRunning,
    ServiceState,
    State,
)
from holdfast.model.time import HOUR, MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.ports.journal import Turn

OFFSET = 1_795_442_400 * SECOND  # wall clock at boot: 2026-11-23 14:00:00 UTC
CLOCK = WallClock(OFFSET, UTC)
NOW = HOUR + 205 * SECOND  # 15:03:25
FAULT = NOW - 12 * SECOND


EXITED = ProcessExited("web/web-1", "4410:4000", Exit(signal="KILL"))
PROMOTE = Promote("web/web-2", 7, "primary web-1 is down; web-2 takes over", "i-3", 40)
START = Start("web/web-1", 7, 1, "killed by signal KILL", "i-3", 41)
TURNS = (
    Turn(1, FAULT + 212 * MILLISECOND, EXITED, (PROMOTE,)),
    Turn(2, FAULT + 300 * MILLISECOND, Ticked(), (START,)),
    Turn(3, FAULT + 615 * MILLISECOND, Finished(40, Ending.DONE), ()),
    Turn(4, FAULT + 800 * MILLISECOND, Finished(41, Ending.FAILED, "no such program"), ()),
)


def probe(name: str = "http", port: int = 8001) -> ProbePolicy:
    return ProbePolicy(name, Purpose.READINESS, HttpCheck("127.0.0.1", port))


def web_policy(mode: Mode = Mode.ACTIVE_STANDBY) -> ServicePolicy:
    members = tuple(
        MemberPolicy(
            f"web-{i}", ProcessSpec(("python3", "-m", "http.server", f"800{i}")), (probe(port=8000 + i),)
        )
        for i in (1, 2)
    )
    return ServicePolicy("web", mode, members)


def policy(*services: ServicePolicy) -> Policy:
    chosen = services or (web_policy(),)
    return Policy("shop", {service.name: service for service in chosen}, revision="4f1c")


def passed(at: int = NOW) -> ProbeState:
    answer = Observation(Outcome.PASSED, Layer.CONTENT, Failure.NONE, 3 * MILLISECOND, at, "HTTP 200")
    return ProbeState(passed=True, since=at - HOUR, streak=1, last=answer)


def failed(at: int = NOW) -> ProbeState:
    answer = Observation(
        Outcome.FAILED,
        Layer.CONNECT,
        Failure.REFUSED,
        MILLISECOND,
        at,
        "connection refused by 127.0.0.1:8001",
    )
    return ProbeState(passed=False, since=FAULT, streak=-3, last=answer)


def up(name: str, pid: int, role: Role = Role.STANDBY, epoch: int = 0) -> ComponentState:
    return ComponentState(
        id=name,
        process=ProcessRunning(f"{pid}:5000", NOW - HOUR),
        status=Status.UP,
        status_since=NOW - HOUR,
        has_been_up=True,
        role=role,
        epoch=epoch,
        probes={"http": passed()},
    )


def down(name: str) -> ComponentState:
    return ComponentState(
        id=name,
        process=ProcessAbsent(FAULT, "4410:4000", Exit(signal="KILL"), is_expected=False),
        status=Status.DOWN,
        status_since=FAULT,
        reason="the process was killed by signal KILL",
        has_been_up=True,
        epoch=6,
        probes={"http": failed()},
        restarted_at=(FAULT,),
        attempts=1,
    )


def traffic(active: str, **lanes: Lane) -> dict[str, MemberTraffic]:
    return {
        name.replace("_", "-"): MemberTraffic(
            lane, 3 if name.replace("_", "-") == active else 0, lane is Lane.IN
        )
        for name, lane in lanes.items()
    }


def calm(chosen: Policy | None = None) -> State:
    """Return a system in which all is well: web-1 serves, web-2 stands by."""
    lanes = {"web-1": Lane.IN, "web-2": Lane.IN}
    web = ServiceState(
        "web",
        epoch=6,
        assigned="web-1",
        health=1.0,
        serving=True,
        serving_since=NOW - HOUR,
        has_served=True,
        seen=traffic("web-1", web_1=Lane.IN, web_2=Lane.IN),
        seen_active="web-1",
        routed=Routing("web-1", lanes),
    )
    return State(
        policy=chosen or policy(),
        components={
            "web/web-1": up("web/web-1", 4410, Role.PRIMARY, 6),
            "web/web-2": up("web/web-2", 4411),
        },
        services={"web": web},
        health=1.0,
        surveyed_at=NOW - SECOND,
        next_decision=12,
        wall_offset=OFFSET,
        boot="b00t",
    )


def cause() -> Cause:
    return Cause(
        CauseCode.PROCESS_EXITED,
        "web/web-1",
        "web/web-1 was killed by signal KILL",
        (
            "signal KILL, not sent by holdfast",
            "no out-of-memory kill in its cgroup",
            "http answered 0.9s before",
        ),
    )


def open_incident() -> Incident:
    return Incident(
        id="i-3",
        service="web",
        opened_at=FAULT + 212 * MILLISECOND,
        fault_at=FAULT,
        cause=cause(),
        components=("web/web-1", "web/web-2"),
        timeline=(
            Entry(
                FAULT + 212 * MILLISECOND,
                Stage.DETECTED,
                "web/web-1",
                "the process was killed by signal KILL",
            ),
            Entry(
                FAULT + 230 * MILLISECOND,
                Stage.DIAGNOSED,
                "web/web-1",
                "process_exited: killed by signal KILL",
            ),
            Entry(FAULT + 240 * MILLISECOND, Stage.ACTED, "web", "route: web-2 takes over"),
            Entry(
                FAULT + 250 * MILLISECOND,
                Stage.WITHHELD,
                "web/web-1",
                "start (backoff): the back-off runs for 200ms",
            ),
            Entry(FAULT + 615 * MILLISECOND, Stage.FAILED_OVER, "web", "web-2 serves, epoch 7"),
        ),
        diagnosed_at=FAULT + 230 * MILLISECOND,
        outage_from=FAULT + 212 * MILLISECOND,
        failed_over_at=FAULT + 615 * MILLISECOND,
        outage=403 * MILLISECOND,
        health_min=0.5,
    )


def closed_incident() -> Incident:
    incident = open_incident()
    entry = Entry(FAULT + 2480 * MILLISECOND, Stage.RECOVERED, "web", "redundancy 2/2 again")
    return replace(incident, timeline=(*incident.timeline, entry), closed_at=entry.at)


def hurt() -> State:
    """Return a system 12 s after web-1 was killed: web-2 took over."""
    state = calm()
    web = replace(
        state.services["web"],
        epoch=7,
        assigned="web-2",
        health=0.5,
        serving_since=FAULT + 615 * MILLISECOND,
        seen=traffic("web-2", web_1=Lane.DOWN, web_2=Lane.IN),
        seen_active="web-2",
        routed=Routing("web-2", {"web-1": Lane.DOWN, "web-2": Lane.IN}),
        incident="i-3",
    )
    return replace(
        state,
        components={"web/web-1": down("web/web-1"), "web/web-2": up("web/web-2", 4411, Role.PRIMARY, 7)},
        services={"web": web},
        incidents={"i-3": open_incident()},
        health=0.5,
        next_incident=4,
    )
