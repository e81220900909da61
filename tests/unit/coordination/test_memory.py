"""The coordinator in memory on virtual time: nothing happens that its owner did not make happen, and each fault as it is told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest

from holdfast.coordination.memory import MemoryCoordinator, MemoryEngine
from holdfast.coordination.recipes.lock import Lock
from holdfast.coordination.recipes.shared_value import SharedValue
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.ports.coordination import (
    Beat,
    Condition,
    ConflictError,
    SessionLostError,
    Snapshot,
    UnavailableError,
    UnknownError,
)


class World:
    """An engine whose time stands still until it is moved."""

    def __init__(self) -> None:
        self.now: Instant = 1000 * SECOND
        self.engine = MemoryEngine(lambda: self.now)

    def client(self) -> MemoryCoordinator:
        return self.engine.coordinator()

    async def move(self, by: int) -> None:
        """Move the time to each instant at which something happens, and let everybody act on it."""
        target = self.now + by
        while (due := self.engine.next_turn()) is not None and due <= target:
            self.now = max(self.now, due)
            self.engine.turn()
            await settle()
        self.now = target
        self.engine.turn()
        await settle()

    def lock(self, client: MemoryCoordinator, seed: int) -> Lock:
        return Lock(client, "/lock", now=lambda: self.now, chance=random.Random(seed))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


Story: TypeAlias = Callable[[World], Awaitable[None]]


def virtual(story: Story) -> Callable[[], None]:
    def test() -> None:
        asyncio.run(_tell(story))

    test.__name__ = story.__name__
    return test


async def _tell(story: Story) -> None:
    async with asyncio.timeout(30):
        await story(World())


@virtual
async def test_a_session_ends_exactly_when_its_ttl_does(world: World) -> None:
    client = world.client()
    session = await client.open_session(SECOND)
    await client.put("/k", b"", session=session)
    assert session.deadline == world.now + 900 * MILLISECOND
    assert world.engine.next_turn() == world.now + SECOND
    await world.move(SECOND - 1)
    assert await client.get("/k") is not None
    await world.move(1)
    assert await client.get("/k") is None
    assert world.engine.next_turn() is None
    with pytest.raises(SessionLostError):
        await session.renew()


@virtual
async def test_a_watch_beats_when_its_time_has_come_and_not_before(world: World) -> None:
    seen: list[object] = []

    async def watch() -> None:
        async for sighting in world.client().watch("/", beat=SECOND):
            seen.append(sighting)  # noqa: PERF401 - seen from outside while it grows

    watching = asyncio.create_task(watch())
    await settle()
    await world.move(SECOND - 1)
    assert seen == [Snapshot({})]
    await world.move(1)
    await world.move(3 * SECOND)
    assert seen == [Snapshot({}), Beat(), Beat(), Beat(), Beat()]
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


@virtual
async def test_a_client_that_is_cut_off_reads_writes_and_watches_nothing(world: World) -> None:
    client = world.client()
    watch = client.watch("/")
    await anext(watch)
    client.cut()
    with pytest.raises(UnavailableError):
        await client.get("/k")
    with pytest.raises(UnavailableError):
        await client.put("/k", b"")
    with pytest.raises(UnavailableError):
        await anext(watch)
    client.is_cut = False
    assert await client.get("/k") is None


@virtual
async def test_a_lost_write_did_not_happen_and_a_lost_answer_hides_one_that_did(world: World) -> None:
    client = world.client()
    client.writes_lost = 1
    with pytest.raises(UnknownError):
        await client.put("/k", b"1")
    assert await client.get("/k") is None
    client.answers_lost = 1
    with pytest.raises(UnknownError):
        await client.put("/k", b"1")
    assert await client.get("/k") is not None


@pytest.mark.parametrize("writes_lost", [0, 1, 2])
@pytest.mark.parametrize("answers_lost", [0, 1, 2])
def test_a_lock_survives_lost_writes_and_answers(writes_lost: int, answers_lost: int) -> None:
    @virtual
    async def story(world: World) -> None:
        client, other = world.client(), world.client()
        session, next_session = await client.open_session(60 * SECOND), await other.open_session(60 * SECOND)
        client.writes_lost, client.answers_lost = writes_lost, answers_lost
        hold = await world.lock(client, 1).acquire(session, by="one")
        assert hold.token == 1  # taken once, however often it was tried
        client.writes_lost, client.answers_lost = writes_lost, answers_lost
        await hold.release()
        following = await world.lock(other, 2).acquire(next_session, by="two", waits=False)
        assert following.token == 2
        entries = (await other.list("/lock/queue")).entries
        assert entries == {}

    story()


@virtual
async def test_a_change_whose_answer_is_lost_is_not_made_twice(world: World) -> None:
    client = world.client()
    value = SharedValue(client, "/v", chance=random.Random(0))
    entry = await value.set(b"1", expect=Condition.ABSENT)
    client.writes_lost = 1
    second = await value.set(b"2", expect=entry.version)  # proven not to have happened, and so tried again
    client.answers_lost = 1
    with pytest.raises(UnknownError):
        await value.set(b"3", expect=second.version)
    now = await value.get()
    assert now is not None
    assert now.value == b"3"
    with pytest.raises(ConflictError):
        await value.set(b"4", expect=second.version)


def test_the_same_story_gives_the_same_history_twice() -> None:
    def history() -> list[tuple[str, int, Instant]]:
        seen: list[tuple[str, int, Instant]] = []

        @virtual
        async def story(world: World) -> None:
            async def contend(seed: int) -> None:
                client = world.client()
                session = await client.open_session((3 + seed) * SECOND)
                hold = await world.lock(client, seed).acquire(session, by=str(seed))
                seen.append((hold.claim.mark, hold.token, world.now))  # and lets its session run out

            contending = [asyncio.create_task(contend(seed)) for seed in range(3)]
            for _ in range(20):
                await world.move(SECOND)
            await asyncio.gather(*contending, return_exceptions=True)

        story()
        return seen

    first = history()
    assert [token for _, token, _ in first] == [1, 2, 3]
    assert first == history()
