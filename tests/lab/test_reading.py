"""Reading from PostgreSQL's standbys on three hosts, and what a primary that slept too long can still tell its clients."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.databases import RECOVERS_S, Database
from tests.lab.hosts import Cluster

READS = 7434


class ReadDatabase(Database):
    """A database whose standbys are read from."""

    def service(self, **more: Any) -> dict[str, Any]:
        made = super().service(**more)
        made["traffic"]["read_only"] = {"listen": f"0.0.0.0:{READS}", "delay_max": "2s"}
        return made

    def raise_up(self, **more: Any) -> None:
        super().raise_up(**more)
        self.on(self.primary(), "create role app login password 'app'; grant all on seen to app")
        self.cluster.until(
            lambda: all(self.through_balancer(host, "select 1") for host in self.hosts),
            "every balancer lets clients in",
        )

    def read_at(self, host: str) -> str | None:
        """Return whose data a client reads through the balancer of a host."""
        address = self.cluster.site.network[host].address
        target = f"host={address} port={READS} user=app password=app dbname=postgres connect_timeout=2"
        client = [f"{self.programs}/psql", "-XAtqc", "select inet_server_addr()", target]
        command = [*self.cluster.site.network.hub.prefix, *client]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            return None
        by_address = {each.address: each.name for each in self.cluster.site.hosts}
        return by_address.get(done.stdout.strip())

    def until_read(self, *wanted: str) -> None:
        """Wait until reads through every balancer are answered by all of these, and by nobody else."""

        def are_read() -> bool:
            return all({self.read_at(host) for _ in range(6)} == set(wanted) for host in self.hosts)

        self.cluster.until(are_read, f"{wanted} are read from through every balancer", RECOVERS_S)


@pytest.fixture
def database(etcd3: Cluster) -> Iterator[ReadDatabase]:
    made = ReadDatabase(etcd3)
    try:
        yield made
    finally:
        etcd3.site.restore(etcd3.nemesis)
        shutil.rmtree(made.folder, ignore_errors=True)


def test_reads_go_to_standbys_that_are_new_enough_and_to_the_primary_when_none_is(
    database: ReadDatabase,
) -> None:
    database.raise_up()
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


def test_a_standby_whose_stream_is_stuck_or_that_is_promoted_is_not_read_from(
    database: ReadDatabase,
) -> None:
    database.raise_up()
    primary = database.primary()
    one, other = (host for host in database.hosts if host != primary)
    database.until_read(one, other)
    receiver = int(database.on(one, "select pid from pg_stat_wal_receiver") or "0")
    database.cluster.nemesis.freeze(receiver)
    database.until_read(other)
    database.cluster.nemesis.thaw(receiver)
    database.until_read(one, other)
    database.cluster.nemesis.kill(database.postmaster(primary))
    database.cluster.until(lambda: database.has_moved(primary), "another primary", RECOVERS_S)
    database.cluster.until(database.is_whole, "the old primary streams", RECOVERS_S)
    promoted = database.primary()
    database.until_read(*(host for host in database.hosts if host != promoted))
