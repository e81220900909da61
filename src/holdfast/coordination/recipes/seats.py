"""Seats: the one idea behind election, lock and semaphore.

Below a path there is a number of seats. A seat is a key that is bound to its holder's session, and so becomes free when
the holder ends, dies or hangs. One epoch counts for all seats of a path; taking a seat raises it in the same transaction,
and its new value is the holder's token. The epoch is never deleted: tokens grow for ever, and stay small enough to be
written into a database column or a file name.

    PATH/epoch            "42"
    PATH/seats/0          the claim of whoever sits there (bound to a session)
    PATH/queue/CLAIM      who waits, in the order of the keys' own tokens (bound to a session)

With `in_turn`, who waits longest goes first, and nobody else tries: no herd. A waiter that hangs holds the others up until its
session ends. Without, all try at once and one wins: right for an election, where nobody should wait for the dead.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from hashlib import sha256
from random import Random

import msgspec

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.pausing import Pauses
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded
from holdfast.coordination.recipes.viewing import views
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import Value
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    CoordinationError,
    Coordinator,
    Entry,
    Guard,
    Session,
    SessionLostError,
    UnavailableError,
    UnknownError,
    Write,
)

ATTEMPTS_MAX = 5  # to tell the engine something before it is left to the session's end
WITHDRAW_LIMIT_S = 5.0
BEAT_MIN, BEAT_MAX = 50 * MILLISECOND, 2 * SECOND


class Claim(Value, frozen=True):
    """What stands in a seat: who sits there, since when in the order of things, and the mark it is known by."""

    token: int
    by: str
    mark: str


class Hold:
    """A seat that was taken."""

    def __init__(self, seats: "Seats", key: str, claim: Claim, session: Session) -> None:
        self._seats = seats
        self.key = key
        self.claim = claim
        self.session = session
        self._is_over = False

    @property
    def token(self) -> int:
        """Return the fencing token: larger than that of every earlier holder."""
        return self.claim.token

    @property
    def deadline(self) -> Instant:
        """Return until when nobody else can hold this seat; 0 once it is given up or known to be lost."""
        return 0 if self._is_over else self.session.deadline

    async def release(self) -> None:
        """Give the seat up.

        Raises UnavailableError if the engine cannot be told: then the seat stays taken until the session ends.
        """
        self._is_over = True
        await self._seats.withdraw(self.claim.mark)

    async def gone(self) -> str:
        """Wait until the seat is not ours any more, and return why; UnavailableError if that cannot be watched."""
        async with aclosing(views(self._seats.coordinator, self.key, BEAT_MAX)) as seen:
            async for view in seen:
                claim = claim_in(view.get(self.key))
                if claim is None or claim.mark != self.claim.mark:
                    self._is_over = True
                    return "nobody holds it" if claim is None else f"{claim.by} holds it, token {claim.token}"
        raise UnavailableError("the watch ended")

    def is_over(self) -> None:
        """Note that the seat is lost: its deadline is over from now on."""
        self._is_over = True


class Seats:
    """`count` seats below `path`."""

    def __init__(
        self,
        coordinator: Coordinator,
        path: str,
        *,
        count: int = 1,
        in_turn: bool,
        now: Callable[[], Instant],
        chance: Random,
    ) -> None:
        check_key(path)
        assert count >= 1
        self.coordinator = coordinator
        self._now = now
        self._chance = chance
        self._in_turn = in_turn
        self.path = path
        self.epoch = f"{path}/epoch"
        self.queue = f"{path}/queue"
        self.seats = tuple(f"{path}/seats/{number}" for number in range(count))

    async def take(self, session: Session, *, by: str, waits: bool = True, above: int = 0) -> Hold:
        """Wait for a free seat and take it. SessionLostError when the session is over before that.

        Whoever waits has to renew the session meanwhile. Cancelled, it leaves the queue, and the seat if it just got it.
        One who does not want to wait gets ConflictError when no seat is free, or others wait for it. `above`: a token that
        was seen before the engine forgot it; the new one is larger.
        """
        # With the session in it, two processes that begin with the same chance (after a fork) differ all the same.
        mark = sha256(f"{session.id} {self._chance.getrandbits(64)}".encode()).hexdigest()[:16]
        try:
            return await self._take(session, Claim(above, by, mark), waits=waits)
        except SessionLostError:
            raise  # what was written is gone with it
        except BaseException:
            await self._withdraw_after_all(mark)
            raise

    async def holders(self) -> list[Claim]:
        """Return who sits at present, by seat."""
        entries = (await self.coordinator.list(f"{self.path}/seats")).entries
        return [claim for key in self.seats if (claim := claim_in(entries.get(key))) is not None]

    async def withdraw(self, mark: str, *, is_in_doubt: bool = False) -> None:
        """Give up whatever carries this mark, or may still come to; UnavailableError if the engine cannot be told."""
        pauses = Pauses(self._chance)
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await pauses.pause()
            try:
                if is_in_doubt:
                    await self._fence()
                    is_in_doubt = False
                if not await self._withdraw_once(mark):
                    return
            except (UnavailableError, UnknownError, ConflictError):
                continue
        raise UnavailableError(f"the engine could not be told that {self.path} is given up")

    # --- taking ---------------------------------------------------------------------------------------

    async def _take(self, session: Session, ours: Claim, *, waits: bool) -> Hold:
        pauses = Pauses(self._chance)
        while True:
            try:
                async with aclosing(views(self.coordinator, self.path, _beat(session))) as seen:
                    async for view in seen:
                        if self._now() >= session.deadline:
                            raise SessionLostError(
                                f"session {session.id} ran out while waiting for {self.path}"
                            )
                        hold = await self._try(view, session, ours, waits=waits)
                        if hold is not None:
                            return hold
                        pauses.begin_anew()
            except (UnavailableError, UnknownError):
                # The next view begins with a snapshot: it tells what became of a write without an answer.
                if self._now() >= session.deadline:
                    raise SessionLostError(
                        f"session {session.id} ran out while waiting for {self.path}"
                    ) from None
            await pauses.pause()

    async def _try(
        self, view: dict[str, Entry], session: Session, ours: Claim, *, waits: bool
    ) -> Hold | None:
        mark = ours.mark
        for key in self.seats:
            claim = claim_in(view.get(key))
            if claim is not None and claim.mark == mark:  # an earlier attempt, whose answer was lost
                return Hold(self, key, claim, session)
        free = [key for key in self.seats if key not in view]
        place = self._place(view, mark)
        if place is None or place >= len(free):
            if not waits:
                raise ConflictError(f"{self.path} is taken")
            await self._queue_up(view, session, mark)
            return None
        token = max(_epoch(view.get(self.epoch)), ours.token) + 1
        return await self._sit_down(view, free[place], session, Claim(token, ours.by, mark))

    def _place(self, view: dict[str, Entry], mark: str) -> int | None:
        """Return how many of those who wait go before us; None if we have to queue up first."""
        if not self._in_turn:
            return 0
        waiting = sorted((e for key, e in view.items() if key.startswith(self.queue + "/")), key=_by_token)
        marks = [entry.key.rpartition("/")[2] for entry in waiting]
        if mark in marks:
            return marks.index(mark)
        return None if marks else 0

    async def _queue_up(self, view: dict[str, Entry], session: Session, mark: str) -> None:
        key = f"{self.queue}/{mark}"
        if not self._in_turn or key in view:
            return
        guards = [Guard(key, Condition.ABSENT), self._guard_of_epoch(view)]
        with suppress(ConflictError):  # it stands there already, or the view was behind
            await self.coordinator.transact(guards, [Write(key, b"", session.id)])

    async def _sit_down(
        self, view: dict[str, Entry], seat: str, session: Session, claim: Claim
    ) -> Hold | None:
        writes = [
            Write(seat, msgspec.json.encode(claim), session.id),
            Write(self.epoch, str(claim.token).encode()),
        ]
        if f"{self.queue}/{claim.mark}" in view:
            writes.append(Write(f"{self.queue}/{claim.mark}", None))
        try:
            await self.coordinator.transact(
                [Guard(seat, Condition.ABSENT), self._guard_of_epoch(view)], writes
            )
        except ConflictError:
            return None  # the view was behind: what it lacks is on its way
        return Hold(self, seat, claim, session)

    def _guard_of_epoch(self, view: dict[str, Entry]) -> Guard:
        epoch = view.get(self.epoch)
        return Guard(self.epoch, epoch.version if epoch else Condition.ABSENT)

    # --- giving up ------------------------------------------------------------------------------------

    async def _withdraw_once(self, mark: str) -> bool:
        """Delete what carries the mark. Return whether there was anything."""
        entries = (await self.coordinator.list(self.path)).entries
        found = False
        for key, entry in entries.items():
            claim = claim_in(entry) if key in self.seats else None
            if key == f"{self.queue}/{mark}" or (claim is not None and claim.mark == mark):
                found = True
                await self.coordinator.delete(key, expect=entry.version)
        return found

    async def _fence(self) -> None:
        """Make sure that no write of ours that is still on its way can take effect.

        Each is guarded by the epoch's version, so writing the epoch anew, value unchanged, defeats it. A conflict
        means that the epoch has moved meanwhile, which defeats it as well, or that it was the write itself.
        """
        epoch = await self.coordinator.get(self.epoch)
        expect = epoch.version if epoch else Condition.ABSENT
        with suppress(ConflictError):
            await self.coordinator.put(self.epoch, epoch.value if epoch else b"0", expect=expect)

    async def _withdraw_after_all(self, mark: str) -> None:
        """Withdraw although we were cancelled; at the latest the session's end does it."""
        task = asyncio.ensure_future(self.withdraw(mark, is_in_doubt=True))
        task.add_done_callback(_hear_out)
        await asyncio.wait({task}, timeout=WITHDRAW_LIMIT_S)


def claim_in(entry: Entry | None) -> Claim | None:
    """Return the claim in a seat; somebody else's bytes in it are a claim too, by nobody we know."""
    if entry is None:
        return None
    try:
        return decoded(entry.value, Claim)
    except NotUnderstoodError:
        return Claim(0, "unknown", "")


def _epoch(entry: Entry | None) -> int:
    return int(entry.value) if entry is not None else 0


def _beat(session: Session) -> Duration:
    return min(max(session.ttl // 8, BEAT_MIN), BEAT_MAX)


def _by_token(entry: Entry) -> int:
    return entry.token


def _hear_out(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        error = task.exception()
        assert error is None or isinstance(error, CoordinationError), error
