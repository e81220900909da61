"""Who may be promoted is written by whoever holds the lease, one write after the other, on every engine."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from holdfast.coordination.clock import now
from holdfast.coordination.recipes.answers import Done, Refused
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.leases import Taken
from holdfast.coordination.recipes.records import Records
from holdfast.model.postgresql import Kept, Record
from holdfast.ports.coordination import Coordinator, Session
from tests.contract.coordination.stages import DRIVERS, Stage
from tests.contract.coordination.staging import staged

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

NOTHING = Kept(None, None)


@asynccontextmanager
async def kept(client: Coordinator, stage: Stage) -> AsyncIterator[Session]:
    session = await client.open_session(stage.ttl)
    async with Keeping(session, now=now, chance=random.Random(0)):
        yield session


def parts(stage: Stage, client: Coordinator, host: str) -> tuple[ClusterBook, Records]:
    return ClusterBook(client, stage.root, host, f"life of {host}", secret=b"s"), Records(
        client, stage.root, host
    )


async def standing(records: Records) -> Kept:
    found = await records.read("db")
    assert isinstance(found, Kept)
    return found


@staged
async def test_who_holds_the_lease_writes_and_everybody_reads(stage: Stage) -> None:
    client = await stage.client()
    book, records = parts(stage, client, "h1")
    async with kept(client, stage) as session:
        assert isinstance(await book.leases.take("db", "a", session, after_epoch=0), Taken)
        assert await standing(records) == NOTHING
        first, second = Record("a", epoch=1), Record("a", ("b",), epoch=1)
        assert await records.write("db", first, NOTHING, 1) == Done()
        assert await records.write("db", second, await standing(records), 1) == Done()
        assert (await standing(records)).record == second
        view = book.decode((await client.list(book.root)).entries).view
        assert view.records == {"db": second}
        assert await records.write("db", None, await standing(records), 1) == Done()
        assert await standing(records) == NOTHING


@staged
async def test_a_record_that_was_written_meanwhile_stays(stage: Stage) -> None:
    client = await stage.client()
    book, records = parts(stage, client, "h1")
    async with kept(client, stage) as session:
        await book.leases.take("db", "a", session, after_epoch=0)
        assert await records.write("db", Record("a", epoch=1), NOTHING, 1) == Done()
        old = await standing(records)
        assert await records.write("db", Record("a", ("b",), epoch=1), old, 1) == Done()
        for late in (NOTHING, old):
            assert isinstance(await records.write("db", Record("a", ("c",), epoch=1), late, 1), Refused)
        assert (await standing(records)).record == Record("a", ("b",), epoch=1)


@staged
async def test_who_holds_the_lease_no_more_changes_nothing(stage: Stage) -> None:
    client, other = await stage.client(), await stage.client()
    book, records = parts(stage, client, "h1")
    next_book, next_records = parts(stage, other, "h2")
    async with kept(client, stage) as session, kept(other, stage) as next_session:
        assert isinstance(await records.write("db", Record("a"), NOTHING, 1), Refused)  # nobody holds it yet
        await book.leases.take("db", "a", session, after_epoch=0)
        assert await records.write("db", Record("a", ("b",), epoch=1), NOTHING, 1) == Done()
        before = await standing(records)
        assert isinstance(await next_records.write("db", Record("b"), before, 1), Refused)  # it is another's
        await book.leases.give("db", 1)
        assert isinstance(await records.ask_lease("db", 1), Refused)
        assert isinstance(await records.write("db", Record("a"), before, 1), Refused)
        await next_book.leases.take("db", "b", next_session, after_epoch=1)
        assert isinstance(await records.write("db", Record("a"), before, 1), Refused)
        assert await next_records.ask_lease("db", 2) == Done()
        assert await next_records.write("db", Record("b", epoch=2), before, 2) == Done()
        assert (await standing(records)).record == Record("b", epoch=2)


@pytest.mark.final
@staged
async def test_of_two_writes_at_once_one_takes_effect(stage: Stage) -> None:
    client = await stage.client()
    book, records = parts(stage, client, "h1")
    async with kept(client, stage) as session:
        await book.leases.take("db", "a", session, after_epoch=0)
        wanted = [Record("a", (name,), epoch=1) for name in "bcde"]
        answers = await asyncio.gather(*(records.write("db", each, NOTHING, 1) for each in wanted))
        done = [each for each, answer in zip(wanted, answers, strict=True) if answer == Done()]
        assert len(done) == 1
        assert (await standing(records)).record == done[0]


@staged
async def test_bytes_that_nobody_understands_are_not_overwritten(stage: Stage) -> None:
    client = await stage.client()
    _, records = parts(stage, client, "h1")
    await client.put(f"{stage.root}/services/db/record", b"{")
    assert isinstance(await records.read("db"), Refused)


@staged
async def test_no_number_of_a_timeline_is_given_twice(stage: Stage) -> None:
    client, other = await stage.client(), await stage.client()
    book, records = parts(stage, client, "h1")
    next_book, next_records = parts(stage, other, "h2")
    async with kept(client, stage) as session, kept(other, stage) as next_session:
        assert isinstance(await records.begin_timeline("db", 1, 1), Refused)  # nobody holds the lease yet
        await book.leases.take("db", "a", session, after_epoch=0)
        assert await records.begin_timeline("db", 1, 1) == 2
        assert await records.begin_timeline("db", 1, 1) == 3
        assert await records.begin_timeline("db", 6, 1) == 7
        await book.leases.give("db", 1)
        await next_book.leases.take("db", "b", next_session, after_epoch=1)
        assert isinstance(await records.begin_timeline("db", 1, 1), Refused)
        assert await next_records.begin_timeline("db", 3, 2) == 8
