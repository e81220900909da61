"""The embedded coordinator: one folder on one host, any number of processes. Nothing to install.

One SQLite file (WAL) holds the keys; a locked file per session tells in milliseconds that its owner has died; the ttl, counted
on CLOCK_BOOTTIME, ends the session of an owner that hangs. Between hosts it must not be used: neither locks nor SQLite's
shared memory work over network file systems.

A process that is stopped in the middle of a write holds SQLite's write lock, and so all others, until it goes on or dies:
they get UnavailableError, never two owners. Writes take well under a millisecond, so this is rare (docs/client.md).

All file access happens in two threads, one for writes and one for reads: a slow disk delays answers, not the loop.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from holdfast.coordination import clock
from holdfast.coordination.embedded_files import OUTLIVING
from holdfast.coordination.embedded_polling import Polling
from holdfast.coordination.embedded_store import Page, Standing, Store
from holdfast.coordination.limits import check_key, check_prefix, check_transaction, check_value
from holdfast.coordination.session_deadline import SessionDeadline, attempt_limit
from holdfast.model.time import HOUR, MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Abilities,
    Beat,
    Condition,
    CoordinationError,
    Entry,
    Expect,
    Guard,
    Session,
    SessionLostError,
    Sighting,
    Snapshot,
    UnavailableError,
    UnknownError,
    Write,
)

T = TypeVar("T")

TTL_MIN, TTL_MAX = 200 * MILLISECOND, HOUR
MARGIN = 0.1  # one host has one clock: this is for the scheduler
CALL_LIMIT: Duration = 2 * SECOND
POLL_EVERY: Duration = 20 * MILLISECOND


class EmbeddedCoordinator:
    """One client of the store in `folder`. Opens no file before it is used."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], Instant] = clock.now,
        call_limit: Duration = CALL_LIMIT,
        poll_every: Duration = POLL_EVERY,
        outlives_process: bool = False,
    ) -> None:
        self._outlives_process = outlives_process
        self.now = now
        self._call_limit = call_limit
        boot = clock.boot_id()
        # Half of the limit for somebody else's write; the rest for ours.
        self._writer = Store(folder, now, call_limit // 2, boot)
        self._reader = Store(folder, now, call_limit // 2, boot)
        self._writes = ThreadPoolExecutor(1, "holdfast-embedded-write")
        self._reads = ThreadPoolExecutor(1, "holdfast-embedded-read")
        self._polling = Polling(self._look, poll_every, now)
        self._descriptors: dict[str, int] = {}  # what keeps our sessions alive
        self._is_closed = False

    async def open_session(self, ttl: Duration) -> "EmbeddedSession":
        """Open a session."""
        granted = min(max(ttl, TTL_MIN), TTL_MAX)
        session = (OUTLIVING if self._outlives_process else "") + secrets.token_hex(8)
        sent_at = self.now()
        await self.write(lambda: self._open_session(session, granted))
        return EmbeddedSession(self, session, SessionDeadline(granted, MARGIN, sent_at))

    async def get(self, key: str) -> Entry | None:
        """Return the key; None if it does not exist."""
        check_key(key)
        return (await self._page(key)).entries.get(key)

    async def list(self, prefix: str) -> Snapshot:
        """Return everything below `prefix`."""
        check_prefix(prefix)
        return Snapshot((await self._page(prefix)).entries)

    async def put(
        self, key: str, value: bytes, *, expect: Expect = Condition.ANY, session: Session | None = None
    ) -> Entry:
        """Write a key under a condition; bound to `session`, it disappears with it."""
        check_key(key)
        check_value(value)
        guards = [Guard(key, expect)]
        writes = [Write(key, value, session.id if session else None)]
        (entry,) = await self.write(lambda: self._writer.transact(guards, writes))
        assert entry is not None
        return entry

    async def delete(self, key: str, *, expect: Expect = Condition.ANY) -> None:
        """Delete a key under a condition."""
        await self.transact([Guard(key, expect)], [Write(key, None)])

    async def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        """Do all writes if all guards hold, else none."""
        check_transaction(guards, writes)
        guards, writes = tuple(guards), tuple(writes)
        await self.write(lambda: self._writer.transact(guards, writes))

    def watch(self, prefix: str, *, beat: Duration = 2 * SECOND) -> AsyncIterator[Sighting]:
        """Return what happens below `prefix`, beginning with a Snapshot."""
        check_prefix(prefix)
        return self._sightings(prefix, beat)

    async def abilities(self) -> Abilities:
        """Return what the engine can do; UnavailableError if the folder cannot be used."""
        await self._read(lambda: self._reader.look(None))
        return Abilities("embedded", TTL_MIN, TTL_MAX, MARGIN)

    async def forget_history(self) -> None:
        """Drop what watches are fed from; each that is behind begins anew with a Snapshot."""
        await self.write(self._writer.forget_history)

    async def close(self) -> None:
        """Let go of the file. Open sessions are seen to be dead, as if this process had died."""
        if self._is_closed:
            return
        self._is_closed = True
        self._polling.stop()
        for session in list(self._descriptors):
            self.let_go(session)
        self._writes.submit(self._writer.close)
        self._reads.submit(self._reader.close)
        for threads in (self._writes, self._reads):
            threads.shutdown(wait=False)

    # --- for our sessions -----------------------------------------------------------------------------

    async def write(self, work: Callable[[], T], limit: Duration | None = None) -> T:
        """Do `work` in the writing thread; UnknownError if it did not end in time."""
        return await self._do(self._writes, work, limit or self._call_limit, UnknownError)

    async def renew(self, session: str, limit: Duration) -> None:
        """Let a session live on."""
        await self.write(lambda: self._writer.renew(session), min(limit, self._call_limit))

    async def end(self, session: str) -> None:
        """End a session and its keys."""
        await self.write(lambda: self._writer.end(session))

    def let_go(self, session: str) -> None:
        """Unlock the session's file: from now on everybody sees that it is dead."""
        descriptor = self._descriptors.pop(session, None)
        if descriptor is not None:
            self._writer.files.let_go(descriptor)

    # --- inside ---------------------------------------------------------------------------------------

    def _open_session(self, session: str, ttl: Duration) -> None:
        descriptor = self._writer.open_session(session, ttl)
        self._descriptors[session] = descriptor
        if self._is_closed:
            self.let_go(session)

    async def _page(self, prefix: str) -> Page:
        page = await self._read(lambda: self._reader.page(prefix))
        while page is None:  # a session has died: each round ends those that had died before it
            await self.write(self._writer.reap)
            page = await self._read(lambda: self._reader.page(prefix))
        return page

    async def _look(self, last: Standing | None) -> Standing:
        standing, has_dead = await self._read(lambda: self._reader.look(last))
        if has_dead:  # those that die meanwhile are for the next look
            await self.write(self._writer.reap)
            standing, _ = await self._read(lambda: self._reader.look(None))
        return standing

    async def _sightings(self, prefix: str, beat: Duration) -> AsyncIterator[Sighting]:
        page = await self._page(prefix)
        told_at = self.now()
        yield Snapshot(page.entries)
        seen = page.revision
        async with self._polling.attend():
            while True:
                if not await self._polling.news(seen, told_at + beat):
                    told_at = self.now()
                    yield Beat()
                    continue
                changes, seen = await self._read(partial(self._reader.changes, prefix, seen))
                if changes is None:
                    page = await self._page(prefix)
                    seen, told_at = page.revision, self.now()
                    yield Snapshot(page.entries)
                    continue
                for change in changes:
                    told_at = self.now()
                    yield change

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._do(self._reads, work, self._call_limit, UnavailableError)

    async def _do(
        self,
        threads: ThreadPoolExecutor,
        work: Callable[[], T],
        limit: Duration,
        late: type[CoordinationError],
    ) -> T:
        if self._is_closed:
            raise UnavailableError("the coordinator was closed")
        begun: Future[T] = threads.submit(work)
        try:
            async with asyncio.timeout(limit / SECOND):
                return await asyncio.wrap_future(begun)
        except TimeoutError:
            if begun.cancelled():  # it was still waiting for its turn, and will not get it
                raise UnavailableError("the disk did not answer earlier calls in time") from None
            raise late("the disk did not answer in time") from None


class EmbeddedSession:
    """A session of the embedded store."""

    def __init__(self, coordinator: EmbeddedCoordinator, session: str, life: SessionDeadline) -> None:
        self._coordinator = coordinator
        self._life = life
        self.id = session

    @property
    def ttl(self) -> Duration:
        """Return the granted time to live."""
        return self._life.ttl

    @property
    def deadline(self) -> Instant:
        """Return until when the session is surely alive; 0 once it is known to be lost."""
        return self._life.deadline

    async def renew(self) -> None:
        """Prove to be alive."""
        if self._life.is_lost:
            raise SessionLostError(f"session {self.id} has ended")
        sent_at = self._coordinator.now()
        try:
            await self._coordinator.renew(self.id, attempt_limit(self._life.budget))
        except SessionLostError:
            self._life = self._life.lost()
            self._coordinator.let_go(self.id)
            raise
        except UnknownError as error:  # whether it took effect changes nothing: it may be tried again
            raise UnavailableError(str(error)) from error
        self._life = self._life.renewed(sent_at)

    async def close(self) -> None:
        """End the session and its keys; even if the disk does not answer, they are seen to be dead at once."""
        self._life = self._life.lost()
        try:
            await self._coordinator.end(self.id)
        except CoordinationError:
            pass  # the unlocked file tells it
        finally:
            self._coordinator.let_go(self.id)
