"""PostgreSQL on several hosts: what the care for its servers may know of the cluster, and the care itself.

The core learns what a server answers as it learns of any probe; the cluster learns how far its log goes beside the report of its member.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from holdfast.agent import clock
from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.member_books import MemberBooks
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.log import Level, Line
from holdfast.agent.reading import ReadingCare
from holdfast.agent.turning import Turning
from holdfast.coordination.recipes.answers import Done
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.records import Records
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import MemberReport
from holdfast.model.duty import is_ended_by_us, pause_of
from holdfast.model.events import Event, Probed
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    Incarnation,
    MemberName,
    ServiceName,
    service_of,
)
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import ProbePolicy
from holdfast.model.postgresql import Kept, PostgresCheck, PostgresServer, Record
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import Instant
from holdfast.model.value import replace
from holdfast.ports.components import Components
from holdfast.ports.coordination import Condition, ConflictError, Coordinator, UnavailableError, UnknownError
from holdfast.postgresql.adapter import Postgres
from holdfast.postgresql.books import instance_of
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.comparing import end_at_rest
from holdfast.postgresql.keeping import Keeper, Sight
from holdfast.postgresql.reading import hear_member
from holdfast.postgresql.settings import Upstream

_LOOK_AGAIN_S = 0.05
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
    clustering.turning.follow(care.wake)
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


class PostgresCare:
    """The servers of this host, each looked at as often as its probe says, and at once when the lease changes."""

    def __init__(
        self,
        books: ClusterBooks,
        state: Callable[[], State],
        put: Callable[[Event], None],
        refresh: Callable[[], None],
        tell: Callable[[ComponentId, str], None],
    ) -> None:
        """`refresh`: what the members' reports are supplemented with has changed. `tell` hears what people should know."""
        self._books = books
        self._state = state
        self._put = put
        self._refresh = refresh
        self._tell = tell
        self._woken = asyncio.Event()
        self._keepers: dict[ComponentId, tuple[Incarnation, Keeper]] = {}
        self._met: dict[ComponentId, Incarnation] = {}  # the last life that was looked after
        self._due: dict[ComponentId, tuple[Instant, _Cue]] = {}
        self._sights: dict[ComponentId, Sight] = {}
        self._rested: dict[ComponentId, tuple[_Cue, object]] = {}  # what was known when one at rest was asked

    def wake(self, turned: ClusterTurned) -> None:
        """Follow the cluster loop: somebody else may hold the lease."""
        if turned.after.view is not turned.before.view:
            self._woken.set()

    def supplemented(self, reports: dict[ComponentId, MemberReport]) -> dict[ComponentId, MemberReport]:
        """Return the reports of this host's members with what is known of their logs."""
        reports = reports | {
            component.id: replace(reports[component.id], unfit=_UNSEEN)
            for component, _, _ in self._members()
            if component.id not in self._sights
            and component.id in reports
            and reports[component.id].is_clear
            and not reports[component.id].unfit
        }
        return reports | {
            id_: replace(
                reports[id_],
                position=sight.position,
                position_under=sight.position_under if reports[id_].is_clear else 0,
                streams_under=sight.streams_under,
                commits=sight.commits,
                note=sight.note,
                unfit=reports[id_].unfit or sight.unfit,
            )
            for id_, sight in self._sights.items()
            if id_ in reports
        }

    async def run(self) -> None:
        """Care for them until cancelled."""
        while True:
            self._woken.clear()
            await asyncio.gather(*(self._care(*each) for each in self._members()))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._woken.wait()

    def _members(self) -> list[tuple[ComponentState, PostgresServer, ProbePolicy]]:
        state, found = self._state(), []
        for service in state.policy.services.values():
            for id_, member in zip(service.components, service.members, strict=True):
                probe = next((one for one in member.probes if isinstance(one.check, PostgresCheck)), None)
                if isinstance(member.run.managed, PostgresServer) and probe is not None:
                    found.append((state.components[id_], member.run.managed, probe))
        return found

    async def _care(self, component: ComponentState, server: PostgresServer, probe: ProbePolicy) -> None:
        id_, process = component.id, component.process
        service, now = service_of(id_), clock.now()
        cue = self._cue(service)
        if not isinstance(process, ProcessRunning):
            self._keepers.pop(id_, None)
            await self._ask_at_rest(component, server, cue)
            return
        self._rested.pop(id_, None)
        due, last_cue = self._due.get(id_, (0, None))
        if now < due and cue == last_cue and id_ in self._keepers:
            return
        incarnation, keeper = self._keepers.get(id_, (None, None))
        if keeper is None or incarnation != process.incarnation or keeper.server != server:
            is_begun = process.adopted or self._met.get(id_) == process.incarnation
            keeper = Keeper(id_, server, self._books, is_begun=is_begun)
            self._met[id_] = process.incarnation
            self._keepers[id_] = process.incarnation, keeper
        sight = await self._look(component, keeper, probe, cue)
        if sight is None:
            return
        # A standby that nobody gives a log to is about to be compared, or to be given one.
        is_short = bool(sight.problem) or (component.role is Role.STANDBY and cue.primary is None)
        self._due[id_] = now + (probe.every_suspect if is_short else probe.every), cue
        found = self._state().components.get(id_)
        is_as_it_was = found is not None and (found.role, found.epoch) == (component.role, component.epoch)
        if found is None or not is_as_it_was or is_ended_by_us(self._state(), found):
            return  # what was seen is of nobody's interest any more
        self._put(Probed(id_, probe.name, process.incarnation, _observed(sight, now)))
        self._see(id_, sight)

    async def _look(
        self, component: ComponentState, keeper: Keeper, probe: ProbePolicy, cue: _Cue
    ) -> Sight | None:
        """Return how the server is. None: somebody else holds the lease meanwhile; it is looked at anew for that at once.

        A standby's look may wait for a primary that is cut off, and its last word must not.
        """
        service = service_of(component.id)
        is_paused = pause_of(self._state(), service, clock.now()) is not None
        look = keeper.look(component.role, component.epoch, probe.timeout, is_paused=is_paused)
        if component.role is not Role.STANDBY:
            return await look
        looking = asyncio.ensure_future(look)
        try:
            while not looking.done():
                await asyncio.wait([looking], timeout=_NOTICES_S)
                if not looking.done() and self._cue(service) != cue:
                    return None
            return looking.result()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _cue(self, service: ServiceName) -> _Cue:
        return _Cue(self._books.newest_lease(service), self._books.primary(service))

    async def _ask_at_rest(self, component: ComponentState, server: PostgresServer, cue: "_Cue") -> None:
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

    def _see(self, id_: ComponentId, sight: Sight | None) -> None:
        known = self._sights.get(id_)
        told = (
            None
            if sight is None
            else replace(sight, problem="", is_unknown=False, is_unopened=False, starting="", warning="")
        )
        if known == told:
            return
        if told is not None and told.note and (known is None or known.note != told.note):
            self._tell(id_, told.note)
        if told is None:
            del self._sights[id_]
        else:
            self._sights[id_] = told
        self._refresh()


def _observed(sight: Sight, asked_at: Instant) -> Observation:
    at = clock.now()
    outcome, failure, text = Outcome.PASSED, Failure.NONE, ""
    if sight.is_unknown:
        outcome, text = Outcome.UNKNOWN, "it changes its role"
    elif sight.is_unopened:
        outcome, failure, text = Outcome.UNKNOWN, Failure.UNOPENED, "it is to be promoted"
    elif sight.starting:
        outcome, failure, text = Outcome.UNKNOWN, Failure.STARTING, sight.starting
    elif sight.problem:
        outcome, failure, text = Outcome.FAILED, Failure.STATUS, sight.problem
    elif sight.warning:
        outcome, text = Outcome.DEGRADED, sight.warning
    layer = Layer.CONTENT if outcome in (Outcome.PASSED, Outcome.DEGRADED) else Layer.ANSWER
    return Observation(outcome, layer, failure, at - asked_at, at, text)
