"""What only the embedded store can get wrong: another boot, a file that is swapped, a disk that is slow, a blocked loop."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from holdfast.coordination.clock import now
from holdfast.coordination.embedded import EmbeddedCoordinator
from holdfast.coordination.embedded_schema import FILE
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.ports.coordination import Beat, Change, Sighting, Snapshot, UnavailableError, UnknownError

Story = Callable[[EmbeddedCoordinator], Awaitable[None]]


def tell(folder: Path, story: Story) -> None:
    async def told() -> None:
        coordinator = EmbeddedCoordinator(folder / "store")
        try:
            await story(coordinator)
        finally:
            await coordinator.close()

    asyncio.run(told())


def alter(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "store" / FILE, isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_sessions_of_another_boot_are_dead_whatever_their_clock_says(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        session = await coordinator.open_session(60 * SECOND)
        await coordinator.put("/k", b"", session=session)
        await coordinator.put("/stays", b"")
        alter(tmp_path, "UPDATE sessions SET boot = 'another'")
        assert list((await coordinator.list("/")).entries) == ["/stays"]

    tell(tmp_path, story)


def test_keys_and_versions_outlive_every_process(tmp_path: Path) -> None:
    async def write(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"1")
        await coordinator.delete("/k")
        await coordinator.put("/k", b"2")

    async def read(coordinator: EmbeddedCoordinator) -> None:
        entry = await coordinator.get("/k")
        assert entry is not None
        assert (entry.value, entry.version, entry.token) == (b"2", 3, 3)

    tell(tmp_path, write)
    tell(tmp_path, read)


def test_a_store_that_was_removed_or_replaced_grants_nothing_more(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"")
        shutil.rmtree(tmp_path / "store")
        with pytest.raises(UnavailableError):
            await coordinator.put("/k", b"")
        other = EmbeddedCoordinator(tmp_path / "store")
        await other.put("/k", b"")
        await other.close()
        with pytest.raises(UnavailableError, match="replaced while in use"):
            await coordinator.put("/k", b"")

    tell(tmp_path, story)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        (tmp_path / "store").mkdir()
        alter(tmp_path, "PRAGMA user_version = 99")
        with pytest.raises(UnavailableError, match="newer holdfast"):
            await coordinator.get("/k")

    tell(tmp_path, story)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / FILE).write_text("not a database, and long enough to be looked at " * 50)
        with pytest.raises(UnavailableError, match="not a database"):
            await coordinator.get("/k")

    tell(tmp_path, story)


def test_only_the_owner_may_look_inside(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        session = await coordinator.open_session(SECOND)
        await coordinator.put("/k", b"", session=session)
        modes = {path: path.stat().st_mode & 0o077 for path in (tmp_path / "store").rglob("*")}
        assert len(modes) >= 4
        assert not any(modes.values()), modes
        assert (tmp_path / "store").stat().st_mode & 0o077 == 0

    tell(tmp_path, story)


def test_a_session_leaves_no_file_behind(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        session, forgotten = [await coordinator.open_session(SECOND) for _ in range(2)]
        files = tmp_path / "store" / "sessions"
        assert len(list(files.iterdir())) == 2
        await session.close()
        coordinator.let_go(forgotten.id)
        await coordinator.list("/")
        assert list(files.iterdir()) == []

    tell(tmp_path, story)


async def read_to_its_end(watch: AsyncIterator[Sighting]) -> None:
    async for _ in watch:
        pass


def test_a_watch_goes_on_after_the_file_could_not_be_read_for_a_while(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"1")
        before = coordinator.watch("/k", beat=100 * MILLISECOND)
        assert isinstance(await anext(before), Snapshot)
        hidden = (tmp_path / "store").rename(tmp_path / "hidden")
        with pytest.raises(UnavailableError):
            await read_to_its_end(before)
        hidden.rename(tmp_path / "store")
        after = coordinator.watch("/k", beat=100 * MILLISECOND)
        assert isinstance(await anext(after), Snapshot)
        await coordinator.put("/k", b"2")
        sighting = await anext(after)
        while isinstance(sighting, Beat):
            sighting = await anext(after)
        assert isinstance(sighting, Change)
        assert sighting.entry.value == b"2"
        await after.aclose()  # type: ignore[attr-defined]  # a generator

    tell(tmp_path, story)


def test_a_watch_is_not_silent_for_ever_when_it_cannot_tell_who_is_alive(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        session = await coordinator.open_session(60 * SECOND)
        mark = tmp_path / "store" / "sessions" / session.id
        watch = coordinator.watch("/", beat=200 * MILLISECOND)
        assert isinstance(await anext(watch), Snapshot)
        mark.rename(tmp_path / "aside")
        mark.symlink_to(mark.name)  # it cannot be opened, as no file can for a program that has too many open
        async with asyncio.timeout(20):
            with pytest.raises(UnavailableError):
                await read_to_its_end(watch)
        (tmp_path / "aside").replace(mark)
        again = coordinator.watch("/", beat=200 * MILLISECOND)
        async with asyncio.timeout(20):
            assert isinstance(await anext(again), Snapshot)
            assert isinstance(await anext(again), Beat)

    tell(tmp_path, story)


def test_a_write_that_waits_for_another_does_not_block_the_loop_or_reads(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"before")
        watch = coordinator.watch("/k", beat=50 * MILLISECOND)
        assert isinstance(await anext(watch), Snapshot)
        other = sqlite3.connect(tmp_path / "store" / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(coordinator.put("/k", b"after"))
        longest = 0
        while not writing.done():
            began = now()
            await asyncio.sleep(0.001)
            longest = max(longest, now() - began)
            entry = await coordinator.get("/k")
            assert entry is not None
            assert entry.value == b"before"
            await anext(watch)
        with pytest.raises(UnavailableError, match="locked"):
            await writing
        other.execute("ROLLBACK")
        other.close()
        assert longest < SECOND // 2  # the write waited for a second; generous, for a busy machine
        await coordinator.put("/k", b"after")
        await watch.aclose()  # type: ignore[attr-defined]  # a generator

    tell(tmp_path, story)


def test_a_call_that_waits_for_its_turn_too_long_was_not_made(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"before")
        other = sqlite3.connect(tmp_path / "store" / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(coordinator.put("/k", b"%d" % number) for number in range(6)), return_exceptions=True
        )
        assert all(isinstance(result, UnavailableError | UnknownError) for result in results)
        assert sum(isinstance(result, UnavailableError) for result in results) >= 5
        other.execute("ROLLBACK")
        other.close()

    tell(tmp_path, story)


def test_closing_leaves_no_thread_waiting_and_may_be_done_twice(tmp_path: Path) -> None:
    async def story(coordinator: EmbeddedCoordinator) -> None:
        await coordinator.put("/k", b"")
        await coordinator.close()
        await coordinator.close()
        with pytest.raises(UnavailableError, match="closed"):
            await coordinator.get("/k")

    tell(tmp_path, story)


def test_a_session_that_outlives_its_process_ends_by_its_ttl_alone(tmp_path: Path) -> None:
    async def lives_on() -> None:
        first = EmbeddedCoordinator(tmp_path / "store", outlives_process=True)
        second = EmbeddedCoordinator(tmp_path / "store")
        try:
            session = await first.open_session(1 * SECOND)
            await first.put("/k", b"", session=session)
            await first.close()  # as if the process had died
            assert "/k" in (await second.list("/")).entries
            async with asyncio.timeout(30):
                while "/k" in (await second.list("/")).entries:
                    assert now() < session.deadline + 30 * SECOND
                    await asyncio.sleep(0.02)
            assert now() >= session.deadline
        finally:
            await second.close()

    asyncio.run(lives_on())
