"""Synchronous and quorum commit on three hosts: what was acknowledged is there, whoever was lost."""

import subprocess
import time
from typing import Any

import pytest

from tests.lab.databases import RECOVERS_S, Database
from tests.lab.several_hosts import ask, seen_from

MODES = pytest.mark.parametrize("mode", [pytest.param("synchronous", marks=pytest.mark.long), "quorum"])
LEASE = "3s"  # as it is unless the file says otherwise
VOTERS = {"synchronous": 1, "quorum": 2}


class Writer:
    """A client on the primary's own socket that writes number after number in one session, and knows what was acknowledged."""

    def __init__(self, database: Database, host: str) -> None:
        statements = database.folder / "numbers.sql"
        statements.write_text(
            "".join(f"insert into seen values ({n}) returning number;\n" for n in range(99_999))
        )
        self._process = subprocess.Popen(
            [*database.client(host)[:-1], "-f", str(statements)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def acknowledged(self) -> set[int]:
        """Return what was acknowledged, once its server is gone."""
        told, _ = self._process.communicate(timeout=RECOVERS_S)
        return {int(line) for line in told.split()}


def lease(database: Database, asked: str) -> dict[str, Any]:
    """Return the lease, the record beside it and for whom commits wait, as a host sees them."""
    found: dict[str, Any] = seen_from(database.cluster, asked)["leases"][0]
    return found


def voters(database: Database, asked: str) -> list[str]:
    return list((lease(database, asked).get("record") or {}).get("voters", ()))


def raised(database: Database, mode: str, **more: Any) -> str:
    """Raise the service up until as many standbys vote as should; return the primary's host."""
    database.raise_up(lease=LEASE, commit=mode, **more)

    def is_ready() -> bool:
        primary = database.maybe_primary()
        return primary is not None and len(voters(database, primary)) == VOTERS[mode]

    database.cluster.until(is_ready, "standbys that vote", RECOVERS_S)
    return database.primary()


def others(database: Database, *hosts: str) -> list[str]:
    return [host for host in database.hosts if host not in hosts]


def writes(database: Database, host: str, number: int) -> bool:
    return database.on(host, f"insert into seen values ({number})", within_s=3.0) is not None


def lose(database: Database, host: str) -> None:
    """Lose a host's member and agent; its server of the coordinator goes on."""
    cluster = database.cluster
    agent = cluster.agents[host]
    agent.kill()
    agent.wait()
    cluster.nemesis.kill(database.postmaster(host))
    # What it started sees that a moment later, and could acknowledge until then: that would be true.
    cluster.until(lambda: not cluster.processes(host, "walreceiver"), "its receiver is gone", RECOVERS_S)


@pytest.mark.final
@MODES
def test_no_acknowledged_row_is_lost_with_the_primarys_host(database: Database, mode: str) -> None:
    old = raised(database, mode)
    writer = Writer(database, old)
    database.cluster.until(lambda: len(database.numbers(old)) > 300, "rows", RECOVERS_S)
    began = time.monotonic()
    database.cluster.nemesis.crash(old)
    database.cluster.until(lambda: database.has_moved(old), "another primary", RECOVERS_S)
    database.told(began)
    acknowledged = writer.acknowledged()
    new = database.primary()
    assert len(acknowledged) > 300
    assert acknowledged <= database.numbers(new)
    database.cluster.until(
        lambda: writes(database, new, 100_000 + int(time.monotonic())), "a write", RECOVERS_S
    )
    database.told(began)
    database.cluster.nemesis.heal()
    database.cluster.reboot(old)
    database.cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    database.cluster.until(
        lambda: len(voters(database, new)) == VOTERS[mode], "standbys that vote again", RECOVERS_S
    )
    assert acknowledged <= database.numbers(new)


def test_who_acknowledges_is_replaced_and_without_anybody_only_the_primary_itself_may_come_back(
    database: Database,
) -> None:
    old = raised(database, "synchronous")
    cluster, (first,) = database.cluster, voters(database, old)
    (second,) = others(database, old, first)
    began = time.monotonic()
    cluster.nemesis.crash(first)  # nobody says that it is gone
    cluster.until(lambda: writes(database, old, int(time.monotonic() * 1000)), "a write", RECOVERS_S)
    database.told(began)
    cluster.until(lambda: voters(database, old) == [second], "the other standby votes", RECOVERS_S)
    began = time.monotonic()
    lose(database, second)
    number = int(time.monotonic() * 1000)
    cluster.until(lambda: writes(database, old, number), "a write", RECOVERS_S)
    database.told(began)
    assert voters(database, old) == []
    assert "no standby" in lease(database, old)["commits"]
    lose(database, old)
    cluster.nemesis.heal()
    cluster.reboot(first)
    cluster.start_agent(second)

    def is_explained() -> bool:
        told = [" ".join(ask(cluster, host, "explain", "db").stdout.split()) for host in (first, second)]
        by_leader = any("may lack acknowledged commits" in each for each in told)
        return by_leader and all(f"nobody but {old} may be primary" in each for each in told)

    cluster.until(is_explained, "it is explained", RECOVERS_S)
    assert database.writable() == []
    cluster.start_agent(old)
    cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    assert database.primary() == old
    assert number in database.numbers(old)


@pytest.mark.long
def test_a_strict_wish_waits_rather_than_commit_alone(database: Database) -> None:
    old = raised(database, "quorum", strict=True)
    cluster, gone = database.cluster, others(database, old)
    for host in gone:
        lose(database, host)
    assert not any(writes(database, old, number) for number in range(3))
    assert database.on(old, "select 1") == "1"
    for host in gone:
        cluster.start_agent(host)
    cluster.until(lambda: writes(database, old, int(time.monotonic() * 1000)), "a write", RECOVERS_S)


@pytest.mark.final
def test_no_acknowledged_row_is_lost_if_the_next_primary_fails_too(database: Database) -> None:
    old = raised(database, "quorum")
    cluster, writer = database.cluster, Writer(database, old)
    cluster.until(lambda: len(database.numbers(old)) > 300, "rows", RECOVERS_S)
    before = lease(database, old)["lease"]["epoch"]
    asked = others(database, old)[0]
    began = time.monotonic()
    cluster.nemesis.crash(old)

    def next_one() -> str:
        found = lease(database, asked)["lease"]
        return str(found["host"]) if found is not None and found["epoch"] > before else ""

    cluster.until(next_one, "a lease of another host", RECOVERS_S)
    cluster.nemesis.kill(database.postmaster(next_one()))
    acknowledged = writer.acknowledged()
    cluster.until(database.maybe_primary, "a primary", RECOVERS_S)
    database.told(began)
    assert acknowledged <= database.numbers(database.primary())


def test_a_switchover_lets_transactions_end_and_ends_those_that_do_not(database: Database) -> None:
    old = raised(database, "synchronous", open_transactions="4s")
    cluster, (new,) = database.cluster, voters(database, old)
    (third,) = others(database, old, new)
    refused = ask(cluster, old, "switchover", "db", "--to", third, "--reason", "a test", "--dry-run")
    assert refused.returncode == 5
    assert "may lack acknowledged commits" in refused.stderr + refused.stdout
    written = database.write(old, 1)

    short, long = begun(database, old, 1000, "1.5"), begun(database, old, 1001, "600")
    await_open(database, old, 2)
    began = time.monotonic()
    done = ask(cluster, old, "switchover", "db", "--to", new, "--reason", "a test")
    assert done.returncode == 0, done.stderr
    database.told(began)
    assert short.wait(RECOVERS_S) == 0
    assert long.wait(RECOVERS_S) != 0
    cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
    assert database.primary() == new
    found = database.numbers(new)
    assert written <= found
    assert 1000 in found
    assert 1001 not in found
    assert "transactions that go on are ended" in cluster.said()

    # On it goes, and this time whoever asks gives them more than the file does.
    cluster.until(lambda: len(voters(database, new)) == 1, "somebody may take over again", RECOVERS_S)
    (last,) = voters(database, new)
    kept = begun(database, new, 1002, "6")
    await_open(database, new, 1)
    done = ask(cluster, new, "switchover", "db", "--to", last, "--open-transactions", "60s")
    assert done.returncode == 0, done.stderr
    assert kept.wait(RECOVERS_S) == 0
    cluster.until(database.is_whole, "a primary and two standbys that stream again", RECOVERS_S)
    assert database.primary() == last
    assert 1002 in database.numbers(last)
    assert "open transactions get 1m" in cluster.said()


def begun(database: Database, host: str, number: int, sleeps: str) -> "subprocess.Popen[bytes]":
    """Begin a transaction that writes `number` and commits after so many seconds."""
    command = f"begin; insert into seen values ({number}); select pg_sleep({sleeps}); commit"
    return subprocess.Popen(
        [*database.client(host), command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def await_open(database: Database, host: str, count: int) -> None:
    asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    database.cluster.until(lambda: database.on(host, asleep) == str(count), "they are open", RECOVERS_S)
