"""A whole cluster as a standby of a server outside: from nothing, through the loss of a host, until it is let go."""

import shutil
from collections.abc import Iterator
from functools import partial

import pytest

from tests.lab.databases import RECOVERS_S, Database
from tests.lab.hosts import Cluster
from tests.lab.outside_database import PASSWORD, USER, OutsideDatabase
from tests.lab.several_hosts import ask, seen_from

LEASE = "2s"


@pytest.fixture
def outside(etcd3: Cluster) -> Iterator[OutsideDatabase]:
    made = OutsideDatabase(etcd3)
    try:
        made.make("10.0.0.0/8")
        made.start()
        etcd3.until(lambda: made.ask("select 1"), "the server outside", RECOVERS_S)
        made.ask(f"create role {USER} login replication password '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
        made.ask("create table seen (number bigint primary key)")
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


def tell(database: Database, **more: object) -> None:
    """Write the file of all hosts."""
    service = database.service(**more)
    if "follows" in more:
        del service["run"]["postgresql"]["initdb"]
    database.cluster.write({"db": service}, lease=LEASE)


def holder(database: Database, asked: str) -> str | None:
    lease = seen_from(database.cluster, asked)["leases"][0]["lease"]
    return lease["host"] if lease else None


def explained(database: Database, asked: str, what: str = "db") -> str:
    return " ".join(ask(database.cluster, asked, "explain", what).stdout.split())


def streams_from_outside(database: Database, host: str, outside: OutsideDatabase) -> bool:
    query = "select sender_host || ':' || sender_port from pg_stat_wal_receiver where status = 'streaming'"
    return database.on(host, query) == outside.words


def has(database: Database, host: str, rows: set[int]) -> bool:
    return database.numbers(host) == rows


@pytest.mark.timeout(240)
def test_a_standby_cluster_follows_a_server_outside_until_it_is_let_go(
    database: Database, outside: OutsideDatabase
) -> None:
    cluster, (first, *_) = database.cluster, database.hosts

    def everybody_has(rows: set[int], *hosts: str) -> None:
        what = f"{len(rows)} rows on {' '.join(hosts)}"
        cluster.until(lambda: all(database.numbers(host) == rows for host in hosts), what, RECOVERS_S)

    rows = outside.write(1)
    tell(database, follows=outside.follows())
    cluster.start_agents()
    everybody_has(rows, *database.hosts)
    cluster.until(lambda: streams_from_outside(database, first, outside), "it streams", RECOVERS_S)
    cluster.until(lambda: f"follows {outside.words}" in explained(database, first), "it says so", RECOVERS_S)
    assert outside.ask("select count(*) from pg_stat_replication") == "1", "the others stream from a member"
    assert database.writable() == []
    rows |= outside.write(100)
    everybody_has(rows, *database.hosts)

    chosen = database.hosts[1]
    servers = [database.postmaster(host) for host in database.hosts]
    assert ask(cluster, first, "switchover", "db", "--to", chosen, "--reason", "a test").returncode == 0
    cluster.until(
        lambda: streams_from_outside(database, chosen, outside), "the other one streams", RECOVERS_S
    )
    rows |= outside.write(150)
    everybody_has(rows, *database.hosts)
    assert [database.postmaster(host) for host in database.hosts] == servers, (
        "no server was restarted for that"
    )

    old = chosen
    cluster.nemesis.crash(old)
    left = [host for host in database.hosts if host != old]
    rows |= outside.write(200)
    everybody_has(rows, *left)
    cluster.nemesis.heal()
    cluster.reboot(old)
    rows |= outside.write(300)
    everybody_has(rows, *database.hosts)

    outside.stop()
    new = holder(database, left[0])
    assert new is not None
    note, why = f"is to follow {outside.words}", f"does not stream from {outside.words}"
    cluster.until(lambda: note in explained(database, new), "it says so", RECOVERS_S)
    cluster.until(lambda: why in explained(database, new, f"db/{new}"), "it says why", RECOVERS_S)
    assert holder(database, new) == new, "to move the role would not help"
    assert database.writable() == []

    tell(database)
    applied = ask(cluster, new, "apply", "--yes", "--wait", "60s")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    cluster.until(lambda: len(database.writable()) == 1, "it is open for writes", RECOVERS_S)
    cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    rows |= database.write(database.primary(), 400)
    everybody_has(rows, *database.hosts)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_an_agent_that_starts_with_a_file_without_it_promotes_who_followed(
    database: Database, outside: OutsideDatabase
) -> None:
    cluster, (first, *_) = database.cluster, database.hosts
    rows = outside.write(1)
    tell(database, follows=outside.follows())
    cluster.start_agents()
    what = "rows on all, and the first one streams"
    cluster.until(lambda: all(database.numbers(host) == rows for host in database.hosts), what, RECOVERS_S)
    cluster.until(lambda: streams_from_outside(database, first, outside), "it streams", RECOVERS_S)
    for agent in cluster.agents.values():
        agent.kill()
        agent.wait()
    rows |= outside.write(100)
    outside.stop()
    tell(database)
    cluster.start_agents()
    cluster.until(lambda: len(database.writable()) == 1, "it is open for writes", RECOVERS_S)
    cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    for host in database.hosts:
        cluster.until(partial(has, database, host, rows), f"all rows on {host}", RECOVERS_S)
