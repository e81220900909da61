"""PostgreSQL in the file: what it becomes, and what is wrong with it."""

from holdfast.config import plan
from holdfast.model.policy import Purpose
from holdfast.model.postgresql import PostgresCheck, PostgresServer
from tests.unit.config.test_several_hosts import several, wrong

RUN = "run: { postgresql: { data: /srv/pg, programs: /usr/lib/postgresql/15/bin, lag_max: 2MB } }"
MEMBERS = "members: { a: { on: h1 }, b: { on: h2 } }"


def service(more: str = "mode: active-standby, port: 5432", members: str = MEMBERS) -> str:
    return f"db: {{ {more}, {members}, {RUN} }}"


def test_a_server_listens_where_its_member_is_and_is_asked_over_a_new_connection() -> None:
    first, second = several(service()).services["db"].members
    server = first.run.managed
    assert isinstance(server, PostgresServer)
    assert (server.data, server.host, server.port, server.lag_max) == ("/srv/pg", "10.0.0.1", 5432, 2_000_000)
    assert first.run.has_roles
    assert first.run.can_be_demoted
    assert second.host == "10.0.0.2"
    (probe,) = first.probes
    assert isinstance(probe.check, PostgresCheck)
    assert probe.purpose is Purpose.LIVENESS


def test_a_server_needs_a_standby_a_host_and_a_port() -> None:
    told = "\n".join(wrong(service("mode: singleton", "members: { a: {} }")))
    assert "must be active-standby" in told
    assert "has to be bound to a host" in told
    assert "needs a port" in told


def test_a_key_of_a_command_does_not_go_with_a_server() -> None:
    run = RUN.replace("} }", "}, directory: /tmp }")
    told = wrong(service().replace(RUN, run))
    assert any("directory goes with command, not with postgresql" in line for line in told)


def test_parameters_are_changed_in_a_server_that_runs_and_its_place_is_not() -> None:
    before = several(service())
    tuned = several(service().replace("lag_max", "parameters: { work_mem: 8MB }, lag_max"))
    moved = several(service().replace("/srv/pg", "/srv/other"))
    assert "goes on running" in str(plan(before, tuned))
    assert "is restarted: postgresql.data changed" in str(plan(before, moved))
