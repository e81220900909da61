"""PostgreSQL on several hosts: what the care for its servers may know of the cluster, and the care itself.

The core learns what a server answers as it learns of any probe; the cluster learns how far its log goes beside the report of its member.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from holdfast.agent import clock
from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.member_books import MemberBooks
from holdfast.agent.log import Level, Line
from holdfast.agent.reading import ReadingCare
from holdfast.agent.server_care import ServerCare
from holdfast.agent.turning import Turning
from holdfast.coordination.recipes.answers import Done
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.records import Records
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import MemberReport
from holdfast.model.duty import pause_of
from holdfast.model.events import Event
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    Incarnation,
    MemberName,
    ServiceName,
    service_of,
)
from holdfast.model.policy import ProbePolicy
from holdfast.model.postgresql import Kept, PostgresCheck, PostgresServer, Record
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.value import replace
from holdfast.ports.components import Components
from holdfast.ports.coordination import Condition, ConflictError, Coordinator, UnavailableError, UnknownError
from holdfast.postgresql.adapter import Postgres
from holdfast.postgresql.books import instance_of
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.comparing import end_at_rest
from holdfast.postgresql.keeping import Keeper
from holdfast.postgresql.reading import hear_member
from holdfast.postgresql.settings import Upstream
from holdfast.postgresql.sight import Sight

_NOTICES_S = 0.02  # that a look is of no use any more
_UNSEEN = "it was not asked yet how far its log goes"


class ClusterBooks(MemberBooks):
    """What stands in the coordinator and in the file, for `postgresql.books`."""

    def __init__(
        self,
        coordinator: Coordinator,
        book: ClusterBook,
        secret: bytes,
        state: Callable[[], ClusterState],
        elsewhere: Callable[[], dict[ComponentId, MemberReport]],
    ) -> None:
        super().__init__(book.root, secret, state, elsewhere)
        self._coordinator = coordinator
        self._records = Records(coordinator, book.root, state().me)
        self._systems: dict[ServiceName, str] = {}

    def place(self, service: ServiceName, member: MemberName) -> Upstream | None:
        """Return where the member's server is reached."""
        address = self.address(service, member)
        return Upstream(*address) if address is not None else None

    def peers(self, service: ServiceName) -> tuple[str, ...]:
        """Return the addresses of all members."""
        return tuple(dict.fromkeys(member.host for member in self._members(service)))

    def passwords(self, service: ServiceName) -> Passwords:
        """Return passwords that follow from the cluster's key: every host has the same ones, and nobody has to keep them."""
        replicator, rewinder = (
            self._derived("postgresql", service, role) for role in ("replicator", "rewinder")
        )
        return Passwords(replicator, rewinder)

    def is_known(self) -> bool:
        """Tell whether the coordinator was seen."""
        return self._state().view is not None

    def record(self, service: ServiceName) -> Record | None:
        """Return who may be promoted, as last seen."""
        view = self._state().view
        return view.records.get(service) if view is not None else None

    async def read_record(self, service: ServiceName) -> Kept | str:
        """Return who may be promoted, as the majority knows it."""
        answer = await self._records.read(service)
        return answer if isinstance(answer, Kept) else answer.why

    async def write_record(
        self, service: ServiceName, record: Record | None, after: Kept, lease: Epoch
    ) -> str:
        """Put the record in the place of `after` under our lease; return why not, if so."""
        answer = await self._records.write(service, record, after, lease)
        return "" if isinstance(answer, Done) else answer.why

    async def begin_timeline(self, service: ServiceName, above: int, lease: Epoch) -> int | str:
        """Return a number for a timeline, larger than `above`, that nobody else is ever given; in words why there is none."""
        answer = await self._records.begin_timeline(service, above, lease)
        return answer if isinstance(answer, int) else answer.why

    async def why_not_holder(self, service: ServiceName, lease: Epoch) -> str:
        """Return why this host does not hold that lease; empty: it does."""
        answer = await self._records.ask_lease(service, lease)
        return "" if isinstance(answer, Done) else answer.why

    async def system(self, service: ServiceName) -> str | None:
        """Return the system identifier of the service's data; it never changes once it stands there."""
        if service not in self._systems:
            try:
                entry = await self._coordinator.get(self._key(service))
            except (UnavailableError, UnknownError):
                return None
            if entry is None:
                return ""
            self._systems[service] = entry.value.decode("ascii", "replace")
        return self._systems[service]

    async def claim_system(self, service: ServiceName, system: str) -> str | None:
        """Write it down unless one stands there; return what stands there."""
        try:
            await self._coordinator.put(self._key(service), system.encode(), expect=Condition.ABSENT)
        except (ConflictError, UnknownError):
            pass  # what stands there counts, whoever wrote it
        except UnavailableError:
            return None
        return await self.system(service)

    def _key(self, service: ServiceName) -> str:
        return f"{self._root}/services/{service}/system"


