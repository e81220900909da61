"""The verbs of several hosts as an operator calls them, over a real socket to a stand-in agent of h1."""

import json
from pathlib import Path

import pytest

from holdfast.agent import protocol
from holdfast.agent.protocol import ErrorKind, Failure
from holdfast.config import load_text
from holdfast.coordination.recipes.shared_policy import PolicyRevision
from holdfast.model.value import replace
from tests.unit.cli import cluster_worlds
from tests.unit.cli.calling import Call
from tests.unit.cli.cluster_worlds import CHANGED, FILE
from tests.unit.cli.stand_in import StandIn


@pytest.fixture
def h1(agent: StandIn) -> StandIn:
    agent.state = cluster_worlds.calm()
    agent.cluster = cluster_worlds.cluster()
    agent.whole = load_text(FILE)
    return agent


def share(h1: StandIn, *texts: str) -> None:
    """Have it that these were applied, one after the other."""
    for number, text in enumerate(texts, 1):
        h1.history.insert(0, PolicyRevision(number, load_text(text).revision, text, "ann", "mac"))


def write(folder: Path, text: str, name: str = "holdfast.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def applied(h1: StandIn) -> list[protocol.ApplyRequest]:
    return [one for one in h1.asked if isinstance(one, protocol.ApplyRequest) and not one.dry_run]


# --- looking ----------------------------------------------------------------------------------------------


def test_status_shows_the_hosts_and_exits_by_all_of_them(call: Call, h1: StandIn) -> None:
    result = call("status")
    assert result.exit_code == 0
    assert "SESSION" in result.output
    assert h1.cluster is not None
    h1.cluster = cluster_worlds.with_host(h1.cluster, replace(cluster_worlds.host("h3"), has_session=False))
    assert call("status").exit_code == 3
    assert call("status", "--nagios").exit_code == 1


def test_status_as_json_has_the_cluster(call: Call, h1: StandIn) -> None:
    told = json.loads(call("status", "--json").output)
    assert [host["name"] for host in told["cluster"]["hosts"]] == ["h1", "h2", "h3"]


def test_hosts_shows_hosts_leases_and_what_happened(call: Call, h1: StandIn) -> None:
    text = call("hosts").output
    assert "held by db-2 on h2, lease epoch 3" in text
    assert "h3 silent: no beat of it comes" in text
    told = json.loads(call("hosts", "--json").output)
    assert told["leases"][0]["lease"]["member"] == "db-2"


def test_hosts_of_one_host_says_what_to_use(call: Call, agent: StandIn) -> None:
    result = call("hosts")
    assert result.exit_code == 2
    assert "one host only" in result.output


def test_explain_service_tells_who_holds_the_lease_and_why(call: Call, h1: StandIn) -> None:
    text = " ".join(call("explain", "db").output.split())
    assert "who serves goes by lease" in text
    assert "held by db-2 on h2, lease epoch 3" in text
    assert "assigned db-2 on h2: planned switchover" in text
    assert "member db-2 up, on another host" in text
    assert json.loads(call("explain", "db", "--json").output)["lease"]["lease"]["host"] == "h2"


def test_explain_member_of_another_host_tells_what_that_host_says(call: Call, h1: StandIn) -> None:
    for subject in ("db/db-2", "db-2"):
        text = " ".join(call("explain", subject).output.split())
        assert text.startswith("db/db-2 is up")
        assert "h2 (10.0.0.2): heard by heartbeats, a session with the coordinator" in text
        assert "holdfast --host h2 explain db/db-2" in text
    assert json.loads(call("explain", "db-2", "--json").output)["component"]["role"] == "primary"


def test_explain_of_a_silent_former_primary_does_not_call_it_primary(call: Call, h1: StandIn) -> None:
    h1.state, h1.cluster = cluster_worlds.h2_lost()
    text = " ".join(call("explain", "db-2").output.split())
    assert "role former primary, epoch" in text
    assert "the lease is another member's" in text


def test_explain_host_tells_how_it_takes_part_and_what_was_noted(call: Call, h1: StandIn) -> None:
    text = call("explain", "h3").output
    assert text.startswith("h3 takes part")
    assert "web/web-3 up" in text
    assert "no beat of it comes" in text
    assert json.loads(call("explain", "h3", "--json").output)["host"]["name"] == "h3"
    assert call("explain", "h9").exit_code == 2


def test_why_not_failover_asks_by_the_leases_rules(call: Call, h1: StandIn) -> None:
    text = call("explain", "db", "--why-not", "failover").output
    assert "because of the rule 'the holder has to give up'" in text
    assert "db-2 on h2 serves" in text
    state, h1.cluster = cluster_worlds.h2_lost()
    unfit = replace(state.elsewhere["db/db-2"], unfit="its restart budget is spent")
    h1.state = replace(state, elsewhere={**state.elsewhere, "db/db-2": unfit})
    assert "its host h2 has no session" in call("explain", "db", "--why-not", "failover").output


def test_why_not_restart_of_another_hosts_member_says_whom_to_ask(call: Call, h1: StandIn) -> None:
    result = call("explain", "db-2", "--why-not", "restart")
    assert result.exit_code == 2
    assert "holdfast --host h2 explain db/db-2 --why-not restart" in result.output


def test_plan_compares_with_the_whole_file_and_not_with_one_hosts_part(
    call: Call, folder: Path, h1: StandIn
) -> None:
    write(folder, FILE)
    assert "no changes" in call("plan").output
    write(folder, CHANGED)
    assert "db/db-2 is restarted" in call("plan").output


# --- sharing a file ---------------------------------------------------------------------------------------


def test_apply_shows_the_difference_sends_what_was_looked_at_and_follows_it(
    call: Call, folder: Path, h1: StandIn
) -> None:
    share(h1, FILE)
    write(folder, CHANGED)
    result = call("apply", "--yes")
    assert result.exit_code == 0, result.output
    assert "compared with policy 1 by ann" in result.output
    assert "db/db-1 is restarted" in result.output
    assert "policy 2, revision" in result.output
    assert "h3 runs it" in result.output
    assert applied(h1) == [protocol.ApplyRequest(text=CHANGED, expect=1)]


def test_apply_for_the_first_time_expects_that_nothing_was_shared(
    call: Call, folder: Path, h1: StandIn
) -> None:
    write(folder, CHANGED)
    result = call("apply", "--yes")
    assert "compared with the file that each host has for itself" in result.output
    assert "db/db-1 is restarted" in result.output
    assert applied(h1) == [protocol.ApplyRequest(text=CHANGED, expect=0)]


def test_apply_names_every_mistake_before_anybody_is_asked(call: Call, folder: Path, h1: StandIn) -> None:
    write(folder, FILE.replace("mode: active-standby", "mode: sideways").replace("system", "sistem"))
    result = call("apply", "--yes")
    assert result.exit_code == 2
    assert "sistem" in result.output
    assert "sideways" in result.output
    assert h1.asked == []


def test_apply_asks_and_cannot_ask_without_a_terminal(call: Call, folder: Path, h1: StandIn) -> None:
    write(folder, CHANGED)
    result = call("apply")
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert not applied(h1)


def test_apply_dry_run_changes_nothing(call: Call, folder: Path, h1: StandIn) -> None:
    write(folder, CHANGED)
    result = call("apply", "--dry-run")
    assert result.exit_code == 0
    assert "nothing was changed" in result.output
    assert not applied(h1)
    assert json.loads(call("apply", "--dry-run", "--json").output)["plan"]["changes"]


def test_apply_after_somebody_else_is_refused(call: Call, folder: Path, h1: StandIn) -> None:
    write(folder, CHANGED)
    h1.failure = Failure(ErrorKind.REFUSED, "somebody was quicker: policy 4 is in force, not 0")
    result = call("apply", "--yes")
    assert result.exit_code == 5
    assert "somebody was quicker" in result.output


def test_apply_without_a_coordinator_has_an_exit_code_of_its_own(
    call: Call, folder: Path, h1: StandIn
) -> None:
    write(folder, CHANGED)
    h1.failure = Failure(ErrorKind.COORDINATOR, "it could not be shared: the coordinator cannot be reached")
    assert call("apply", "--yes").exit_code == 6


def test_apply_that_takes_too_long_says_who_waits_for_what(call: Call, folder: Path, h1: StandIn) -> None:
    h1.takes_over = False
    assert h1.cluster is not None
    waits = replace(
        cluster_worlds.host("h2"), problem="policy 1 by ann waits: h1 runs it, but db/db-1 there is down"
    )
    h1.cluster = cluster_worlds.with_host(h1.cluster, waits)
    write(folder, CHANGED)
    result = call("apply", "--yes", "--wait", "300ms")
    assert result.exit_code == 7
    assert "h2 waits: h1 runs it, but db/db-1 there is down" in result.output
    assert call("apply", "--yes", "--wait", "0s").exit_code == 0  # shared already; nobody waits


def test_apply_of_what_is_shared_already_sends_nothing(call: Call, folder: Path, h1: StandIn) -> None:
    share(h1, FILE)
    h1.takes_over = True
    assert h1.cluster is not None
    hosts = tuple(replace(host, revision=load_text(FILE).revision) for host in h1.cluster.hosts)
    h1.cluster = replace(h1.cluster, hosts=hosts)
    write(folder, FILE)
    result = call("apply")
    assert (result.exit_code, applied(h1)) == (0, [])
    assert "it is shared already" in result.output


def test_rollback_applies_the_newest_that_differs_under_a_new_number(call: Call, h1: StandIn) -> None:
    share(h1, FILE, CHANGED, CHANGED)
    result = call("apply", "--rollback", "--yes")
    assert result.exit_code == 0, result.output
    assert "policy 4, revision" in result.output
    assert applied(h1) == [protocol.ApplyRequest(text=FILE, expect=3)]


def test_rollback_to_a_number(call: Call, h1: StandIn) -> None:
    share(h1, FILE, CHANGED, FILE)
    assert call("apply", "--rollback", "2", "--yes").exit_code == 0
    assert applied(h1) == [protocol.ApplyRequest(text=CHANGED, expect=3)]
    result = call("apply", "--rollback", "9", "--yes")
    assert result.exit_code == 2
    assert "those that are kept: 4, 3, 2, 1" in result.output


def test_rollback_without_anything_earlier_says_so(call: Call, h1: StandIn) -> None:
    share(h1, FILE)
    result = call("apply", "--rollback", "--yes")
    assert result.exit_code == 2
    assert "no earlier policy that differs" in result.output
    assert call("apply", "holdfast.yaml", "--rollback").exit_code == 2


def test_policies_are_listed_and_shown(call: Call, h1: StandIn) -> None:
    assert "no file was shared yet" in call("policies").output
    share(h1, FILE, CHANGED)
    lines = call("policies").output.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["*", "2"], ["1", load_text(FILE).revision]]
    assert call("policies", "show", "1").output == FILE
    assert call("policies", "show", "9").exit_code == 2
    assert [one["number"] for one in json.loads(call("policies", "--json").output)] == [2, 1]


def test_one_host_is_told_to_reload(call: Call, folder: Path, agent: StandIn) -> None:
    write(folder, "system: shop\nservices: { web: { run: [sleep, inf] } }\n")
    result = call("apply", "--yes")
    assert result.exit_code == 2
    assert "holdfast reload" in result.output
    write(folder, FILE)
    result = call("apply", "--yes")  # the file has several hosts, and the agent has not
    assert result.exit_code == 2
    assert "holdfast reload" in result.output
