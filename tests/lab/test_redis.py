"""Redis on three hosts, broken and mended under load: judged by what clients wrote down, not by what agents say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fixtures import lent
from tests.lab.hosts import Cluster
from tests.lab.redis_service import RECOVERS_S, RedisService
from tests.lab.several_hosts import ask

# What a primary acknowledges and has not sent when it is lost: six clients, each with one append under way at a time, and a
# machine that may let some hundred milliseconds pass between an answer and the sending.
SENT_LATE = 20


@pytest.fixture
def cache(etcd3: Cluster) -> Iterator[RedisService]:
    with lent(RedisService(etcd3)) as made:
        yield made


def test_a_killed_primary_is_replaced_and_rejoins(cache: RedisService) -> None:
    cache.raise_up()
    old = cache.primary()
    cache.start_clients()
    cache.cluster.nemesis.kill(cache.server(old))
    cache.cluster.until(lambda: cache.has_moved(old), "another primary", RECOVERS_S)
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


def test_a_primary_that_lost_its_memory_does_not_wipe_its_standbys(cache: RedisService) -> None:
    cache.raise_up(parameters={"appendonly": "no"})
    old = cache.primary()
    cache.start_clients()
    cache.cluster.nemesis.kill(cache.server(old))
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


def moved(cache: RedisService) -> None:
    """Have another member given the role, by plan."""
    old = cache.primary()
    new = cache.other_than(old)
    words = ("switchover", "cache", "--to", new, "--reason", "a test")

    def is_fit() -> bool:
        return ask(cache.cluster, old, *words, "--dry-run").returncode == 0

    cache.cluster.until(is_fit, "the other is fit", RECOVERS_S)
    assert ask(cache.cluster, old, *words).returncode == 0
    cache.cluster.until(lambda: cache.maybe_primary() == new, "the new primary", RECOVERS_S)
    cache.serves_again()


def test_a_planned_move_loses_no_write(cache: RedisService) -> None:
    cache.raise_up(min_replicas_to_write=1)
    cache.start_clients()
    for _ in range(2):  # there, and on: who stepped back follows, and can be given the role again
        moved(cache)
    assert cache.judged().lost == []


def test_a_hung_primary_is_replaced_and_takes_no_write_when_it_goes_on(cache: RedisService) -> None:
    cache.raise_up()
    old = cache.primary()
    cache.start_clients()
    hung = cache.server(old)
    cache.cluster.nemesis.freeze(hung)
    cache.cluster.until(lambda: cache.has_moved(old), "another primary", RECOVERS_S)
    cache.cluster.nemesis.heal()
    cache.serves_again()
    assert not Path(f"/proc/{hung}").exists() or cache.role(old)[0] == "slave"
    assert len(cache.judged().lost) <= SENT_LATE


def test_a_crashed_host_is_replaced_and_rejoins(cache: RedisService) -> None:
    cache.raise_up(min_replicas_to_write=1, min_replicas_max_lag="2s")
    old = cache.primary()
    cache.start_clients()
    cache.cluster.nemesis.crash(old)
    cache.cluster.until(lambda: cache.has_moved(old), "another primary", RECOVERS_S)
    cache.cluster.nemesis.heal()
    cache.cluster.reboot(old)
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


@pytest.mark.long
def test_the_last_member_serves_when_two_fail_at_once(cache: RedisService) -> None:
    cache.raise_up()
    old = cache.primary()
    hung = cache.other_than(old)
    last = next(host for host in cache.hosts if host not in (old, hung))
    cache.start_clients()
    cache.cluster.nemesis.freeze(cache.server(hung))
    cache.cluster.nemesis.crash(old)
    cache.cluster.until(lambda: cache.role(last)[0] == "master", "the last one is primary", RECOVERS_S)
    cache.cluster.nemesis.heal()
    cache.cluster.reboot(old)
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


def test_a_primary_that_is_cut_off_acknowledges_nothing_that_a_newer_one_does_not_have(
    cache: RedisService,
) -> None:
    cache.raise_up(min_replicas_to_write=1, min_replicas_max_lag="1s")
    old = cache.primary()
    cache.start_clients()
    cache.cluster.nemesis.isolate(old)
    cache.cluster.until(lambda: cache.has_moved(old), "another primary", RECOVERS_S)
    assert cache.on(old, ("SET", "late", 1)) is None, "its guard has ended it, or it is a standby"
    cache.cluster.nemesis.heal()
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


def test_a_frozen_agents_primary_is_ended_before_another_one_serves(cache: RedisService) -> None:
    cache.raise_up()
    old = cache.primary()
    cache.start_clients()
    cache.cluster.nemesis.freeze(cache.cluster.agents[old].pid)
    cache.cluster.until(lambda: cache.has_moved(old), "another primary", RECOVERS_S)
    assert cache.role(old)[0] != "master"
    cache.cluster.nemesis.heal()
    cache.serves_again()
    assert len(cache.judged().lost) <= SENT_LATE


def test_the_furthest_of_two_standbys_is_promoted(cache: RedisService) -> None:
    cache.raise_up()
    old = cache.primary()
    behind = cache.other_than(old)
    ahead = next(host for host in cache.hosts if host not in (old, behind))
    cache.cluster.nemesis.freeze(cache.server(behind))
    for number in range(200):
        assert cache.on(old, ("RPUSH", "seen", number)) is not None
    cache.cluster.until(lambda: cache.on(ahead, ("LLEN", "seen")) == ["OK", 200], "one standby has it all")
    cache.cluster.nemesis.kill(cache.server(old))
    cache.cluster.nemesis.heal()
    cache.cluster.until(cache.is_whole, "a primary and two standbys that follow it again", RECOVERS_S)
    assert cache.on(cache.primary(), ("LLEN", "seen")) == ["OK", 200]
