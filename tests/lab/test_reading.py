"""Reading from standbys on three hosts, and what a primary that slept too long can still tell its clients."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import pytest
from psycopg import pq

from tests.lab.databases import LISTEN, RECOVERS_S, Database
from tests.lab.fixtures import lent
from tests.lab.hosts import Cluster
from tests.lab.redis_service import PASSWORD, PORT, RedisService, exchange

READS = 7434
LEASE = "10s"  # where no host is lost: who is busy does not lose it


class ReadDatabase(Database):
    """A database whose standbys are read from."""

    def service(self, **more: Any) -> dict[str, Any]:
        made = super().service(**more)
        made["traffic"]["read_only"] = {"listen": f"0.0.0.0:{READS}", "delay_max": "4s"}
        return made

    def raise_up(self, lease: str = "2s", **more: Any) -> None:
        super().raise_up(lease, **more)
        self.on(self.primary(), "create role app login password 'app'; grant all on seen to app")
        self.cluster.until(
            lambda: all(self.through_balancer(host, "select 1") for host in self.hosts),
            "every balancer lets clients in",
        )

    def read_at(self, host: str) -> str | None:
        """Return whose data a client reads through the balancer of a host."""
        address = self.cluster.site.network[host].address
        words = f"host={address} port={READS} user=app password=app dbname=postgres sslmode=disable connect_timeout=2"
        with self.cluster.site.network.hub.entered():
            connection = pq.PGconn.connect(words.encode())
        try:
            answer = connection.exec_(b"select host(inet_server_addr())")
            told = answer.get_value(0, 0) if answer.status == pq.ExecStatus.TUPLES_OK else None
        finally:
            connection.finish()
        by_address = {each.address: each.name for each in self.cluster.site.hosts}
        return by_address.get(told.decode()) if told is not None else None

    def until_read(self, *wanted: str) -> None:
        """Wait until reads through every balancer are answered by all of these, and by nobody else."""

        def are_read(host: str) -> bool:
            return {self.read_at(host) for _ in range(6)} == set(wanted)

        for host in self.hosts:
            what = f"{wanted} are read from through the balancer of {host}"
            self.cluster.until(partial(are_read, host), what, RECOVERS_S)


@pytest.fixture
def database(etcd3: Cluster) -> Iterator[ReadDatabase]:
    with lent(ReadDatabase(etcd3)) as made:
        yield made


def test_reads_go_to_standbys_that_are_new_enough_and_to_the_primary_when_none_is(
    database: ReadDatabase,
) -> None:
    database.raise_up(lease=LEASE)
    primary = database.primary()
    one, other = (host for host in database.hosts if host != primary)
    database.until_read(one, other)
    database.on(one, "select pg_wal_replay_pause()")
    database.until_read(other)
    database.on(other, "select pg_wal_replay_pause()")
    database.until_read(primary)
    database.on(one, "select pg_wal_replay_resume()")
    database.until_read(one)
    database.on(other, "select pg_wal_replay_resume()")
    database.until_read(one, other)


@pytest.mark.long
def test_a_standby_whose_stream_is_stuck_or_that_is_promoted_is_not_read_from(
    database: ReadDatabase,
) -> None:
    database.raise_up(lease=LEASE)
    primary = database.primary()
    one, other = (host for host in database.hosts if host != primary)
    database.until_read(one, other)
    receiver = int(database.on(one, "select pid from pg_stat_wal_receiver") or "0")
    database.cluster.nemesis.freeze(receiver)
    database.until_read(other)
    database.cluster.nemesis.thaw(receiver)
    database.until_read(one, other)
    reign = database.reign()
    database.cluster.nemesis.kill(database.postmaster(primary))
    database.cluster.until(lambda: database.reign() > reign, "a new reign", RECOVERS_S)
    database.cluster.until(database.is_whole, "the others stream", RECOVERS_S)
    promoted = database.primary()
    database.until_read(*(host for host in database.hosts if host != promoted))


# --- a primary that slept through its lease -----------------------------------------------------------


class Pinned:
    """A client that keeps its connection, through the balancer of a host, and sends without waiting."""

    def __init__(self, database: ReadDatabase, host: str, port: int) -> None:
        address = database.cluster.site.network[host].address
        words = f"host={address} port={port} user=app password=app dbname=postgres sslmode=disable"
        with database.cluster.site.network.hub.entered():
            self.connection = pq.PGconn.connect(words.encode())
        assert self.connection.status == pq.ConnStatus.OK, self.connection.error_message

    def insert(self, number: int) -> bool:
        """Write a row, and wait for the answer."""
        answer = self.connection.exec_(f"insert into seen values ({number})".encode())
        return answer.status == pq.ExecStatus.COMMAND_OK

    def send(self, number: int) -> None:
        """Write a row, and leave it to `is_acknowledged` to wait for the answer."""
        self.connection.send_query(f"insert into seen values ({number})".encode())

    def is_acknowledged(self) -> bool:
        """Tell whether the row was acknowledged; wait until that is known, at the latest when the connection ends."""
        answer = self.connection.get_result()
        return answer is not None and answer.status == pq.ExecStatus.COMMAND_OK


def test_a_primary_that_slept_through_its_lease_with_its_whole_host_acknowledges_nothing_when_it_wakes(
    database: ReadDatabase,
) -> None:
    database.raise_up(lease="4s")
    cluster, old = database.cluster, database.primary()
    other = next(host for host in database.hosts if host != old)
    pins = [Pinned(database, other, LISTEN), Pinned(database, old, LISTEN)]
    assert all(pin.insert(number) for number, pin in enumerate(pins, 1))
    cluster.until(lambda: all({1, 2} <= database.numbers(host) for host in database.hosts), "all have them")
    cluster.nemesis.pause(old)  # its balancer, its agent and its guard sleep as well
    for number, pin in enumerate(pins, 11):
        pin.send(number)  # it waits in a buffer for when it wakes
    cluster.until(lambda: database.has_moved(old), "another primary", RECOVERS_S)
    cluster.nemesis.resume(old)
    assert not pins[0].is_acknowledged()
    # A client of the sleeping host's own balancer may be answered in the milliseconds before the guard ends it: see limits.
    pins[1].is_acknowledged()
    cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    assert {1, 2} <= database.numbers(database.primary())
    assert not {11, 12} & database.numbers(database.primary())


# --- Redis --------------------------------------------------------------------------------------------


class ReadCache(RedisService):
    """A Redis whose standbys are read from."""

    def service(self, parameters: dict[str, str], **more: Any) -> dict[str, Any]:
        made = super().service(parameters, **more)
        made["traffic"]["read_only"] = {"listen": f"0.0.0.0:{READS}", "delay_max": "2s", "cut_stale": True}
        return made

    def read_at(self, host: str) -> str | None:
        """Return whose data a client reads through the balancer of a host."""
        address = (self.cluster.site.network[host].address, READS)
        with self.cluster.site.network.hub.entered():
            answers = exchange(address, ("AUTH", PASSWORD), ("CLIENT", "INFO"), within_s=2.0)
        told = answers[1] if answers else b""
        words = (
            dict(word.partition("=")[::2] for word in str(told, "ascii").split())
            if isinstance(told, bytes)
            else {}
        )
        by_address = {each.address: each.name for each in self.cluster.site.hosts}
        return by_address.get(words.get("laddr", "").rpartition(":")[0])

    def until_read(self, at: Collection[str], *wanted: str) -> None:
        """Wait until reads through these balancers are answered by all of `wanted`, and by nobody else."""

        def are_read() -> bool:
            return all({self.read_at(host) for _ in range(6)} == set(wanted) for host in at)

        self.cluster.until(are_read, f"{wanted} are read from through the balancers of {at}", RECOVERS_S)


def test_standbys_of_redis_are_read_from_while_what_their_primary_writes_arrives(etcd3: Cluster) -> None:
    with lent(ReadCache(etcd3)) as cache:
        cache.raise_up(lease=LEASE)
        primary = cache.primary()
        one, other = (host for host in cache.hosts if host != primary)
        cache.until_read(cache.hosts, one, other)
        # Nothing arrives any more, while each still thinks that it is connected: only what arrives tells that. The port
        # alone is cut: etcd, parted and joined again, may elect for seconds, and then the role may move.
        etcd3.nemesis.cut_port(PORT, clients=[one], servers=[primary])
        cache.until_read((other,), other)
        etcd3.nemesis.heal()
        cache.until_read(cache.hosts, one, other)
