"""Membership: who is there, and what each says about itself.

A member is a key bound to its session: it leaves when it says so, and when it dies or hangs. A member that is missing is not
proven dead, only silent; what follows from that is for others to decide.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from random import Random
from typing import TypeAlias

import msgspec

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.pausing import Pauses
from holdfast.coordination.recipes.seats import ATTEMPTS_MAX, BEAT_MAX
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded
from holdfast.coordination.recipes.viewing import views
from holdfast.model.time import Instant
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    Coordinator,
    Entry,
    Expect,
    Session,
    SessionLostError,
    UnavailableError,
    UnknownError,
)

Facts: TypeAlias = Mapping[str, str]


class Membership:
    """The members below a path."""

    def __init__(
        self, coordinator: Coordinator, path: str, *, now: Callable[[], Instant], chance: Random
    ) -> None:
        check_key(path)
        self._coordinator = coordinator
        self._now = now
        self._chance = chance
        self.path = path

    async def join(self, name: str, facts: Facts, session: Session) -> "Member":
        """Appear as `name`. Waits while another session has that name: after a quick restart, our own old one."""
        key = f"{self.path}/{name}"
        check_key(key)
        pauses = Pauses(self._chance)
        while True:
            try:
                return Member(self, key, await self.tell(key, facts, session, Condition.ABSENT), session)
            except (ConflictError, UnavailableError, UnknownError):
                if self._now() >= session.deadline:
                    raise SessionLostError(
                        f"session {session.id} ran out while joining {self.path}"
                    ) from None
            await pauses.pause()

    async def members(self) -> dict[str, Facts]:
        """Return who is there."""
        return self._facts((await self._coordinator.list(self.path)).entries)

    async def changes(self) -> AsyncGenerator[dict[str, Facts], None]:
        """Return who is there, again with each change; UnavailableError when that cannot be known."""
        last: dict[str, Facts] | None = None
        async with aclosing(views(self._coordinator, self.path, BEAT_MAX)) as seen:
            async for view in seen:
                members = self._facts(view)
                if members != last:
                    last = members
                    yield members

    async def tell(self, key: str, facts: Facts, session: Session, expect: Expect) -> Entry:
        """Write a member's facts; without an answer, look whether they are there."""
        value = msgspec.json.encode(dict(facts))
        try:
            return await self._coordinator.put(key, value, expect=expect, session=session)
        except UnknownError:
            entry = await self._coordinator.get(key)
            if entry is not None and entry.session == session.id and entry.value == value:
                return entry
            raise

    async def remove(self, key: str, session: Session) -> None:
        """Delete a member's key if it is still this session's; UnavailableError if the engine cannot be told."""
        pauses = Pauses(self._chance)
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await pauses.pause()
            try:
                entry = await self._coordinator.get(key)
                if entry is None or entry.session != session.id:
                    return
                await self._coordinator.delete(key, expect=entry.version)
            except (UnavailableError, UnknownError, ConflictError):
                continue
        raise UnavailableError(f"the engine could not be told that {key} left")

    def _facts(self, entries: Mapping[str, Entry]) -> dict[str, Facts]:
        prefix = f"{self.path}/"
        return {
            key.removeprefix(prefix): _decoded(entry.value)
            for key, entry in sorted(entries.items())
            if key.startswith(prefix)
        }


class Member:
    """One member, as itself."""

    def __init__(self, membership: Membership, key: str, entry: Entry, session: Session) -> None:
        self._membership = membership
        self._version = entry.version
        self._has_left = False
        self.key = key
        self.session = session

    @property
    def deadline(self) -> Instant:
        """Return until when others surely see us; 0 once we left."""
        return 0 if self._has_left else self.session.deadline

    async def say(self, facts: Facts) -> None:
        """Replace our facts. ConflictError if our key is no longer ours."""
        entry = await self._membership.tell(self.key, facts, self.session, self._version)
        self._version = entry.version

    async def leave(self) -> None:
        """Disappear now."""
        self._has_left = True
        await self._membership.remove(self.key, self.session)


def _decoded(value: bytes) -> Facts:
    try:
        return decoded(value, dict[str, str])
    except NotUnderstoodError:
        return {}  # somebody else's bytes: a member of whom nothing is known
