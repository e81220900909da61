"""A standby streams from another one, from the primary while that one is gone, and from it again."""

import pytest

from tests.lab.databases import RECOVERS_S, Database


def sender(database: Database, host: str) -> str | None:
    """Return the host that a member streams from."""
    said = database.on(host, "select sender_host from pg_stat_wal_receiver where status = 'streaming'")
    return next((one.name for one in database.cluster.site.hosts if one.address == said), None)


@pytest.mark.timeout(240)
def test_a_standby_streams_from_another_one_and_from_the_primary_while_that_one_is_gone(
    database: Database,
) -> None:
    cluster, (first, second, third) = database.cluster, database.hosts
    service = database.service()
    service["members"][third]["streams_from"] = second
    # Longer than etcd elects where the host that is lost had its leader: the primary is to stay.
    cluster.write({"db": service}, lease="6s")
    cluster.start_agents()
    cluster.until(lambda: sender(database, third) == second, "it streams from the other standby", RECOVERS_S)
    assert (database.primary(), sender(database, second)) == (first, first)
    database.on(first, "create table seen (number bigint primary key)")
    rows = database.write(first, 1)
    cluster.until(lambda: database.numbers(third) == rows, "rows come on that way", RECOVERS_S)
    slot = f"select restart_lsn >= '{database.on(first, 'select pg_current_wal_flush_lsn()')}' "
    slot += f"from pg_replication_slots where slot_name = 'holdfast_{third}'"
    database.write(first, 100)
    cluster.until(
        lambda: database.on(first, slot) == "t", "its slot on the primary keeps no more", RECOVERS_S
    )

    cluster.nemesis.crash(second)
    cluster.until(lambda: sender(database, third) == first, "it streams from the primary", RECOVERS_S)
    rows = database.numbers(first) | database.write(first, 200)
    cluster.until(lambda: database.numbers(third) == rows, "rows come from there", RECOVERS_S)
    cluster.nemesis.heal()
    cluster.reboot(second)
    cluster.until(lambda: sender(database, third) == second, "it streams from the standby again", RECOVERS_S)

    cluster.nemesis.crash(first)
    cluster.until(lambda: database.maybe_primary() in (second, third), "another primary", RECOVERS_S)
    new = database.primary()
    other = third if new == second else second
    cluster.until(lambda: sender(database, other) == new, "the other one follows it", RECOVERS_S)
    assert rows <= database.numbers(new)
