"""The lease of a service: who may serve as its primary, at most one host at a time.

    ROOT/leases/SERVICE/epoch     "42"; grows, as a rule by one, each time the lease is taken, and is never deleted
    ROOT/leases/SERVICE/holder    the Lease, bound to its holder's session
    ROOT/leases/SERVICE/last      the same, but it stays; and whether its holder is known to serve no more

Taking raises the epoch in the same transaction that writes the holder, so there are never two holders of one epoch. A holder may
believe in its lease until its session's `deadline`, as long as nobody but itself, or a leader that proved its host
off, deletes the holder's key.

Each verb makes one attempt and never waits for the lease to become free: what to do next is decided by the cluster loop,
which sees more than this. A verb may be repeated after any answer.
"""

from collections.abc import Callable

import msgspec

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.answers import Done, Doubtful, Refused, settled
from holdfast.coordination.recipes.values import NotUnderstoodError, decoded, number_in
from holdfast.model.cluster import LastLease, Lease
from holdfast.model.ids import Epoch, HostName, LifeId, MemberName, ServiceName
from holdfast.model.value import Value
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    Coordinator,
    Entry,
    Expect,
    Guard,
    Session,
    Write,
)


class Taken(Value, frozen=True):
    """The lease is ours, until the session's deadline."""

    lease: Lease


