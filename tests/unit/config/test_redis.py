"""Redis in the file: what it becomes, and what is wrong with it."""

from holdfast.config import plan
from holdfast.model.policy import Purpose
from holdfast.model.redis import RedisCheck, RedisServer
from holdfast.model.time import SECOND
from tests.unit.config.test_several_hosts import several, wrong

RUN = "run: { redis: { data: /srv/redis, min_replicas_to_write: 1, min_replicas_max_lag: 2s, sentinel: 26379 } }"
MEMBERS = "members: { a: { on: h1 }, b: { on: h2 } }"


def service(more: str = "mode: active-standby, port: 6379", members: str = MEMBERS, run: str = RUN) -> str:
    return f"cache: {{ {more}, {members}, {run} }}"


def test_a_server_listens_where_its_member_is_and_is_asked_over_a_new_connection() -> None:
    first, second = several(service()).services["cache"].members
    server = first.run.managed
    assert isinstance(server, RedisServer)
    assert (server.data, server.host, server.port) == ("/srv/redis", "10.0.0.1", 6379)
    assert (server.min_replicas_to_write, server.min_replicas_max_lag) == (1, 2 * SECOND)
    assert server.sentinel == "10.0.0.1:26379"
    assert first.run.has_roles
    assert second.host == "10.0.0.2"
    (probe,) = first.probes
    assert isinstance(probe.check, RedisCheck)
    assert probe.purpose is Purpose.LIVENESS


def test_a_server_needs_a_standby_a_host_and_a_port() -> None:
    told = "\n".join(wrong(service("mode: singleton", "members: { a: {} }")))
    assert "must be active-standby" in told
    assert "has to be bound to a host" in told
    assert "needs a port" in told


def test_what_is_holdfasts_to_set_is_no_parameter() -> None:
    parameters = "parameters: { maxmemory: 1gb, replicaof: nobody, requirepass: x }"
    told = wrong(service(run=RUN.replace("data:", f"{parameters}, data:")))
    assert len(told) == 2
    assert any(
        "has requirepass, which holdfast sets itself" in line and "write password" in line for line in told
    )


def test_a_key_of_a_command_does_not_go_with_a_server() -> None:
    told = wrong(service(run=RUN.replace("} }", "}, directory: /tmp }")))
    assert any("directory goes with command, not with redis" in line for line in told)


def test_parameters_restart_a_server_and_limits_of_holdfasts_own_do_not() -> None:
    before = several(service())
    tuned = several(service(run=RUN.replace("data:", "parameters: { maxmemory: 1gb }, data:")))
    eager = several(service(run=RUN.replace("data:", "lag_max: 2MB, data:")))
    assert "is restarted: redis.parameters changed" in str(plan(before, tuned))
    assert "goes on running" in str(plan(before, eager))
