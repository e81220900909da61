"""Turns `async def test_...(stage)` into a test over all drivers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from holdfast.coordination.clock import now
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Change,
    Coordinator,
    Session,
    SessionLostError,
    Sighting,
    UnavailableError,
)
from tests.contract.coordination.stages import DRIVERS, Driver, Stage

WITHIN_S = 30.0  # for anything that should take one

Story: TypeAlias = Callable[[Stage], Awaitable[None]]


def staged(story: Story) -> Callable[[str, Path], None]:
    """Return the test that tells `story` on the stage of the driver it is given by name."""

    def test(driver: str, tmp_path: Path) -> None:
        asyncio.run(_tell(story, DRIVERS[driver], tmp_path))

    test.__name__ = story.__name__
    test.__doc__ = story.__doc__
    test.__module__ = story.__module__
    return test


async def _tell(story: Story, driver: Driver, folder: Path) -> None:
    async with driver(folder) as stage, asyncio.timeout(90):
        await story(stage)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = WITHIN_S) -> Instant:
    """Wait for the condition and return when it was seen to hold."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - other processes bring it about
            await asyncio.sleep(0.005)
    return now()


async def is_gone(client: Coordinator, key: str) -> bool:
    return await client.get(key) is None


class Watcher:
    """Everything that a watch has told so far."""

    def __init__(self, sightings: AsyncIterator[Sighting]) -> None:
        self.seen: list[tuple[Instant, Sighting]] = []
        self._sightings = sightings
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async with aclosing(self._sightings) as sightings:  # type: ignore[type-var]  # all are generators
            async for sighting in sightings:
                self.seen.append((now(), sighting))
                self._news.set()

    def of(self, kind: type[Any]) -> list[Any]:
        return [sighting for _, sighting in self.seen if isinstance(sighting, kind)]

    @property
    def changes(self) -> list[tuple[str, str, bytes]]:
        return [(c.kind, c.entry.key, c.entry.value) for c in self.of(Change)]

    async def count(self, kind: type[Any], at_least: int) -> None:
        """Wait until there are so many sightings of this kind."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.of(kind)) < at_least:
                self._news.clear()
                if self._task.done():
                    self._task.result()
                await self._news.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def renewing(session: Session, every: Duration) -> None:
    """Renew until cancelled: what an owner does."""
    while True:
        await asyncio.sleep(every / SECOND)
        await session.renew()


async def is_refused(session: Session) -> bool:
    """Tell whether the engine says that the session is over.

    An engine breaks the connection of a session that it ended: a renewal on its way there then cannot know.
    """
    try:
        await session.renew()
    except SessionLostError:
        return True
    except UnavailableError:
        return False
    raise AssertionError("a session that ended was renewed")


def longest_silence(watcher: Watcher) -> Duration:
    times = [at for at, _ in watcher.seen]
    return max((b - a for a, b in pairwise(times)), default=0)
