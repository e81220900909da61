"""The coordinator in memory: for the simulator and for tests. Nothing outlives its process.

It is deterministic: its time is the `now` it was given, it has no thread and never sleeps. Whoever moves the time
calls `MemoryEngine.turn` afterwards, which ends what has expired and wakes the watches; `next_turn` says when that
will be due. Each client has faults to be switched on: cut off, an answer lost before or after the write, or a write that is late.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from holdfast.coordination import conditions
from holdfast.coordination.limits import check_key, check_prefix, check_transaction, check_value, is_below
from holdfast.coordination.session_deadline import SessionDeadline
from holdfast.model.time import HOUR, MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Abilities,
    Beat,
    Change,
    Condition,
    ConflictError,
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

TTL_MIN, TTL_MAX = 10 * MILLISECOND, HOUR
MARGIN = 0.1
HISTORY_MAX = 1000  # changes that a watch may be behind before it gets a Snapshot instead


class MemoryEngine:
    """All keys and sessions, and the history that watches are fed from."""

    def __init__(self, now: Callable[[], Instant], *, history_max: int = HISTORY_MAX) -> None:
        self.now = now
        self.revision = 0
        self._entries: dict[str, Entry] = {}
        self._expiries: dict[str, Instant] = {}  # by session
        self._ttls: dict[str, Duration] = {}
        self._history: deque[tuple[int, Change]] = deque(maxlen=history_max)
        self._forgotten = 0  # revisions up to this one are no longer in the history
        self._waiting: dict[asyncio.Future[None], Instant] = {}  # -> when it wants to be woken at the latest
        self._sessions_made = 0

    def coordinator(self) -> "MemoryCoordinator":
        """Return a new client of this engine."""
        return MemoryCoordinator(self)

    def turn(self) -> None:
        """End what has expired and wake who waits. To be called whenever `now` has moved."""
        self.expire()
        now = self.now()
        for waiting, due in list(self._waiting.items()):
            if due <= now:
                self._wake(waiting)

    def next_turn(self) -> Instant | None:
        """Return when something will happen by itself; None if nothing will."""
        return min([*self._expiries.values(), *self._waiting.values()], default=None)

    def compact(self) -> None:
        """Forget the history: every watch that is behind begins anew with a Snapshot."""
        self._history.clear()
        self._forgotten = self.revision

    def wake_all(self) -> None:
        """Have every watch look again."""
        for waiting in list(self._waiting):
            self._wake(waiting)

    # --- what a client asks for -----------------------------------------------------------------------

    def open_session(self, ttl: Duration) -> tuple[str, Duration]:
        """Open a session and return its id and what was granted."""
        self._sessions_made += 1
        session = f"s{self._sessions_made}"
        granted = min(max(ttl, TTL_MIN), TTL_MAX)
        self._ttls[session] = granted
        self._expiries[session] = self.now() + granted
        return session, granted

    def renew(self, session: str) -> None:
        """Let the session live on from now; SessionLostError if it does not live."""
        self.expire()
        if session not in self._expiries:
            raise SessionLostError(session)
        self._expiries[session] = self.now() + self._ttls[session]

    def end(self, session: str) -> None:
        """End a session and its keys."""
        self._expiries.pop(session, None)
        self._ttls.pop(session, None)
        for key in sorted(key for key, entry in self._entries.items() if entry.session == session):
            self._delete(key)

    def expire(self) -> None:
        """End the sessions whose time has come, in that order."""
        now = self.now()
        due = sorted((at, session) for session, at in self._expiries.items() if at <= now)
        for _, session in due:
            self.end(session)

    def get(self, key: str) -> Entry | None:
        """Return the key."""
        self.expire()
        return self._entries.get(key)

    def list(self, prefix: str) -> Snapshot:
        """Return everything below the prefix, by key."""
        self.expire()
        return Snapshot({key: self._entries[key] for key in sorted(self._entries) if is_below(key, prefix)})

    def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        """Do all writes if all guards hold and all sessions live, else none."""
        self.expire()
        for guard in guards:
            if not conditions.holds(guard.expect, self._entries.get(guard.key)):
                raise ConflictError(f"{guard.key} is not as expected")
        for write in writes:
            if write.session is not None and write.session not in self._expiries:
                raise SessionLostError(write.session)
        for write in writes:
            if write.value is None:
                self._delete(write.key)
            else:
                self._put(write.key, write.value, write.session)

    def changes(self, prefix: str, after: int) -> Sequence[Change] | None:
        """Return what happened below the prefix since revision `after`; None if that is forgotten."""
        self.expire()
        if after < self._forgotten:
            return None
        return [c for at, c in self._history if at > after and is_below(c.entry.key, prefix)]

    async def wait(self, until: Instant) -> None:
        """Return after the next change, or after the first turn at or past `until`."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = until
        try:
            await waiting
        finally:
            self._waiting.pop(waiting, None)

    def _put(self, key: str, value: bytes, session: str | None) -> None:
        before = self._entries.get(key)
        version = self.revision + 1
        entry = Entry(key, value, version, before.token if before else version, session)
        self._entries[key] = entry
        self._note(Change("put", entry))

    def _delete(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._note(Change("delete", entry))

    def _note(self, change: Change) -> None:
        self.revision += 1
        if len(self._history) == self._history.maxlen:
            self._forgotten = self._history[0][0]
        self._history.append((self.revision, change))
        self.wake_all()

    def _wake(self, waiting: "asyncio.Future[None]") -> None:
        self._waiting.pop(waiting, None)
        if not waiting.done():
            waiting.set_result(None)


class MemoryCoordinator:
    """One client of a MemoryEngine, with faults of its own."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.is_cut = False  # nothing reaches the engine, and its news do not reach us
        self.writes_lost = 0  # so many of the next writes do not happen, and nobody says so
        self.answers_lost = 0  # so many of the next writes happen, and nobody says so
        self.writes_late = 0  # so many of the next writes are on their way until `arrive`, and nobody says so
        self._on_their_way: list[tuple[Sequence[Guard], Sequence[Write]]] = []

    async def open_session(self, ttl: Duration) -> "MemorySession":
        """Open a session."""
        sent_at = self.engine.now()
        await self._reach()
        session, granted = self.engine.open_session(ttl)
        return MemorySession(self, session, SessionDeadline(granted, MARGIN, sent_at))

    async def get(self, key: str) -> Entry | None:
        """Return the key; None if it does not exist."""
        check_key(key)
        await self._reach()
        return self.engine.get(key)

    async def list(self, prefix: str) -> Snapshot:
        """Return everything below `prefix`."""
        check_prefix(prefix)
        await self._reach()
        return self.engine.list(prefix)

    async def put(
        self, key: str, value: bytes, *, expect: Expect = Condition.ANY, session: Session | None = None
    ) -> Entry:
        """Write a key under a condition."""
        check_key(key)
        check_value(value)
        await self._write([Guard(key, expect)], [Write(key, value, session.id if session else None)])
        entry = self.engine.get(key)
        assert entry is not None
        return entry

    async def delete(self, key: str, *, expect: Expect = Condition.ANY) -> None:
        """Delete a key under a condition."""
        check_key(key)
        await self._write([Guard(key, expect)], [Write(key, None)])

    async def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        """Do all writes if all guards hold, else none."""
        check_transaction(guards, writes)
        await self._write(guards, writes)

    def watch(self, prefix: str, *, beat: Duration = 2 * SECOND) -> AsyncIterator[Sighting]:
        """Return what happens below `prefix`, beginning with a Snapshot."""
        check_prefix(prefix)
        return self._sightings(prefix, beat)

    async def abilities(self) -> Abilities:
        """Return what the engine can do."""
        await self._reach()
        return Abilities("memory", TTL_MIN, TTL_MAX, MARGIN)

    async def close(self) -> None:
        """Let go of the engine."""
        self.cut()

    def cut(self) -> None:
        """Cut this client off from the engine; set `is_cut` to False to mend it."""
        self.is_cut = True
        self.engine.wake_all()

    def arrive(self) -> None:
        """Have the writes that are late reach the engine, in their order."""
        while self._on_their_way:
            with suppress(ConflictError, SessionLostError):
                self.engine.transact(*self._on_their_way.pop(0))

    async def _reach(self) -> None:
        await asyncio.sleep(0)  # others come in between, as they would over a network
        if self.is_cut:
            raise UnavailableError("cut off from the engine")

    async def _write(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        await self._reach()
        if self.writes_lost > 0:
            self.writes_lost -= 1
            raise UnknownError("the request was lost")
        if self.writes_late > 0:
            self.writes_late -= 1
            self._on_their_way.append((guards, writes))
            raise UnknownError("the request is late")
        self.engine.transact(guards, writes)
        if self.answers_lost > 0:
            self.answers_lost -= 1
            raise UnknownError("the answer was lost")

    async def _sightings(self, prefix: str, beat: Duration) -> AsyncIterator[Sighting]:
        engine = self.engine
        await self._reach()
        snapshot, seen = engine.list(prefix), engine.revision
        told_at = engine.now()
        yield snapshot
        while True:
            if self.is_cut:
                raise UnavailableError("cut off from the engine")
            changes, latest = engine.changes(prefix, seen), engine.revision
            if changes is None:
                snapshot, seen, told_at = engine.list(prefix), engine.revision, engine.now()
                yield snapshot
            elif changes:
                seen, told_at = latest, engine.now()
                for change in changes:
                    yield change
            elif engine.now() >= told_at + beat:
                seen, told_at = latest, engine.now()
                yield Beat()
            else:
                seen = latest
                await engine.wait(told_at + beat)


class MemorySession:
    """A session of a MemoryEngine."""

    def __init__(self, coordinator: MemoryCoordinator, session: str, life: SessionDeadline) -> None:
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
            raise SessionLostError(self.id)
        sent_at = self._coordinator.engine.now()
        await self._coordinator._reach()  # noqa: SLF001 - of the same module
        try:
            self._coordinator.engine.renew(self.id)
        except SessionLostError:
            self._life = self._life.lost()
            raise
        self._life = self._life.renewed(sent_at)

    async def close(self) -> None:
        """End the session and its keys, if the engine can be told; else its ttl does."""
        self._life = self._life.lost()
        await asyncio.sleep(0)
        if not self._coordinator.is_cut:
            self._coordinator.engine.end(self.id)
