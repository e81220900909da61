"""The cluster's book: what stands in the coordinator below a system's root, and who may write what (decision 0011).

    ROOT/leader/...             the election (recipes/election.py); `by` of whoever leads is its host's name
    ROOT/hosts/HOST             a HostReport, bound to the host's session
    ROOT/leases/SERVICE/...     who may serve as primary (recipes/leases.py)
    ROOT/assignments/SERVICE    an Assignment, by the leader
    ROOT/wishes/SERVICE         a signed OperatorWish
    ROOT/policy/...             the signed file (recipes/shared_policy.py)

No key is ever overwritten blindly: each write is guarded by the version that was there when we looked. So a request that was
held up somewhere cannot undo a later one of ours.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.answers import Done, Doubtful, Refused, settled
from holdfast.coordination.recipes.election import Election
from holdfast.coordination.recipes.leases import Leases
from holdfast.coordination.recipes.seats import Hold, claim_in
from holdfast.coordination.recipes.shared_policy import SharedPolicy
from holdfast.coordination.recipes.signing import Seal
from holdfast.coordination.recipes.values import NotUnderstoodError, TooLargeError, decoded, encoded
from holdfast.coordination.recipes.viewing_cluster import Decoded, ViewKeeper, decode
from holdfast.coordination.recipes.wishing import LABEL, wish_in, written_wish
from holdfast.model.cluster import Assignment, HostReport, OperatorWish
from holdfast.model.ids import HostName, LifeId, ServiceName
from holdfast.model.time import Instant
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


class ClusterBook:
    """The book below `root` (`/SYSTEM`), as one life of one host's agent reads and writes it."""

    def __init__(
        self, coordinator: Coordinator, root: str, host: HostName, life: LifeId, *, secret: bytes
    ) -> None:
        check_key(root)
        self._coordinator = coordinator
        self._host = host
        self._life = life
        self._seal = Seal(secret, LABEL, root.strip("/"))
        self._has_reported = False
        self._chair: _Chair | None = None
        self.root = root
        self.leases = Leases(coordinator, root, host=host, life=life)
        self.policy = SharedPolicy(coordinator, root, secret=secret)

    # --- reading --------------------------------------------------------------------------------------

    def decode(self, entries: Mapping[str, Entry]) -> Decoded:
        """Return what these entries, everything below the root, say."""
        return decode(self.root, entries, self._seal)

    def keeper(self) -> ViewKeeper:
        """Return what keeps a view up to date from the sightings of a watch on `root`."""
        return ViewKeeper(self.root, self._seal)

    def election(self, *, now: Callable[[], Instant], chance: Random) -> Election:
        """Return the election of the leader. Whoever campaigns does so by its host's name."""
        return Election(self._coordinator, f"{self.root}/leader", now=now, chance=chance)

    # --- writing --------------------------------------------------------------------------------------

    async def report(self, report: HostReport, session: Session) -> Done | Refused | Doubtful:
        """Say how this host is, for as long as the session lasts. What our last life or session said is replaced.

        Refused once another agent has reported under our name since: two hosts must not have one name.
        """
        assert report.life == self._life
        key = f"{self.root}/hosts/{self._host}"

        async def attempt(_: str) -> Done | Refused:
            entry = await self._coordinator.get(key)
            other = _life_in(entry)
            if self._has_reported and other not in {None, self._life}:
                return Refused(f"another agent, life {other}, calls itself {self._host} as well")
            await self._coordinator.put(key, value, expect=_as(entry), session=session)
            self._has_reported = True
            return Done()

        try:
            value = encoded(report)
        except TooLargeError as error:
            return Refused(f"the report is too large: {error}")
        return await settled(attempt)

    async def assign(self, assignment: Assignment, hold: Hold) -> Done | Refused | Doubtful:
        """Write what the leader wants of a service. Refused by the coordinator once `hold` is not the leader's seat."""
        return await self.assign_all((assignment,), hold)

    async def assign_all(self, assignments: Sequence[Assignment], hold: Hold) -> Done | Refused | Doubtful:
        """Write what the leader wants of several services, all or none: after a host's loss there are many at once.

        At most `TRANSACTION_WRITES_MAX`. One that is too large refuses them all.
        """
        assert all(assignment.leader_epoch == hold.token for assignment in assignments)
        keys = [f"{self.root}/assignments/{assignment.service}" for assignment in assignments]

        async def attempt(_: str) -> Done | Refused:
            chair = self._chair
            if (
                chair is None or chair.mark != hold.claim.mark
            ):  # the mark: it may be of an earlier term of ours
                chair = await self._seated(hold)
            if chair is None:
                return Refused(f"this host does not lead under epoch {hold.token} any more")
            standing = await self._standing(keys)
            guards = [Guard(key, _as(standing.get(key))) for key in keys]
            writes = [Write(key, value) for key, value in zip(keys, values, strict=True)]
            try:
                await self._coordinator.transact([*chair.guards, *guards], writes)
            except ConflictError:
                self._chair = None
                raise
            self._chair = chair
            return Done()

        try:
            values = [encoded(assignment) for assignment in assignments]
        except TooLargeError as error:
            return Refused(f"the assignment is too large: {error}")
        return await settled(attempt)

    async def wish(self, wish: OperatorWish) -> Done | Refused | Doubtful:
        """Write what an operator asks of the leader. It replaces what was asked of the service before."""
        key = f"{self.root}/wishes/{wish.service}"

        async def attempt(_: str) -> Done:
            entry = await self._coordinator.get(key)
            await self._coordinator.put(key, value, expect=_as(entry))
            return Done()

        try:
            value = written_wish(wish, self._seal)
        except TooLargeError as error:
            return Refused(f"the wish is too large: {error}")
        return await settled(attempt)

    async def drop_wish(self, service: ServiceName, wish: str) -> Done | Refused | Doubtful:
        """Delete the wish with this id. A newer one stays; a false one stays too, and is obeyed by nobody."""
        key = f"{self.root}/wishes/{service}"

        async def attempt(_: str) -> Done:
            entry = await self._coordinator.get(key)
            if entry is not None and self._wish_id(entry) == wish:
                await self._coordinator.delete(key, expect=entry.version)
            return Done()

        return await settled(attempt)

    # --- inside ---------------------------------------------------------------------------------------

    async def _standing(self, keys: Sequence[str]) -> Mapping[str, Entry]:
        """Return what stands at these assignments, with one question."""
        if len(keys) > 1:
            return (await self._coordinator.list(f"{self.root}/assignments")).entries
        entry = await self._coordinator.get(keys[0])
        return {} if entry is None else {entry.key: entry}

    async def _seated(self, hold: Hold) -> "_Chair | None":
        """Return by what a write proves that `hold` still leads; None if it does not."""
        epoch = await self._coordinator.get(f"{self.root}/leader/epoch")
        seat = await self._coordinator.get(hold.key)
        claim = claim_in(seat)
        if epoch is None or seat is None or claim is None or claim.mark != hold.claim.mark:
            return None
        if epoch.value != str(hold.token).encode():
            return None
        return _Chair(claim.mark, (Guard(epoch.key, epoch.version), Guard(seat.key, seat.version)))

    def _wish_id(self, entry: Entry) -> str | None:
        try:
            return wish_in(entry.value, self._seal).id
        except NotUnderstoodError:
            return None


class _Chair(Value, frozen=True):
    """The leader's epoch and seat, as they stand while one hold lasts."""

    mark: str
    guards: tuple[Guard, Guard]


def _as(entry: Entry | None) -> Expect:
    return entry.version if entry is not None else Condition.ABSENT


def _life_in(entry: Entry | None) -> LifeId | None:
    try:
        return None if entry is None else decoded(entry.value, HostReport).life
    except NotUnderstoodError:
        return None
