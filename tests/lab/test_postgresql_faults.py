"""Faults of a server that is there and does not do its work: each is found, named, and left for another one where that helps."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.lab.databases import PORT, RECOVERS_S, Database
from tests.lab.hosts import Cluster
from tests.lab.several_hosts import ask
from tests.lab.small_disks import FrailDisk, SmallDisk

DISK_BYTES = 192 << 20
# No host is lost here: the agent that finds the fault gives the lease up at once.
LEASE = "10s"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def database(etcd3: Cluster) -> Iterator[Database]:
    made = Database(etcd3, below="data")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, made.folder, ignore_errors=True)
        for host in made.hosts:
            mount(made, SmallDisk(made.folder / host, DISK_BYTES), stack)
        stack.callback(etcd3.site.restore, etcd3.nemesis)  # before the disks go: all that runs
        yield made


def mount(database: Database, disk: SmallDisk | FrailDisk, stack: ExitStack) -> None:
    stack.enter_context(disk)
    account = database.folder.stat()
    os.chown(disk.place, account.st_uid, account.st_gid)


def told_by(database: Database, host: str) -> str:
    """Return what the agent of a host says of its member, and of its incidents."""
    asked = (("explain", f"db/{host}"), ("incidents",), ("status",))
    told = " ".join(ask(database.cluster, host, *words).stdout for words in asked)
    return " ".join(told.split())  # as if its lines were not broken


def until_told(database: Database, host: str, words: str) -> None:
    database.cluster.until(lambda: words in told_by(database, host), f"{host} says {words!r}", RECOVERS_S)


def processes(database: Database, host: str) -> list[int]:
    """Return the server's processes, the postmaster first."""
    main = database.postmaster(host)
    children = [
        pid
        for pid in database.cluster.site.network[host].pids()
        if f"PPid:\t{main}\n" in Path(f"/proc/{pid}/status").read_text()
    ]
    return [main, *children]


def freeze_all(database: Database, host: str) -> None:
    for pid in processes(database, host):
        database.cluster.nemesis.freeze(pid)


def freeze_postmaster(database: Database, host: str) -> None:
    database.cluster.nemesis.freeze(database.postmaster(host))


def kill_postmaster(database: Database, host: str) -> None:
    database.cluster.nemesis.kill(database.postmaster(host))


def fill_disk(database: Database, host: str) -> None:
    SmallDisk(database.folder / host, DISK_BYTES).fill()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (kill_postmaster, "killed by SIGKILL"),
        (freeze_postmaster, "stopped by a signal"),
        pytest.param(freeze_all, "stopped by a signal", marks=pytest.mark.long),
        pytest.param(fill_disk, "its disk is full", marks=pytest.mark.long),
    ],
)
def test_another_member_serves_and_the_cause_is_named(
    database: Database, fault: Callable[[Database, str], None], words: str
) -> None:
    database.raise_up(lease=LEASE)
    old = database.primary()
    written, reign = database.write(old, 1), database.reign()
    fault(database, old)
    began = time.monotonic()
    if fault is kill_postmaster:  # it comes up again at once, and gets the role back if its log goes further
        database.cluster.until(lambda: database.reign() > reign, "a new reign", RECOVERS_S)
        new = database.primary()
    else:
        new = until_moved(database, old, began)
    until_told(database, old, words)
    written |= database.write(new, 100)
    database.cluster.nemesis.heal()
    SmallDisk(database.folder / old, DISK_BYTES).free()
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    database.told(began)
    assert written <= database.numbers(database.primary())


def test_a_primary_whose_disk_gives_up_is_left_for_another(database: Database) -> None:
    if not FrailDisk.is_permitted():
        pytest.skip("this machine has no loop devices")
    first = database.hosts[0]
    image = database.folder / "image"
    with ExitStack() as stack:
        disk = FrailDisk(database.folder / first, image)
        mount(database, disk, stack)
        stack.callback(database.cluster.site.restore, database.cluster.nemesis)
        database.raise_up(lease=LEASE)
        if database.primary() != first:
            pytest.skip("the machine is so busy that another member serves already")
        written = database.write(first, 1)
        disk.give_up()
        new = until_moved(database, first, time.monotonic())
        until_told(database, first, "read-only")
        assert written <= database.numbers(new)


def test_a_primary_whose_connections_are_all_taken_stays(database: Database) -> None:
    database.raise_up(lease=LEASE)
    old = database.primary()
    allowed = int(database.on(old, "show max_connections") or "0") - 3
    # As superuser: who is no superuser finds fewer places, and they are taken all the same.
    with ExitStack() as stack:
        for _ in range(allowed):
            stack.enter_context(psycopg.connect(database.target(old)))
        until_told(database, old, "only reserved ones are left")
        assert database.primary() == old
        assert database.on(old, "insert into seen values (1)") is not None


@pytest.mark.long
def test_a_primary_shut_down_in_good_order_is_waited_for_until_its_starts_are_spent(
    database: Database,
) -> None:
    """What only it has is then lost, as if its host were: with asynchronous commit, and no more than `lag_max`."""
    database.raise_up(lease=LEASE)
    old = database.primary()
    written = database.write(old, 1)
    standbys = [host for host in database.hosts if host != old]
    database.cluster.nemesis.cut_port(PORT, clients=standbys, servers=[old])
    database.on(old, "select pg_terminate_backend(pid) from pg_stat_replication")
    nobody = "select count(*) from pg_stat_replication"
    database.cluster.until(lambda: database.on(old, nobody) == "0", "nobody streams", RECOVERS_S)
    assert database.write(old, 100), "nobody else has these rows"
    mistakes = database.data(old) / "postgresql.auto.conf"
    mistakes.write_text("no_such_parameter = 1\n", encoding="utf-8")
    os.kill(database.postmaster(old), signal.SIGINT)
    database.cluster.nemesis.heal()
    until_told(database, old, "no_such_parameter")
    new = until_moved(database, old, time.monotonic())
    assert written <= database.numbers(new)
    mistakes.write_text("", encoding="utf-8")
    done = ask(database.cluster, old, "restart", f"db/{old}")
    assert done.returncode == 0, done
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    assert database.primary() == new


def until_moved(database: Database, old: str, began: float) -> str:
    database.cluster.until(lambda: database.has_moved(old), "another primary", RECOVERS_S)
    database.told(began)
    others = (host for host in database.hosts if host != old)
    return next(host for host in others if database.on(host, "select 1 where not pg_is_in_recovery()"))
