"""The coordinator: eight operations, on which leader election, membership, leases, locks and shared configuration are built once.

Contract (tests/contract/test_coordination_contract.py; each driver and the in-memory store passes it):
1. `Entry.version` changes with each write of a key; `Entry.token` is larger for every later incarnation of it
   (created after a deletion), and so fences.
2. A write happened, or raises ConflictError (proven not to have), or UnknownError (it may have: read back
   before trying again). UnavailableError: it was not sent, or nothing can be read now. SessionLostError: the session
   that it was to be bound to is gone.
3. `Session.deadline` is no later than the moment at which the engine may give the session's keys away. It counts from the
   moment the last acknowledged renewal was *sent*, on CLOCK_BOOTTIME, less a margin for the drift of clocks. No callback is
   needed to know it, and none is trusted.
4. A session lives only while its owner calls `renew`: a driver whose library renews by a thread of its own lets the session go
   when the owner stops calling.
5. `watch` begins with a Snapshot; then come Changes in order; after any doubt (compaction, reconnection) a new Snapshot. It is never silent:
   at least every `beat` it yields something, or raises UnavailableError.
6. Every call ends by its time limit.

Keys are paths such as `/demo/members/h1`: lower-case letters, digits, `-`, `_`, `.` between slashes. Values are bytes, 64 KiB at most.
"""

from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import Value

VALUE_MAX_BYTES = 64 * 1024


class CoordinationError(Exception):
    """Something did not work; the subclasses say what that proves."""


class ConflictError(CoordinationError):
    """The condition did not hold, and nothing was changed."""


class UnknownError(CoordinationError):
    """No answer: the write may or may not have happened."""


class UnavailableError(CoordinationError):
    """No quorum or no connection: nothing was written, nothing can be read now."""


class SessionLostError(CoordinationError):
    """The session that the write belongs to no longer exists."""


class Condition(Enum):
    """What must hold for a write, besides an exact version."""

    ANY = "any"
    ABSENT = "absent"


Expect: TypeAlias = int | Condition  # an int is the version that the key must have


class Entry(Value, frozen=True):
    """One key as it was at one moment."""

    key: str
    value: bytes
    version: int
    token: int
    session: str | None = None  # it disappears with this session


class Snapshot(Value, frozen=True):
    """All keys below a prefix at one moment."""

    entries: dict[str, Entry]


class Change(Value, frozen=True):
    """One key was written or deleted. A deleted entry is as it was before."""

    kind: Literal["put", "delete"]
    entry: Entry


class Beat(Value, frozen=True):
    """Nothing changed, and that is known, not assumed."""


Sighting: TypeAlias = Snapshot | Change | Beat


class Guard(Value, frozen=True):
    """A condition of a transaction."""

    key: str
    expect: Expect


class Write(Value, frozen=True):
    """A write of a transaction. `value` None deletes."""

    key: str
    value: bytes | None
    session: str | None = None  # id of the session it is bound to


class Abilities(Value, frozen=True):
    """What an engine can do."""

    engine: str  # "embedded", "zookeeper", "etcd", "memory"
    ttl_min: Duration
    ttl_max: Duration
    margin: float  # share of the ttl that a session's deadline stays before its expiry


class Session(Protocol):
    """A lease on being alive. Its keys disappear when it ends."""

    @property
    def id(self) -> str:
        """Return what entries of this session carry as `session`."""

    @property
    def ttl(self) -> Duration:
        """Return the granted time to live, which may differ from what was asked for."""

    @property
    def deadline(self) -> Instant:
        """Return until when the session is surely alive (CLOCK_BOOTTIME); 0 once it is known to be lost."""

    async def renew(self) -> None:
        """Prove to be alive; raises UnavailableError (try again before the deadline) or SessionLostError."""

    async def close(self) -> None:
        """End the session and its keys now. Never raises: what cannot be told to the engine ends by its ttl."""


class Coordinator(Protocol):
    """ZooKeeper, etcd, the embedded store, or the simulator's."""

    async def open_session(self, ttl: Duration) -> Session:
        """Open a session; the engine may grant another ttl than asked for."""

    async def get(self, key: str) -> Entry | None:
        """Return the key as the engine's majority knows it; None if it does not exist."""

    async def list(self, prefix: str) -> Snapshot:
        """Return everything below `prefix` (the prefix itself included), as the majority knows it."""

    async def put(
        self, key: str, value: bytes, *, expect: Expect = Condition.ANY, session: Session | None = None
    ) -> Entry:
        """Write a key under a condition; bound to `session`, it disappears with it."""

    async def delete(self, key: str, *, expect: Expect = Condition.ANY) -> None:
        """Delete a key under a condition; deleting what does not exist under ANY is no error."""

    async def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        """Do all writes if all guards hold, else none (ConflictError)."""

    def watch(self, prefix: str, *, beat: Duration = 2 * SECOND) -> AsyncIterator[Sighting]:
        """Return what happens below `prefix`, beginning with a Snapshot."""

    async def abilities(self) -> Abilities:
        """Return what the engine can do; raises UnavailableError when it cannot be reached."""

    async def close(self) -> None:
        """Let go of the engine. Open sessions are not ended: they run out, as if we had died."""
