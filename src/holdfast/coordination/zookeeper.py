"""The coordinator on ZooKeeper, by kazoo.

A session is a connection of its own (zookeeper_line), renewed only by its owner's `renew`: a round trip to the leader, which
refuses it when the session has ended. How keys become leaves, and why a condition on a version is exact although
ZooKeeper's own versions begin anew, stands in zookeeper_tree.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError

from holdfast.coordination.clock import now
from holdfast.coordination.limits import check_key, check_prefix, check_transaction, check_value
from holdfast.coordination.session_deadline import SessionDeadline, attempt_limit
from holdfast.coordination.zookeeper_line import Ensemble, Line, OverError, UnansweredError, UnreachableError
from holdfast.coordination.zookeeper_reading import Reader, sync
from holdfast.coordination.zookeeper_tree import (
    Check,
    Create,
    Delete,
    MissingFoldersError,
    Put,
    Reading,
    Step,
    planned,
)
from holdfast.coordination.zookeeper_watching import watching
from holdfast.model.time import DAY, MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Abilities,
    Condition,
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

# A server tells the leader of its sessions every half tick; if it dies, that much is forgotten. The shortest session
# has two ticks, so a third covers it, and the clocks.
MARGIN = 1 / 3
TTL_MIN: Duration = 1 * SECOND  # shorter ones flapped under load, whatever the tick
LIMIT: Duration = 1 * SECOND  # for one attempt
WRITE_LIMITS = 4  # how many limits a write may take when it is overtaken by others' again and again
_READING_TTL: Duration = 6 * SECOND  # of the line that no keys are bound to


class ZooKeeperCoordinator:
    """One client of a ZooKeeper ensemble. All keys are below `prefix`."""

    def __init__(self, ensemble: Ensemble, *, prefix: str = "/holdfast", limit: Duration = LIMIT) -> None:
        self._ensemble = ensemble
        self._root = prefix
        self._limit = limit
        self._line = Line(ensemble, _READING_TTL, limit=limit, is_single=False)
        self._reader = Reader(self._line, prefix, limit=limit, patience=3 * limit)
        self._sessions: dict[str, ZooKeeperSession] = {}
        self._abilities: Abilities | None = None

    async def open_session(self, ttl: Duration) -> "ZooKeeperSession":
        """Open a session: a connection of its own."""
        for ended in [session for session in self._sessions.values() if session.is_over]:
            await self._forget(ended)
        ttl = max(ttl, TTL_MIN)
        # Several servers may have to be tried before the deadline, and one of them may be frozen.
        line = Line(self._ensemble, ttl, limit=min(self._limit, ttl // 8), is_single=True)
        sent_at = now()
        try:
            await line.ask([sync], within=3 * self._limit)
        except (UnreachableError, UnansweredError, OverError) as error:
            await line.drop()
            raise UnavailableError(f"no session: {error}") from None
        session = ZooKeeperSession(line, SessionDeadline(line.granted, MARGIN, sent_at))
        self._sessions[session.id] = session
        return session

    async def get(self, key: str) -> Entry | None:
        """Return the key, as a majority knows it."""
        check_key(key)
        leaf = (await self._reader.leaves([key])).leaves[key]
        return None if leaf is None else leaf.entry

    async def list(self, prefix: str) -> Snapshot:
        """Return everything below `prefix`."""
        check_prefix(prefix)
        return Snapshot({key: leaf.entry for key, leaf in (await self._reader.tree(prefix)).items()})

    async def put(
        self, key: str, value: bytes, *, expect: Expect = Condition.ANY, session: Session | None = None
    ) -> Entry:
        """Write a key under a condition."""
        check_key(key)
        check_value(value)
        owner = session.id if session else None
        lender = session if isinstance(session, ZooKeeperSession) else None
        zxid, reading = await self._write([Guard(key, expect)], [Write(key, value, owner)], lender)
        leaf = reading.leaves[key]
        is_same = leaf is not None and leaf.entry.session == owner
        return Entry(key, value, zxid, leaf.entry.token if leaf is not None and is_same else zxid, owner)

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
        return watching(self._line, self._root, prefix, beat, self._limit)

    async def abilities(self) -> Abilities:
        """Return what the engine can do. The bounds of a session are learnt by asking for less and for more."""
        if self._abilities is None:
            shortest, longest = await self._granted(1 * MILLISECOND), await self._granted(1 * DAY)
            self._abilities = Abilities("zookeeper", max(shortest, TTL_MIN), longest, MARGIN)
        return self._abilities

    async def close(self) -> None:
        """Let go of the ensemble."""
        for session in list(self._sessions.values()):
            await self._forget(session)
        await self._line.close()

    async def _forget(self, session: "ZooKeeperSession") -> None:
        self._sessions.pop(session.id, None)
        await session.drop()

    async def _granted(self, ttl: Duration) -> Duration:
        line = Line(self._ensemble, ttl, limit=self._limit, is_single=True)
        try:
            await line.ask([sync], within=3 * self._limit)
            return line.granted
        except (UnreachableError, UnansweredError, OverError) as error:
            raise UnavailableError(f"no session: {error}") from None
        finally:
            await line.close()

    # --- writing --------------------------------------------------------------------------------------

    async def _write(
        self, guards: Sequence[Guard], writes: Sequence[Write], lender: "ZooKeeperSession | None" = None
    ) -> tuple[int, Reading]:
        """Do the writes; return the id of the transaction, and what was there before."""
        line = self._line_of(writes, lender)
        keys = [*(guard.key for guard in guards), *(write.key for write in writes)]
        end = now() + WRITE_LIMITS * self._limit
        while now() < end:
            reading = await self._reader.leaves(keys)
            try:
                steps = planned(self._root, guards, writes, reading)
            except MissingFoldersError as missing:
                for folder in missing.folders:
                    await self._make(folder)
                continue
            if not steps:
                return 0, reading
            zxid = await self._commit(line, steps)
            if zxid is not None:
                return zxid, reading
        raise UnavailableError("each attempt to write was overtaken by another's")

    def _line_of(self, writes: Sequence[Write], lender: "ZooKeeperSession | None") -> Line:
        # ZooKeeper binds a key to the session that creates it, so the request has to go through that session's line.
        owners = {write.session for write in writes if write.session is not None and write.value is not None}
        if not owners:
            return self._line
        if len(owners) > 1:
            raise ValueError(
                "a transaction can bind keys to one session only: ZooKeeper sends it as that session"
            )
        session = lender or self._sessions.get(owners.pop())
        if session is None or session.deadline == 0:
            raise SessionLostError("this client has no such session")
        return session.line

    async def _commit(self, line: Line, steps: Sequence[Step]) -> int | None:
        """Return the id of the transaction; None if something had changed and nothing was done."""
        try:
            (results,) = await line.ask([lambda client: _transaction(client, steps)], within=self._limit)
        except OverError:
            if line is not self._line:
                raise SessionLostError("the session has ended") from None
            return None  # a new session has refused what was meant for the old one
        except UnreachableError as error:
            raise UnavailableError(str(error)) from None
        except UnansweredError as error:
            raise UnknownError(str(error)) from None
        if not any(isinstance(result, Exception) for result in results):
            # All steps share one transaction id; a step that only checks does not tell it.
            return max((result.mzxid for result in results if hasattr(result, "mzxid")), default=0)
        if any(isinstance(result, NoAuthError) for result in results):
            raise UnavailableError("the ensemble does not let this user write here")
        return None

    async def _make(self, folder: str) -> None:
        parts = folder.strip("/").split("/")
        paths = ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
        await self._reader.ask([_made(path) for path in paths])


class ZooKeeperSession:
    """A ZooKeeper session, and the line that carries it."""

    def __init__(self, line: Line, life: SessionDeadline) -> None:
        self.line = line
        self.id = str(line.session)
        self._life = life

    @property
    def ttl(self) -> Duration:
        """Return what the ensemble granted."""
        return self._life.ttl

    @property
    def deadline(self) -> Instant:
        """Return until when the session is surely alive; 0 once it is known to be lost."""
        return self._life.deadline

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left of it but its threads."""
        return self._life.is_lost or self.line.is_over

    async def renew(self) -> None:
        """Prove to be alive: the leader answers only a session that it has not ended."""
        if self._life.is_lost:
            raise SessionLostError(self.id)
        self.line.owner_spoke()
        sent_at = now()
        try:
            await self.line.ask([sync], within=min(attempt_limit(self._life.budget), LIMIT))
        except OverError:
            self._life = self._life.lost()
            raise SessionLostError(self.id) from None
        except (UnansweredError, UnreachableError) as error:
            raise UnavailableError(str(error)) from None
        self._life = self._life.renewed(sent_at)

    async def close(self) -> None:
        """End the session and its keys, if the ensemble can be told; else its ttl does."""
        self._life = self._life.lost()
        await self.line.close()

    async def drop(self) -> None:
        """Let the session run out."""
        await self.line.drop()


def _transaction(client: KazooClient, steps: Sequence[Step]) -> Any:  # noqa: ANN401 - kazoo has no types
    request = client.transaction()
    for step in steps:
        match step:
            case Check(path, count):
                request.check(path, count)
            case Put(path, value, count):
                request.set_data(path, value, count)
            case Create(path, value, is_ephemeral):
                request.create(path, value, ephemeral=is_ephemeral)
            case Delete(path, count):
                request.delete(path, count)
    return request.commit_async()


def _made(path: str) -> Any:  # noqa: ANN401 - kazoo has no types
    return lambda client: client.create_async(path)
