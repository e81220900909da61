"""PostgreSQL in the file: what it becomes, and what is wrong with it."""

import pytest

from holdfast.config import plan
from holdfast.model.policy import Purpose
from holdfast.model.postgresql import OWN_PARAMETERS, Commit, Outside, PostgresCheck, PostgresServer
from holdfast.model.secrets import SecretFrom
from holdfast.model.tags import Tags
from tests.unit.config.test_several_hosts import several, wrong
from tests.unit.config.worlds import problems

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


def test_a_server_on_one_host_is_told_that_it_needs_several() -> None:
    text = service(members="members: { a: {} }")
    (line,) = problems(f"system: shop\nservices:\n  {text}\n")
    assert "a runs PostgreSQL, which needs several hosts" in line
    assert "add cluster and hosts" in line


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


def with_commit(more: str, members: str = "members: { a: { on: h1 }, b: { on: h2 } }") -> str:
    return service(members=members).replace("lag_max: 2MB", more)


def test_commits_wait_for_as_many_standbys_as_the_file_asks_for() -> None:
    (server, _) = (
        member.run.managed
        for member in several(with_commit("commit: quorum, strict: true")).services["db"].members
    )
    assert isinstance(server, PostgresServer)
    assert (server.commit, server.acknowledged_by, server.is_strict) == (Commit.QUORUM, 1, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("commit: slow", "asynchronous, synchronous or quorum"),
        ("acknowledged_by: 1", "acknowledged_by: goes with commit: synchronous or quorum"),
        ("strict: true", "strict: goes with commit: synchronous or quorum"),
        (
            "commit: quorum, acknowledged_by: 2",
            "wait for 2 standbys, and beside a primary 1 can acknowledge them",
        ),
        ("commit: synchronous, acknowledged_by: 0", "acknowledged_by"),
        (
            "parameters: { synchronous_standby_names: '*' }",
            "synchronous_standby_names, which holdfast sets itself",
        ),
        ("commit: quorum, parameters: { synchronous_commit: local }", "before standbys have them on disk"),
    ],
)
def test_each_mistake_about_commits_is_told(more: str, said: str) -> None:
    assert said in "\n".join(wrong(with_commit(more)))


def test_members_make_one_promise_about_commits() -> None:
    members = "members: { a: { on: h1, run: { postgresql: { commit: quorum } } }, b: { on: h2 } }"
    assert any("it is one promise" in line for line in wrong(with_commit("lag_max: 1MB", members)))


def test_members_have_tags() -> None:
    members = "members: { a: { on: h1, priority: 5 }, b: { on: h2, nofailover: true, nosync: true } }"
    first, second = several(with_commit("lag_max: 1MB", members)).services["db"].members
    assert first.tags == Tags(priority=5)
    assert second.tags == Tags(nofailover=True, nosync=True)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            "members: { a: { on: h1, nosync: true }, b: { on: h2 } }",
            "beside a primary 0 can acknowledge them",
        ),
        (
            "members: { a: { on: h1, nofailover: true }, b: { on: h2, nofailover: true } }",
            "is so for every member",
        ),
        (
            "members: { a: { on: h1, nofailover: true }, b: { on: h2 } }",
            "the member that makes the first data",
        ),
    ],
)
def test_tags_that_leave_nobody_are_told(members: str, said: str) -> None:
    assert said in "\n".join(wrong(with_commit("commit: quorum", members)))


def test_what_holdfast_sets_itself_is_refused_in_the_file() -> None:
    for name in OWN_PARAMETERS:
        assert name in "\n".join(wrong(with_commit(f"parameters: {{ {name}: x }}")))


