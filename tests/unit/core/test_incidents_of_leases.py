"""An incident of a service under a lease ends when another host has taken the service over, and says who serves."""

from holdfast.loop import chronicle
from holdfast.model.cluster import MemberReport
from holdfast.model.incidents import Incident, Stage
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProcessSpec, ServicePolicy
from holdfast.model.routing import Routing
from holdfast.model.standing import Role, Status
from holdfast.model.state import ServiceState, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.core.test_reading import HERE, PRIMARY, THERE
from tests.unit.core.test_reading import state as pair

NOW = 100 * SECOND
QUIET = chronicle.Telling((), {}, (), ())
RUN = ProcessSpec(("serve",))
JOB = ServicePolicy(
    "job", Mode.SINGLETON, (), is_leased=True, elsewhere=(MemberPolicy("job-1", RUN),)
)  # bound to no host; it runs on another one now


def moved(report: MemberReport | None, policy: ServicePolicy = JOB) -> State:
    """Return a host that lost the lease of a singleton, of which another host tells `report`."""
    lost = Incident("i-1", "job", NOW - 9 * SECOND, NOW - 9 * SECOND, outage_from=NOW - 9 * SECOND)
    serves = report is not None and report.status is Status.UP
    service = ServiceState(
        "job", serving=serves, serving_since=NOW, has_served=True, health=float(serves), incident="i-1"
    )
    return State(
        Policy("shop", {"job": policy}),
        services={"job": service},
        entitlements={},
        elsewhere={"job/job-1": report} if report is not None else {},
        incidents={"i-1": lost},
    )


def told(before: State, service: str) -> Incident:
    after = chronicle.told(before, before, service, QUIET, NOW)
    (incident,) = after.incidents.values()
    return incident


def test_an_incident_ends_when_another_host_runs_the_service() -> None:
    running = MemberReport(Status.UP, Role.PRIMARY, epoch=2_000_001, share=1.0)
    incident = told(moved(running), "job")
    assert incident.closed_at == NOW
    texts = {entry.stage: entry.text for entry in incident.timeline}
    assert texts[Stage.FAILED_OVER] == "serves again, by job-1 under epoch 2000001; outage 9s"
    assert texts[Stage.RECOVERED] == "another host runs it; outage 9s"


def test_an_incident_stays_open_while_nobody_runs_the_service() -> None:
    assert told(moved(None), "job").is_open
    assert told(moved(MemberReport(Status.DOWN, Role.PRIMARY, epoch=2_000_001)), "job").is_open


def test_an_incident_of_what_runs_on_this_host_only_stays_open_while_nothing_is_meant_to_run() -> None:
    running = MemberReport(Status.UP, Role.PRIMARY, epoch=2_000_001, share=1.0)
    alone = replace(JOB, is_leased=False, elsewhere=())
    assert told(moved(running, alone), "job").is_open


def test_who_serves_again_is_who_has_the_role_by_the_newest_epoch() -> None:
    former = replace(HERE, role=Role.PRIMARY, epoch=4)
    before = pair(former, PRIMARY, THERE)
    service = ServiceState(
        "db", epoch=4, assigned="a", serving=True, has_served=True, routed=Routing("b", {}), incident="i-1"
    )
    lost = Incident("i-1", "db", NOW - SECOND, NOW - SECOND, outage_from=NOW - SECOND)
    incident = told(replace(before, services={"db": service}, incidents={"i-1": lost}), "db")
    assert "serves again, by b under epoch 5; outage 1s" in [entry.text for entry in incident.timeline]
