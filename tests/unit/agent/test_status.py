import msgspec

from holdfast.agent.status import AgentStatus, SystemStatus, one_line, status_of, without_ages
from holdfast.model.events import PauseRequested, Probed
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import Mode
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND
from tests.unit.agent.rehearsal import play, policy, running

AGENT = AgentStatus(1, "1", 5.0, "/etc/holdfast.yaml", "/var/lib/holdfast", "r1")


def answered(outcome: Outcome = Outcome.PASSED) -> State:
    seen = Observation(outcome, Layer.CONTENT, Failure.NONE, 3 * MILLISECOND, 2 * SECOND, "HTTP 200 OK")
    return play(running(policy()), Probed("web/web-1", "alive", "100:1", seen), at=2 * SECOND)


def test_status_survives_its_way_through_json() -> None:
    status = status_of(answered(), AGENT, 4 * SECOND)
    assert msgspec.json.decode(msgspec.json.encode(status), type=SystemStatus) == status


def test_member_shows_its_process_and_what_its_probes_said() -> None:
    (service,) = status_of(answered(), AGENT, 4 * SECOND).services
    member = service.members[0]
    assert (member.component, member.status, member.pid) == ("web/web-1", "up", 100)
    (probe,) = member.probes
    assert (probe.passed, probe.outcome, probe.latency_ms, probe.age_s) == (True, "passed", 3.0, 2.0)
    assert service.members[1].probes[0].passed is None


def test_active_active_service_names_no_active_member() -> None:
    (service,) = status_of(running(policy(Mode.ACTIVE_ACTIVE)), AGENT, 4 * SECOND).services
    assert service.active is None


def test_waiting_alone_tells_a_watcher_nothing_new() -> None:
    state = answered()
    earlier, later = (status_of(state, AGENT, seconds * SECOND) for seconds in (4, 9))
    assert earlier != later
    assert without_ages(earlier) == without_ages(later)
    paused = play(state, PauseRequested(None, 60 * SECOND, "ann", "w"), at=4 * SECOND)
    assert without_ages(status_of(paused, AGENT, 4 * SECOND)) != without_ages(earlier)


def test_pause_that_ran_out_is_not_shown() -> None:
    paused = play(answered(), PauseRequested(None, 60 * SECOND, "ann", "w"), at=4 * SECOND)
    shown = status_of(paused, AGENT, 10 * SECOND).paused
    assert shown is not None
    assert shown.left_s == 50.0
    assert status_of(paused, AGENT, 61 * SECOND).paused is None


def test_one_line_has_no_line_end() -> None:
    assert one_line(answered()).isprintable()
    assert one_line(answered()).startswith("rehearsal: health ")
