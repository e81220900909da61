"""Attributes of resource agents, carried between hosts: `ROOT/agents/attributes/HOST` and `ROOT/agents/attributes-of-all`.

Each key holds all attributes of one host (`ocf.sharing.Noted`), whoever wrote them, and is bound to no session: what a primary said of a standby has to be
there when the primary is not. Writes are by compare-and-swap, so two hosts that write at once lose nothing of each other. While the
coordinator cannot be reached agents go on with what their host knows, and what they write is carried later.
"""

import asyncio
import re
from collections.abc import Callable

import msgspec

from holdfast.coordination.recipes.values import NotUnderstoodError, TooLargeError, decoded, encoded
from holdfast.ocf.attributes import CLUSTER
from holdfast.ocf.sharing import LIFETIMES, Changes, Noted, Replica, may_be_carried
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    Coordinator,
    Entry,
    Expect,
    UnavailableError,
    UnknownError,
)

_HOST = re.compile(r"[a-z0-9][a-z0-9-]*")
_ATTEMPTS = 20  # of one write against those of others


class AttributeSharing:
    """The attributes of one host's agents, and what stands in the coordinator."""

    def __init__(
        self,
        coordinator: Coordinator,
        root: str,
        replica: Callable[[], Replica | None],
        tell: Callable[[str], None],
    ) -> None:
        """`root` is that of the system. `tell` hears what cannot be carried, and why."""
        self._coordinator = coordinator
        self._root = f"{root}/agents"
        self._replica = replica
        self._tell = tell
        self._told = ""
        self._there: dict[str, tuple[Noted, Entry]] = {}
        self._absent: frozenset[str] = frozenset()
        self._one = asyncio.Lock()

    def hide(self, absent: frozenset[str]) -> None:
        """Forget, while these hosts are absent, what of theirs ends with them."""
        changed, self._absent = self._absent ^ absent, absent
        for host in changed & self._there.keys():
            self._learn(host)

    def see(self, entry: Entry) -> None:
        """Take over what stands in one key, if it is one of attributes and newer than what we know."""
        host = self._host(entry.key)
        known = self._there.get(host)
        if not host or (known is not None and _age(known[1]) >= _age(entry)):
            return
        try:
            noted = decoded(entry.value, Noted)
        except NotUnderstoodError as error:
            self._complain(f"{entry.key}: {error}")
            return
        safe = {lifetime: _safe(noted.of(lifetime)) for lifetime in LIFETIMES}
        self._there[host] = Noted(**safe), entry
        self._learn(host)

    def see_all(self, entries: dict[str, Entry]) -> None:
        """Take over all that stands there: what does not is carried there again."""
        gone = self._there.keys() - {self._host(key) for key in entries}
        self._there.clear()
        if (replica := self._replica()) is not None:
            for host in gone:
                replica.forget(host)
        for entry in entries.values():
            self.see(entry)

    async def carry(self) -> bool:
        """Write there what agents here have changed; tell whether all of it arrived."""
        replica = self._replica()
        if replica is None:
            return True
        async with self._one:
            try:
                for host, changes in replica.changes().items():
                    if host == CLUSTER or _HOST.fullmatch(host):  # an agent may write about whomever it likes
                        await self._write(host, changes)
            except (UnavailableError, UnknownError, ConflictError):
                return False  # told by the session; what is here is carried later
        return True

    async def _write(self, host: str, changes: Changes) -> None:
        key = f"{self._root}/attributes-of-all" if host == CLUSTER else f"{self._root}/attributes/{host}"
        for _ in range(_ATTEMPTS):
            before, entry = self._there.get(host, (Noted(), None))
            expect: Expect = Condition.ABSENT if entry is None else entry.version
            try:
                value = encoded(before.after(changes))
            except TooLargeError as error:
                self._complain(f"attributes of {host}: {error}")
                return
            try:
                self.see(await self._coordinator.put(key, value, expect=expect))
            except ConflictError:
                newer = await self._coordinator.get(key)
                if newer is None:
                    self._there.pop(host, None)
                else:
                    self.see(newer)
            else:
                return
        raise ConflictError(f"{key} is written by others all the time")

    def _learn(self, host: str) -> None:
        replica = self._replica()
        if replica is not None:
            noted = self._there[host][0]
            replica.learn(host, msgspec.structs.replace(noted, reboot={}) if host in self._absent else noted)

    def _host(self, key: str) -> str:
        match key.removeprefix(f"{self._root}/").split("/"):
            case ["attributes-of-all"]:
                return CLUSTER
            case ["attributes", host] if _HOST.fullmatch(host):
                return host
            case _:
                return ""

    def _complain(self, what: str) -> None:
        if what != self._told:
            self._told = what
            self._tell(what)


def _age(entry: Entry) -> tuple[int, int]:
    return entry.token, entry.version


def _safe(attributes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if may_be_carried(name, value)}
