"""A member follows a server outside in a primary's place, on real servers; and one that cannot is left as it is."""

from pathlib import Path

import pytest

from holdfast.agent.cluster.postgresql import ClusterBooks
from holdfast.config import load_text
from holdfast.coordination.memory import MemoryEngine
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.values import encoded
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport, Lease, first_epoch_of
from holdfast.model.postgresql import Outside, PostgresServer
from holdfast.model.secrets import SecretFrom
from holdfast.model.standing import Role
from holdfast.model.value import replace
from holdfast.ports.coordination import Condition
from holdfast.postgresql import readying, running, standing_in
from holdfast.postgresql.books import instance_of
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.cloning import clone
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.keeping import Keeper
from holdfast.postgresql.outside import entered, why_apart
from holdfast.postgresql.readying import Readying
from holdfast.postgresql.roles import keep_roles
from holdfast.postgresql.settings import Upstream
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import (
    GENEROUS,
    QUICK,
    Stage,
    crash,
    play,
    query,
    settings,
    standing,
    until,
)
from tests.contract.postgresql.test_postgresql_readying import FILE, server_of

LEASE, PASSWORD = 1, "other: site's"


async def holding() -> ClusterBooks:
    """Return what the host of a knows, which holds the lease of a service that has no data yet."""
    lease = Lease("db", "h1", "a", LEASE, "l1")
    view = ClusterView(leases={"db": lease}, lease_epochs={"db": LEASE})
    state = ClusterState("h1", "l1", load_text(FILE), 0, view=view, report=HostReport("l1"))
    coordinator = MemoryEngine(lambda: 0).coordinator()
    await coordinator.put("/shop/leases/db/holder", encoded(lease), expect=Condition.ABSENT)
    await coordinator.put("/shop/leases/db/epoch", str(LEASE).encode(), expect=Condition.ABSENT)
    book = ClusterBook(coordinator, "/shop", "h1", "l1", secret=b"s")
    return ClusterBooks(coordinator, book, b"s", lambda: state, dict)


async def outside_of(stage: Stage) -> tuple[Instance, Outside]:
    """Return a primary that somebody else runs, with a table of theirs, and how it is followed."""
    primary = replace(stage.bootstrapped("outside"), guest="dr")
    await running.start(primary, settings(), spawn, GENEROUS)
    await query(
        primary,
        f"create role dr login replication password '{PASSWORD.replace(chr(39), chr(39) * 2)}'",
        "create table theirs as select 1 as x",
    )
    secret = Path(stage.folder) / "secret"
    secret.write_text(PASSWORD)
    kept = SecretFrom(file=str(secret))
    return primary, Outside("127.0.0.1", "dr", kept, port=primary.port, slot="other_site")


async def copied(server: PostgresServer, books: ClusterBooks) -> Instance:
    """Return the member a with its first data, at rest."""
    wanted = await Readying("db/a", server, books, lambda *_: None).task
    instance = instance_of("db/a", server)
    await running.start(instance, wanted, spawn, GENEROUS)
    return instance


async def streams(instance: Instance) -> bool:
    return bool((await standing(instance)).upstream)


async def has_theirs(instance: Instance, count: int) -> bool:
    return await query(instance, "select count(*) from theirs") == [(str(count),)]


def test_a_member_is_copied_from_outside_follows_in_a_primarys_place_and_is_promoted_when_it_is_let_go() -> (
    None
):
    async def story(stage: Stage) -> None:
        outside, followed = await outside_of(stage)
        books = await holding()
        server = replace(server_of(stage.instance("a")), follows=followed)
        a = await copied(server, books)
        assert await books.system("db") == await stage.system(outside)
        assert not await streams(a), "nobody gave it a role"
        assert await standing_in.begin("db/a", server, books, LEASE) == ""
        await until(lambda: streams(a))
        assert (await query(outside, "select slot_name, active from pg_replication_slots")) == [
            ("other_site", "t")
        ]
        await query(outside, "insert into theirs values (2)")
        await until(lambda: has_theirs(a, 2))
        sight = await Keeper("db/a", server, books).look(Role.PRIMARY, first_epoch_of(LEASE) + 1, GENEROUS)
        assert (sight.problem, sight.warning, sight.note) == ("", "", f"follows {followed.words}")
        # A standby of this member is let in under the role from outside, and under no other.
        at = Upstream("127.0.0.1", a.port)
        assert (await entered(a, server, at)).user == "dr"

        alone = replace(server, follows=None)
        sight = await Keeper("db/a", alone, books).look(Role.PRIMARY, first_epoch_of(LEASE) + 1, GENEROUS)
        assert sight.is_unopened
        assert await standing_in.end("db/a", alone, books)
        assert not (await standing(a)).is_receiving
        await running.promote(a, settings(), GENEROUS)
        sight = await Keeper("db/a", alone, books).look(Role.PRIMARY, first_epoch_of(LEASE) + 2, GENEROUS)
        assert (sight.problem, sight.is_unopened) == ("", False)
        assert (await entered(a, server, at)).user == "", "it has our own roles now"
        assert not await keep_roles(a, books.passwords("db")), "there is nothing to do once that was done"

    play(story)