def look_after_servers(
    clustering: Clustering,
    secret: bytes,
    turning: Turning,
    processes: Components,
    say: Callable[[Line], None],
) -> Postgres:
    """Have the cluster's PostgreSQL servers of this host looked after; return the adapter that runs them."""
    books = ClusterBooks(
        clustering.coordinator,
        clustering.book,
        secret,
        lambda: clustering.turning.state,
        lambda: clustering.elsewhere,
    )

    def tell(component: ComponentId, what: str) -> None:
        say(Line(Level.INFO, component, "data", what))

    care = PostgresCare(books, lambda: turning.state, turning.put, clustering.refresh, tell)
    clustering.turning.follow_view(care.wake)
    clustering.supplemented = care.supplemented
    clustering.more_works = (
        ("postgresql", care.run),
        ("reading", ReadingCare(lambda: turning.state, turning.put, hear_member).run),
    )
    return Postgres(processes, books, tell)


class _Cue(NamedTuple):
    """What a server is looked at for anew."""

    lease: Epoch  # the newest one
    primary: MemberName | None  # whom to follow


class PostgresCare(ServerCare[PostgresServer, Keeper, Sight, _Cue]):
    """The servers of this host, each looked at as often as its probe says, and at once when the lease changes."""

    kinds = (PostgresServer, PostgresCheck)

    def __init__(
        self,
        books: ClusterBooks,
        state: Callable[[], State],
        put: Callable[[Event], None],
        refresh: Callable[[], None],
        tell: Callable[[ComponentId, str], None],
    ) -> None:
        """`tell` hears what people should know."""
        super().__init__(state, put, refresh)
        self._books = books
        self._tell = tell
        self._met: dict[ComponentId, Incarnation] = {}  # the last life that was looked after
        self._rested: dict[ComponentId, tuple[_Cue, object]] = {}  # what was known when one at rest was asked

    def supplemented(self, reports: dict[ComponentId, MemberReport]) -> dict[ComponentId, MemberReport]:
        """Return the reports of this host's members with what is known of their logs."""
        unseen = (id_ for id_ in self._members() if id_ in reports and id_ not in self._sights)
        told = {
            id_: replace(reports[id_], unfit=_UNSEEN)
            for id_ in unseen
            if reports[id_].is_clear and not reports[id_].unfit
        }
        return super().supplemented(reports | told)

    def _cue(self, component: ComponentState) -> _Cue:
        service = service_of(component.id)
        return _Cue(self._books.newest_lease(service), self._books.primary(service))

    def _begin(self, component: ComponentState, server: PostgresServer, process: ProcessRunning) -> Keeper:
        is_begun = process.adopted or self._met.get(component.id) == process.incarnation
        self._met[component.id] = process.incarnation
        return Keeper(component.id, server, self._books, is_begun=is_begun)

    async def _look(
        self, component: ComponentState, keeper: Keeper, probe: ProbePolicy, cue: _Cue
    ) -> Sight | None:
        """Return how the server is. None: somebody else holds the lease meanwhile; it is looked at anew for that at once.

        A standby's look may wait for a primary that is cut off, and its last word must not.
        """
        self._rested.pop(component.id, None)
        is_paused = pause_of(self._state(), service_of(component.id), clock.now()) is not None
        look = keeper.look(component.role, component.epoch, probe.timeout, is_paused=is_paused)
        if component.role is not Role.STANDBY:
            return await look
        looking = asyncio.ensure_future(look)
        try:
            while not looking.done():
                await asyncio.wait([looking], timeout=_NOTICES_S)
                if not looking.done() and self._cue(component) != cue:
                    self.wake()
                    return None
            return looking.result()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _rest(self, component: ComponentState, server: PostgresServer, cue: _Cue) -> None:
        """Tell how far the log of one goes that does not run, once for each lease that is taken meanwhile."""
        id_, key = component.id, (cue, component.process)
        if self._rested.get(id_) == key:
            return
        if not isinstance(component.process, ProcessAbsent) or cue.primary is not None:
            self._see(id_, None)
            self._rested[id_] = key
            return
        position = await end_at_rest(instance_of(id_, server))
        found = self._state().components.get(id_)
        if found is not None and found.process == component.process:
            self._rested[id_] = key
            self._see(id_, Sight(position=(position.timeline, position.lsn), position_under=cue.lease))

    def _is_doubtful(self, component: ComponentState, sight: Sight, cue: _Cue) -> bool:
        # A standby that nobody gives a log to is about to be compared, or to be given one.
        return bool(sight.problem) or (component.role is Role.STANDBY and cue.primary is None)

    def _see(self, id_: ComponentId, sight: Sight | None) -> None:
        known = self._sights.get(id_)
        if sight is not None and sight.note and (known is None or known.note != sight.note):
            self._tell(id_, sight.note)
        super()._see(id_, sight)
