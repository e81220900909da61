"""PostgreSQL on three hosts, from nothing, broken and mended: judged by what servers answer, not by what agents say."""

import subprocess
import time

from tests.lab.databases import RECOVERS_S, Database
from tests.lab.several_hosts import ask, is_well


def test_from_nothing_comes_a_primary_with_two_standbys(database: Database) -> None:
    began = time.monotonic()
    database.raise_up()
    database.told(began)
    assert database.writable() == [database.primary()]


def test_another_member_serves_when_the_postmaster_is_killed_and_the_old_primary_rejoins(
    database: Database,
) -> None:
    database.raise_up()
    old = database.primary()
    written, reign = database.write(old, 1), database.reign()
    database.cluster.nemesis.kill(database.postmaster(old))
    began = time.monotonic()
    # Another member's, or the old one's again: it comes up at once, and its log may go further.
    database.cluster.until(lambda: database.reign() > reign, "a new reign", RECOVERS_S)
    database.told(began)
    assert len(database.writable()) == 1
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    database.told(began)
    assert len(written - database.numbers(database.primary())) == 0


def asked(database: Database, old: str, new: str, *more: str) -> int:
    done = ask(database.cluster, old, "switchover", "db", "--to", new, "--reason", "a test", *more)
    return done.returncode


def test_a_switchover_loses_nothing(database: Database) -> None:
    database.raise_up()
    old = database.primary()
    new = next(host for host in database.hosts if host != old)
    database.cluster.until(
        lambda: asked(database, old, new, "--dry-run") == 0, "the other is fit", RECOVERS_S
    )
    written = database.write(old, 1)
    began = time.monotonic()
    assert asked(database, old, new) == 0
    database.told(began)
    database.cluster.until(lambda: database.writable() == [new], "the new primary", RECOVERS_S)
    database.told(began)
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    database.told(began)
    assert written <= database.numbers(new)


def test_a_crashed_primary_rejoins_by_itself(database: Database) -> None:
    database.raise_up()
    old = database.primary()
    written = database.write(old, 1)
    began = time.monotonic()
    database.cluster.nemesis.crash(old)
    database.cluster.until(lambda: database.has_moved(old), "another primary", RECOVERS_S)
    database.told(began)
    new = database.primary()
    lost = written - database.numbers(new)
    written = (written - lost) | database.write(new, 100)
    assert len(lost) < 3, "asynchronous commit loses what was not sent yet, and no more"
    database.cluster.nemesis.heal()
    database.cluster.reboot(old)
    began = time.monotonic()
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    database.told(began)
    assert not written - database.numbers(database.primary()), new


def test_a_primary_that_is_cut_off_ends_before_another_one_serves(database: Database) -> None:
    database.raise_up()
    old = database.primary()
    written = database.write(old, 1)
    database.cluster.nemesis.isolate(old)
    began = time.monotonic()
    surplus: set[int] = set()
    while not database.has_moved(old):
        surplus |= database.write(old, 1000 + len(surplus), 1)  # what only the old one has by then
        assert time.monotonic() < began + RECOVERS_S, database.cluster.said()
    database.told(began)
    assert database.on(old, "insert into seen values (-1)") is None
    new = database.primary()
    written |= database.write(new, 100)
    database.cluster.nemesis.heal()
    database.cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    database.told(began)
    assert written <= database.numbers(database.primary())


def test_clients_of_the_balancer_write_to_whoever_is_primary(database: Database) -> None:
    database.raise_up()
    cluster, old = database.cluster, database.primary()
    database.on(old, "create role app login password 'app'; grant all on seen to app")
    asked = next(host for host in database.hosts if host != old)
    cluster.until(lambda: database.through_balancer(asked, "select 1"), "the balancer lets clients in")
    written: set[int] = set()
    number = 0

    def write() -> bool:
        nonlocal number
        number += 1
        is_acknowledged = database.through_balancer(asked, f"insert into seen values ({number})") is not None
        written.update({number} if is_acknowledged else ())
        return is_acknowledged

    assert all(write() for _ in range(10))
    cluster.nemesis.kill(database.postmaster(old))
    began = time.monotonic()
    cluster.until(write, "a write through the balancer, after the failover", RECOVERS_S)
    database.told(began)
    assert all(write() for _ in range(10))
    new = database.primary()
    assert new != old
    assert not written - database.numbers(new)


def test_a_killed_agent_that_comes_back_keeps_its_primary(database: Database) -> None:
    database.raise_up()
    cluster, old = database.cluster, database.primary()
    before = database.postmaster(old)
    cluster.agents[old].kill()
    cluster.agents[old].wait()
    cluster.start_agent(old)
    cluster.until(lambda: is_well(cluster, old), "the agent is back")
    cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    # A machine that is too busy to start an agent within its lease moves the role instead, which is safe as well.
    if database.primary() == old:
        assert database.postmaster(old) == before


def test_the_guard_ends_the_primary_whose_agent_is_frozen(database: Database) -> None:
    database.raise_up()
    cluster, old = database.cluster, database.primary()
    pinned = subprocess.Popen(
        [*database.client(old), "select pg_sleep(600)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    cluster.nemesis.freeze(cluster.agents[old].pid)
    cluster.until(lambda: database.has_moved(old), "another primary", RECOVERS_S)
    assert database.on(old, "insert into seen values (-1)") is None
    assert pinned.wait(RECOVERS_S) != 0, "its sessions ended with it"
    cluster.nemesis.heal()
    cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
