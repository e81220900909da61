"""The record and the rule stay in step, though what was told to the coordinator or to the server comes late."""

import asyncio

import pytest

from holdfast.agent.cluster.postgresql import ClusterBooks
from holdfast.config import load_text
from holdfast.coordination.memory import MemoryCoordinator, MemoryEngine
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.values import encoded
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport, Lease
from holdfast.model.postgresql import Commit, Kept, PostgresServer, Record
from holdfast.model.value import replace
from holdfast.ports.coordination import Condition
from holdfast.postgresql.acknowledging import Acknowledging
from holdfast.postgresql.asking import Follower, Standing
from holdfast.postgresql.position import Position
from holdfast.postgresql.synchronous import Rule, fits, parse_setting
from tests.unit.agent.test_database_books import FILE, LEASE

SERVER = PostgresServer("/srv/pg", "/usr/lib/postgresql/15/bin", commit=Commit.SYNCHRONOUS)


class Primary:
    """The member a, which serves: what its host knows of the coordinator, and what its server goes by."""

    def __init__(self, client: MemoryCoordinator) -> None:
        self.client = client
        self.rule = Rule()
        self.is_answering = True  # or it does as it is told, and nobody says so
        view = ClusterView(lease_epochs={"db": LEASE})
        state = ClusterState("h1", "l1", load_text(FILE.replace("nosync: true", "priority: 0")), 0, view=view)
        state = replace(state, report=HostReport("l1"))
        book = ClusterBook(client, "/shop", "h1", "l1", secret=b"s")
        self.books = ClusterBooks(client, book, b"s", lambda: state, dict)
        self.keep = Acknowledging("db/a", SERVER, self.books)

    async def put(self, rule: Rule) -> bool:
        self.rule = rule
        return self.is_answering

    async def look(self, end: int = 100, **flushed: int) -> None:
        """Look once, after all that was set has been read. `end` of its log, and how far each follower has it."""
        self.keep._set_at -= 10**10  # ten seconds have passed
        ranks = {name: 1 + self.rule.names.index(name) for name in self.rule.names}
        seen = tuple(
            Follower(name, "streaming", "sync", lsn, lsn, 0, rank=ranks.get(name, 0))
            for name, lsn in flushed.items()
        )
        standing = Standing("7", is_primary=True, position=Position(1, end), synchronous=self.rule.setting)
        if self.keep.setting is not None and (rule := parse_setting(self.keep.setting)) is not None:
            await self.put(rule)  # as it is told with all other settings
        await self.keep.keep(standing, seen, LEASE, self.put)

    async def record(self) -> Record:
        kept = await self.books.read_record("db")
        assert isinstance(kept, Kept)
        assert kept.record is not None
        return kept.record


async def primary() -> Primary:
    """Return one whose commits wait for b, which may be promoted."""
    client = MemoryEngine(lambda: 0).coordinator()
    lease = Lease("db", "h1", "a", LEASE, "l1")
    await client.put("/shop/leases/db/holder", encoded(lease), expect=Condition.ABSENT)
    await client.put("/shop/leases/db/epoch", str(LEASE).encode(), expect=Condition.ABSENT)
    found = Primary(client)
    for _ in range(6):
        await found.look(b=100)
    assert found.rule == Rule(("b",), 1)
    assert await found.record() == Record("a", ("b",), epoch=LEASE)
    return found


@pytest.mark.parametrize("is_lossy", [False, True])
def test_a_record_that_comes_late_never_meets_a_rule_that_does_not_fit_it(*, is_lossy: bool) -> None:
    async def story() -> None:
        it = await primary()
        for _ in range(3):
            await it.look()  # b is gone: commits wait for nobody
        assert await it.record() == Record("a", epoch=LEASE)
        it.client.writes_late = 3  # all that settled() tries
        for _ in range(3):
            await it.look(b=100)
        assert not it.client.writes_late, "that b may be promoted again is on its way"
        assert await it.record() == Record("a", epoch=LEASE)
        it.client.writes_lost = 1 if is_lossy else 0
        for _ in range(3):
            await it.look()  # b is gone again, and nothing speaks against that commits wait for nobody
        it.client.arrive()
        assert fits(it.rule, await it.record())

    asyncio.run(story())


def test_who_lacks_what_was_committed_under_a_rule_that_nobody_confirmed_is_not_promoted() -> None:
    async def story() -> None:
        it = await primary()
        for lsn in range(50, 56):
            await it.look(c=lsn)  # in the place of b: commits wait for c, which has not got what came before
        assert it.rule == Rule(("c",), 1)
        assert await it.record() == Record("a", epoch=LEASE)
        it.is_answering = False
        await it.look()  # c is gone: commits wait for nobody, though that is not known
        assert it.rule == Rule()
        it.is_answering = True
        for lsn in range(120, 126):
            await it.look(
                200, c=lsn
            )  # back, with all of what was to be covered, and not with what came since
        assert it.rule == Rule(("c",), 1)
        assert await it.record() == Record("a", epoch=LEASE)
        await it.look(200, c=200)
        assert await it.record() == Record("a", ("c",), epoch=LEASE)

    asyncio.run(story())