def test_commands_make_the_first_data_and_the_copies() -> None:
    commands = "bootstrap: [restore, '--to', x], clone: [[copy, a], tool], config: /etc/pg.conf, lag_max"
    server = several(service().replace("lag_max", commands)).services["db"].members[0].run.managed
    assert isinstance(server, PostgresServer)
    assert server.bootstrap == ("restore", "--to", "x")
    assert server.clone == (("copy", "a"), ("tool",))
    assert server.config == "/etc/pg.conf"
    told = wrong(service().replace("lag_max", "bootstrap: restore, initdb: [--no-sync], lag_max"))
    assert any("initdb" in line and "goes without bootstrap" in line for line in told)


def with_ways(a: str, b: str, c: str, more: str = "lag_max: 1MB") -> str:
    members = f"members: {{ a: {{ on: h1{a} }}, b: {{ on: h2{b} }}, c: {{ on: h1, port: 5433{c} }} }}"
    return with_commit(more, members)


def test_a_standby_may_stream_from_another_one() -> None:
    tags = [member.tags for member in several(with_ways("", "", ", streams_from: b")).services["db"].members]
    assert [each.streams_from for each in tags] == [None, None, "b"]
    assert [each.may_acknowledge for each in tags] == [True, True, False]


@pytest.mark.parametrize(
    ("ways", "more", "said"),
    [
        (("", "", ", streams_from: d"), "lag_max: 1MB", "names d, which is no member"),
        (("", "", ", streams_from: c"), "lag_max: 1MB", "leads around to the member itself: c -> c"),
        (
            (", streams_from: b", ", streams_from: c", ", streams_from: a"),
            "lag_max: 1MB",
            "leads around to the member itself: a -> b -> c -> a",
        ),
        (
            ("", "", ", streams_from: b"),
            "commit: quorum, acknowledged_by: 2",
            "beside a primary 1 can acknowledge them",
        ),
    ],
)
def test_each_mistake_about_ways_is_told(ways: tuple[str, str, str], more: str, said: str) -> None:
    assert said in "\n".join(wrong(with_ways(*ways, more)))


OUTSIDE = "follows: { host: pg.other-site.example, user: dr, password: { file: /etc/pg } }"


def test_a_whole_cluster_may_follow_a_server_outside() -> None:
    member, _ = several(with_commit(OUTSIDE.replace("user", "slot: shop, user"))).services["db"].members
    assert isinstance(member.run.managed, PostgresServer)
    outside = member.run.managed.follows
    assert outside == Outside("pg.other-site.example", "dr", SecretFrom(file="/etc/pg"), slot="shop")
    assert outside.words == "pg.other-site.example:5432"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (OUTSIDE.replace("host: pg.other-site.example, ", ""), "needs the key host"),
        (OUTSIDE.replace("{ file: /etc/pg }", "hunter2"), "must be a secret's place, not the secret itself"),
        (f"{OUTSIDE}, commit: quorum", "goes with follows as asynchronous only"),
        (f"{OUTSIDE}, initdb: [--locale=C]", "initdb: goes without follows"),
        (f"{OUTSIDE}, bootstrap: [restore]", "write clone: [[command]]"),
        (OUTSIDE.replace("dr,", "holdfast_replicator,"), "holdfast's own to set"),
        (OUTSIDE.replace("pg.other-site.example", "10.0.0.2"), "which is its own member b"),
    ],
)
def test_each_mistake_about_the_server_outside_is_told(more: str, said: str) -> None:
    told = "\n".join(wrong(with_commit(more)))
    assert said in told
    assert "hunter2" not in told


def test_members_follow_one_server_outside() -> None:
    members = f"members: {{ a: {{ on: h1, run: {{ postgresql: {{ {OUTSIDE} }} }} }}, b: {{ on: h2 }} }}"
    assert any("differ in follows" in line for line in wrong(with_commit("lag_max: 1MB", members)))


def test_a_server_that_runs_begins_and_ceases_to_follow_one_outside() -> None:
    independent, follower = several(with_commit("lag_max: 1MB")), several(with_commit(OUTSIDE))
    for change in (plan(independent, follower), plan(follower, independent)):
        assert "goes on running" in str(change)