def test_one_without_data_copies_it_from_outside_if_nobody_here_has_the_role_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readying, "_NOBODY_FOR_S", 0.0)

    async def story(stage: Stage) -> None:
        outside, followed = await outside_of(stage)
        server = replace(server_of(stage.instance("a")), follows=followed)
        other = await holding()
        await other.claim_system("db", "7000000000000000001")
        work = Readying("db/a", server, other, lambda *_: None)

        async def is_told() -> bool:
            return "is of system" in work.doing

        await until(is_told)
        work.task.cancel()
        same = await holding()
        await same.claim_system("db", await stage.system(outside))
        a = await copied(server, same)
        assert await has_theirs(a, 1)
        assert not await query(outside, "select from pg_replication_slots where slot_name = 'other_site'")

    play(story)


def test_a_failover_of_the_server_outside_is_followed_by_all() -> None:
    async def story(stage: Stage) -> None:
        outside, followed = await outside_of(stage)
        books = await holding()
        server = replace(server_of(stage.instance("a")), follows=followed)
        a = await copied(server, books)
        assert await standing_in.begin("db/a", server, books, LEASE) == ""
        await until(lambda: streams(a))
        theirs = replace(await stage.standby("theirs", outside), guest="dr")
        b = replace(stage.instance("b"), replicator="dr")
        stage.copy(f"{a.data}.holdfast", f"{b.data}.holdfast")
        await clone(b, Upstream("127.0.0.1", a.port), await stage.system(a), QUICK)
        await running.start(b, settings(a), spawn, GENEROUS)
        await until(lambda: streams(b))
        await crash(outside)
        await running.promote(theirs, settings(), GENEROUS)
        await query(theirs, "insert into theirs values (2)")
        moved = replace(server, follows=replace(followed, port=theirs.port))
        keeper = Keeper("db/a", moved, books)

        async def has_followed() -> bool:
            await keeper.look(Role.PRIMARY, first_epoch_of(LEASE) + 1, GENEROUS)
            positions = [(await standing(each)).position.timeline for each in (a, b)]
            return positions == [2, 2] and await has_theirs(a, 2) and await has_theirs(b, 2)

        await until(has_followed)

    play(story)


def test_one_that_is_open_for_writes_stays_so_and_no_log_is_given_up_for_one_outside() -> None:
    async def story(stage: Stage) -> None:
        _, followed = await outside_of(stage)
        books = await holding()
        server = replace(server_of(stage.instance("a")), follows=followed)
        a = await copied(server, books)
        await running.promote(a, settings(), GENEROUS)
        await query(a, "create table ours (x int)")
        sight = await Keeper("db/a", server, books).look(Role.PRIMARY, first_epoch_of(LEASE) + 1, GENEROUS)
        assert sight.problem == ""
        assert "it is open for writes, and so it cannot follow" in sight.warning
        await running.stop(a, GENEROUS)
        await running.start(a, settings(is_standby=True), spawn, GENEROUS)
        why = await standing_in.begin("db/a", server, books, LEASE)
        assert "is not the beginning of that of" in why
        assert await query(a, "select count(*) from ours") == [("0",)]
        own = await standing(a)
        assert "is of system" in await why_apart(a, followed, "7000000000000000001", own.position)

    play(story)


def test_roles_are_made_where_they_are_missing_and_passwords_that_differ_are_set() -> None:
    async def story(stage: Stage) -> None:
        primary = await stage.primary("a")
        wanted = Passwords("new: one's", "another")
        assert await keep_roles(primary, wanted)
        assert not await keep_roles(primary, wanted)
        await query(primary, f"drop owned by {primary.rewinder}", f"drop role {primary.rewinder}")
        assert await keep_roles(primary, wanted)
        assert not await keep_roles(primary, wanted)

    play(story)
