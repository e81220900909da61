"""Notices that something happened in the store's file, for all watches of one coordinator.

SQLite tells nobody of a change, but says in microseconds whether there was one. One poll serves every watch, runs only while
there is a watch, and also finds the sessions whose owner has died: that is how a takeover begins.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast.coordination.embedded_store import Standing
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.ports.coordination import CoordinationError, UnavailableError


class Polling:
    """Looks at the file every `every`, as long as somebody attends."""

    def __init__(
        self,
        look: Callable[[Standing | None], Awaitable[Standing]],
        every: Duration,
        now: Callable[[], Instant],
    ) -> None:
        self._look = look
        self._every = every
        self._now = now
        self._attending = 0
        self._task: asyncio.Task[None] | None = None
        self._standing: Standing | None = None
        self._problem: str | None = None
        self._looked_at: Instant = 0  # when the last successful look began
        self._news = asyncio.Event()

    @asynccontextmanager
    async def attend(self) -> AsyncIterator[None]:
        """Have the file looked at meanwhile."""
        self._attending += 1
        if self._task is None or self._task.done():
            self._problem = None
            self._task = asyncio.create_task(self._poll(), name="holdfast: poll of the embedded store")
        try:
            yield
        finally:
            self._attending -= 1
            if not self._attending:
                self.stop()

    def stop(self) -> None:
        """End the poll; who still attends is told."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._problem = "the coordinator was closed"
        self._tell()

    async def news(self, after: int, until: Instant) -> bool:
        """Wait for a revision newer than `after` and return True; False if at `until` there surely was none.

        UnavailableError if the file could not be read.
        """
        while True:
            if self._problem is not None:
                raise UnavailableError(self._problem)
            if self._standing is not None and self._standing.revision > after:
                return True
            if self._looked_at >= until:
                return False
            await self._news.wait()

    async def _poll(self) -> None:
        while True:
            looked_at = self._now()
            try:
                self._standing = await self._look(self._standing)
                self._problem = None
                self._looked_at = looked_at
            except CoordinationError as error:
                self._problem = str(error)
            self._tell()
            await asyncio.sleep(self._every / SECOND)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
