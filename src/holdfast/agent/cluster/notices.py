"""Notices between hosts: what is about to be done to a member, or was done, told to its peers elsewhere.

`ROOT/agents/notices/HOST` holds the newest notices of a host, `ROOT/agents/heard/HOST` which of others' it has dealt with. Who tells waits for
that only before a change, and the caller bounds it. A notice is told once, if at all: who was away, or was told too much at once, misses it,
as agents have to expect; their next monitor looks for itself.
"""

import asyncio
from collections.abc import Awaitable, Callable

from holdfast.coordination.recipes.values import NotUnderstoodError, decoded, encoded
from holdfast.model.ids import HostName, LifeId, ServiceName
from holdfast.model.value import Value
from holdfast.ocf.variables import Notice
from holdfast.ports.coordination import Coordinator, Entry, UnavailableError, UnknownError

_KEPT = 16


class Told(Value, frozen=True):
    """One notice on its way."""

    number: int
    service: ServiceName
    notice: Notice
    to: tuple[HostName, ...]


class Outbox(Value, frozen=True):
    """What one life of a host's agent has told, the newest last."""

    life: LifeId
    told: tuple[Told, ...] = ()


class Heard(Value, frozen=True):
    """What a host has dealt with: by who told it."""

    by: dict[HostName, tuple[LifeId, tuple[int, ...]]] = {}


class Notices:
    """What this host tells others, and hears of them."""

    def __init__(
        self,
        coordinator: Coordinator,
        root: str,
        me: HostName,
        life: LifeId,
        hear: Callable[[ServiceName, Notice], Awaitable[None]],
    ) -> None:
        """`root` is that of the system. `hear` tells the members here."""
        self._coordinator = coordinator
        self._root = f"{root}/agents"
        self._me = me
        self._hear = hear
        self._outbox = Outbox(life)
        self._number = 0
        self._seen: dict[HostName, tuple[LifeId, int]] = {}  # the newest notice of each host
        self._answers: dict[HostName, Heard] = {}
        self._mine = Heard()
        self._changed = asyncio.Event()
        self._works: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    async def tell(
        self, service: ServiceName, notice: Notice, to: frozenset[HostName], *, awaited: frozenset[HostName]
    ) -> None:
        """Tell the members of a service on other hosts; before a change, wait until those `awaited` have dealt with it."""
        if not to:
            return
        self._number += 1
        told = Told(self._number, service, notice, tuple(sorted(to)))
        self._outbox = Outbox(self._outbox.life, (*self._outbox.told[1 - _KEPT :], told))
        if not await self._write("notices", self._outbox) or notice.kind == "post":
            return
        while not all(self._has_heard(host, told.number) for host in awaited):
            self._changed.clear()
            await self._changed.wait()

    def see(self, entry: Entry, *, is_old: bool = False) -> None:
        """Take note of one key, if it is one of notices. `is_old`: it stood there before we looked, and was not for us."""
        try:
            match entry.key.removeprefix(f"{self._root}/").split("/"):
                case ["notices", host] if host != self._me:
                    self._receive(host, decoded(entry.value, Outbox), is_old=is_old)
                case ["heard", host] if host != self._me:
                    self._answers[host] = decoded(entry.value, Heard)
                    self._changed.set()
        except NotUnderstoodError:
            return  # of another version of holdfast

    async def close(self) -> None:
        """Deal with nothing more."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)

    def _receive(self, host: HostName, outbox: Outbox, *, is_old: bool) -> None:
        life, number = self._seen.get(host, ("", 0))
        known = number if life == outbox.life else 0
        newest = max((told.number for told in outbox.told), default=0)
        self._seen[host] = outbox.life, max(known, newest)
        for told in outbox.told:
            if not is_old and told.number > known and self._me in told.to:
                work = asyncio.create_task(self._deal(host, outbox.life, told))
                self._works.add(work)
                work.add_done_callback(self._works.discard)

    async def _deal(self, host: HostName, life: LifeId, told: Told) -> None:
        await self._hear(told.service, told.notice)
        before, numbers = self._mine.by.get(host, ("", ()))
        kept = numbers[1 - _KEPT :] if before == life else ()
        self._mine = Heard({**self._mine.by, host: (life, (*kept, told.number))})
        await self._write("heard", self._mine)

    def _has_heard(self, host: HostName, number: int) -> bool:
        life, numbers = self._answers.get(host, Heard()).by.get(self._me, ("", ()))
        return life == self._outbox.life and number in numbers

    async def _write(self, what: str, value: Outbox | Heard) -> bool:
        async with self._writing:  # in order: the newest stays
            try:
                await self._coordinator.put(f"{self._root}/{what}/{self._me}", encoded(value))
            except (UnavailableError, UnknownError):
                return False  # nobody is told; without the coordinator nobody waits for it either
        return True
