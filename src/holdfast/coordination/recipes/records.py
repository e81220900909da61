"""The record of a database with synchronous commit: who may be promoted (postgresql/synchronous.py says why that is safe).

    ROOT/services/SERVICE/record      the Record, by whoever holds the service's lease
    ROOT/services/SERVICE/timeline    the newest timeline that was ever begun, likewise (see postgresql/timelines.py)

Each write is one transaction: it happens only if the record still is the one that it was derived from, and only while the
writer's host holds the lease. So who was overtaken, however late its request arrives, changes nothing.
"""

import asyncio

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.answers import Done, Doubtful, Refused, settled
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded, encoded
from holdfast.model.cluster import Lease
from holdfast.model.ids import Epoch, HostName, ServiceName
from holdfast.model.postgresql import Kept, Record
from holdfast.ports.coordination import Condition, Coordinator, Expect, Guard, Write


class Records:
    """The records below a root, as one host has to do with them."""

    def __init__(self, coordinator: Coordinator, root: str, host: HostName) -> None:
        check_key(root)
        self._coordinator = coordinator
        self._root = root
        self._host = host

    async def read(self, service: ServiceName) -> Kept | Refused | Doubtful:
        """Return the record as the majority knows it. What nobody understands is refused: it must not be overwritten."""

        async def attempt(_: str) -> Kept | Refused:
            entry = await self._coordinator.get(self._key(service))
            if entry is None:
                return Kept(None, None)
            try:
                return Kept(decoded(entry.value, Record), entry.version)
            except NotUnderstoodError as error:
                return Refused(f"{entry.key} is not understood: {error}")

        return await settled(attempt)

    async def write(
        self, service: ServiceName, record: Record | None, after: Kept, lease: Epoch
    ) -> Done | Refused | Doubtful:
        """Put `record` in the place of `after`, None: delete it. Refused unless this host holds the lease of that epoch."""
        value = None if record is None else encoded(record)
        expect: Expect = Condition.ABSENT if after.version is None else after.version

        async def attempt(doubt: str) -> Done | Refused:
            entry, held = await asyncio.gather(
                self._coordinator.get(self._key(service)), self._held(service, lease)
            )
            # In doubt: only the holder of this very lease writes, and that is us, one write after the other.
            if (entry.version if entry is not None else None) != after.version:
                is_as_asked = (entry.value if entry is not None else None) == value
                return Done() if doubt and is_as_asked else Refused("the record was written meanwhile")
            if isinstance(held, Refused):
                return held
            guards = [*held, Guard(self._key(service), expect)]
            await self._coordinator.transact(guards, [Write(self._key(service), value)])
            return Done()

        return await settled(attempt)

    async def begin_timeline(
        self, service: ServiceName, above: int, lease: Epoch
    ) -> int | Refused | Doubtful:
        """Return a number for a timeline that nobody else was or will be given, larger than `above`.

        Refused unless this host holds the lease of that epoch. In doubt another one is taken: numbers may be left out.
        """
        key = f"{self._root}/services/{service}/timeline"

        async def attempt(_: str) -> int | Refused:
            entry, held = await asyncio.gather(self._coordinator.get(key), self._held(service, lease))
            if isinstance(held, Refused):
                return held
            if entry is not None and not entry.value.isdigit():
                return Refused(f"{key} is not understood: {entry.value!r}")
            number = 1 + max(above, int(entry.value) if entry is not None else 0)
            expect: Expect = Condition.ABSENT if entry is None else entry.version
            await self._coordinator.transact([*held, Guard(key, expect)], [Write(key, str(number).encode())])
            return number

        return await settled(attempt)

    async def ask_lease(self, service: ServiceName, lease: Epoch) -> Done | Refused | Doubtful:
        """Return Done if this host holds the lease of that epoch, as the majority knows it."""

        async def attempt(_: str) -> Done | Refused:
            held = await self._held(service, lease)
            return held if isinstance(held, Refused) else Done()

        return await settled(attempt)

    async def _held(self, service: ServiceName, lease: Epoch) -> tuple[Guard, Guard] | Refused:
        """Return by what a write proves that this host holds the lease."""
        holder, epoch = await asyncio.gather(
            self._coordinator.get(f"{self._root}/leases/{service}/holder"),
            self._coordinator.get(f"{self._root}/leases/{service}/epoch"),
        )
        if holder is None or epoch is None:
            return Refused("nobody holds the lease")
        try:
            standing = decoded(holder.value, Lease)
        except NotUnderstoodError as error:
            return Refused(f"{holder.key} is not understood: {error}")
        is_ours = (standing.host, standing.epoch) == (self._host, lease)
        if not is_ours or epoch.value != str(lease).encode():
            return Refused(
                f"{standing.host} holds the lease of epoch {standing.epoch}, and it was to be {lease}"
            )
        return Guard(holder.key, holder.version), Guard(epoch.key, epoch.version)

    def _key(self, service: ServiceName) -> str:
        return f"{self._root}/services/{service}/record"