class Leases:
    """The leases below a root, as one life of one host's agent has to do with them."""

    def __init__(self, coordinator: Coordinator, root: str, *, host: HostName, life: LifeId) -> None:
        check_key(root)
        self._coordinator = coordinator
        self._host = host
        self._life = life
        self.path = f"{root}/leases"

    async def take(
        self,
        service: ServiceName,
        member: MemberName,
        session: Session,
        *,
        after_epoch: Epoch,
        above: Epoch = 0,
    ) -> Taken | Refused | Doubtful:
        """Take a lease that is free, if nobody has had it since `after_epoch` (0: nobody ever).

        `above`: an epoch that was seen before the coordinator forgot it; the new one is larger than both.
        """
        lease = Lease(service, self._host, member, max(after_epoch, above) + 1, self._life)

        async def attempt(doubt: str) -> Taken | Refused:
            # The epoch before the holder: if the epoch has moved, our write has taken effect before this look, or never will.
            epoch = await self._coordinator.get(self._epoch(service))
            if (number := _number(epoch)) != after_epoch:
                if doubt and await self._is_bound(lease, session):
                    return Taken(lease)
                return Refused(f"the epoch is {number}, not {after_epoch}")
            guards = [Guard(self._holder(service), Condition.ABSENT), self._guard(service, epoch)]
            writes = [
                Write(self._epoch(service), str(lease.epoch).encode()),
                self._written(lease, session),
                self._remembered(lease),
            ]
            try:
                await self._coordinator.transact(guards, writes)
            except ConflictError:
                if doubt:
                    raise
                return Refused(await self._why_not_free(service))
            return Taken(lease)

        return await settled(attempt)

    async def adopt(
        self, service: ServiceName, member: MemberName, epoch: Epoch, session: Session
    ) -> Taken | Refused | Doubtful:
        """Bind our own lease to this session, whichever session or life of ours took it: same epoch, nobody in between.

        It is written anew even if it stands there as it should: that defeats a deletion which is still on its way.
        """
        lease = Lease(service, self._host, member, epoch, self._life)

        async def attempt(doubt: str) -> Taken | Refused:
            standing = await self._coordinator.get(self._epoch(service))
            if (number := _number(standing)) != epoch:
                return Refused(f"the epoch is {number}: somebody had the lease after {epoch}")
            holder = await self._coordinator.get(self._holder(service))
            if holder is None:
                guards = [Guard(self._holder(service), Condition.ABSENT), self._guard(service, standing)]
                writes = [self._written(lease, session), self._remembered(lease)]
                await self._coordinator.transact(guards, writes)
                return Taken(lease)
            theirs = _lease_in(holder)
            if not _is_same(theirs, lease):
                why = f"{_described(theirs)} holds it"
                if doubt:  # the epoch has not moved, so our earlier attempt may still have its chance
                    raise ConflictError(why)
                return Refused(why)
            await self._coordinator.put(
                holder.key, msgspec.json.encode(lease), expect=holder.version, session=session
            )
            return Taken(lease)

        return await settled(attempt)

    async def give(self, service: ServiceName, epoch: Epoch) -> Done | Refused | Doubtful:
        """Give up our lease of this epoch, whichever session of ours it is bound to. Done if it is not there (any more)."""
        return await self._free(service, lambda lease: lease.host == self._host and lease.epoch == epoch)

    async def break_(self, service: ServiceName, epoch: Epoch) -> Done | Refused | Doubtful:
        """Free the lease of this epoch, whoever holds it or held it last. Only for a leader, when that host is proven to be off."""
        freed = await self._free(service, lambda lease: lease.epoch == epoch)
        return freed if not isinstance(freed, Done) else await self._settle(service, epoch)

    # --- inside ---------------------------------------------------------------------------------------

    async def _free(
        self, service: ServiceName, is_meant: Callable[[Lease], bool]
    ) -> Done | Refused | Doubtful:
        async def attempt(_: str) -> Done | Refused:
            holder = await self._coordinator.get(self._holder(service))
            if holder is None:
                return Done()
            lease = _lease_in(holder)
            if lease is None:
                return Refused(f"{holder.key} is not understood")
            if is_meant(lease):
                writes = [Write(holder.key, None), self._remembered(lease, is_settled=True)]
                await self._coordinator.transact([Guard(holder.key, holder.version)], writes)
            return Done()

        return await settled(attempt)

    async def _settle(self, service: ServiceName, epoch: Epoch) -> Done | Refused | Doubtful:
        """Note that the last holder serves no more, if its lease was of this epoch and nobody holds it."""

        async def attempt(_: str) -> Done | Refused:
            last = await self._coordinator.get(f"{self.path}/{service}/last")
            known = _last_in(last) if last is not None else None
            if last is None or known is None or known.is_settled or known.lease.epoch != epoch:
                return Done()
            guards = [Guard(self._holder(service), Condition.ABSENT), Guard(last.key, last.version)]
            await self._coordinator.transact(guards, [self._remembered(known.lease, is_settled=True)])
            return Done()

        return await settled(attempt)

    async def _is_bound(self, lease: Lease, session: Session) -> bool:
        holder = await self._coordinator.get(self._holder(lease.service))
        return holder is not None and holder.session == session.id and _lease_in(holder) == lease

    async def _why_not_free(self, service: ServiceName) -> str:
        holder = await self._coordinator.get(self._holder(service))
        return "somebody was quicker" if holder is None else f"{_described(_lease_in(holder))} holds it"

    def _epoch(self, service: ServiceName) -> str:
        return f"{self.path}/{service}/epoch"

    def _holder(self, service: ServiceName) -> str:
        return f"{self.path}/{service}/holder"

    def _guard(self, service: ServiceName, epoch: Entry | None) -> Guard:
        expect: Expect = epoch.version if epoch is not None else Condition.ABSENT
        return Guard(self._epoch(service), expect)

    def _remembered(self, lease: Lease, *, is_settled: bool = False) -> Write:
        return Write(f"{self.path}/{lease.service}/last", msgspec.json.encode(LastLease(lease, is_settled)))

    def _written(self, lease: Lease, session: Session) -> Write:
        return Write(self._holder(lease.service), msgspec.json.encode(lease), session.id)


def _number(entry: Entry | None) -> Epoch | str:
    """Return the epoch that stands there; in words, if that is none: it equals no epoch then."""
    if entry is None:
        return 0
    try:
        return number_in(entry.value)
    except NotUnderstoodError as error:
        return f"not understood ({error})"


def _lease_in(entry: Entry) -> Lease | None:
    try:
        return decoded(entry.value, Lease)
    except NotUnderstoodError:
        return None


def _last_in(entry: Entry) -> LastLease | None:
    try:
        return decoded(entry.value, LastLease)
    except NotUnderstoodError:
        return None


def _is_same(theirs: Lease | None, lease: Lease) -> bool:
    """Tell whether it is the same right of the same host, whichever life of its agent wrote it."""
    if theirs is None:
        return False
    return (theirs.host, theirs.member, theirs.epoch) == (lease.host, lease.member, lease.epoch)


def _described(lease: Lease | None) -> str:
    return "somebody unknown" if lease is None else f"{lease.host}, epoch {lease.epoch},"
