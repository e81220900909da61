"""Redis on one host: what the care for its servers may know, and the care itself, which is the same on several.

The core learns what a server answers as it learns of any probe.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from holdfast.agent import clock
from holdfast.agent.log import Level, Line
from holdfast.agent.reading import ReadingCare
from holdfast.agent.server_care import ServerCare
from holdfast.agent.turning import Turning
from holdfast.detect.freshness import Heard
from holdfast.loop.reporting import report_members
from holdfast.model.cluster import MemberReport
from holdfast.model.events import Event
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    MemberName,
    ServiceName,
    component_id,
    member_of,
    service_of,
)
from holdfast.model.policy import Managed, ProbePolicy
from holdfast.model.redis import RedisCheck, RedisServer
from holdfast.model.sight import Sight
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.tags import Tags
from holdfast.model.time import Duration
from holdfast.ports.components import Components
from holdfast.redis.adapter import Redis
from holdfast.redis.books import Books, where_of
from holdfast.redis.keeping import Keeper
from holdfast.redis.reading import hear
from holdfast.redis.sentinel import Sentinels, Served


class Grips:
    """One lock for each component."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._local = state
        self._locks: dict[ComponentId, asyncio.Lock] = {}

    def grip(self, component: ComponentId) -> asyncio.Lock:
        """Return what is held while a member here is told whom to follow."""
        return self._locks.setdefault(component, asyncio.Lock())

    def role(self, component: ComponentId) -> Role | None:
        """Return the role that a member here has now."""
        found = self._local().components.get(component)
        return found.role if found is not None else None


class HostBooks(Grips):
    """What this host's own loop knows, for `redis.books`: all members are here."""

    def __init__(self, secret: bytes, state: Callable[[], State]) -> None:
        super().__init__(state)
        self._secret = secret
        self.supplemented: Callable[[dict[ComponentId, MemberReport]], dict[ComponentId, MemberReport]] = dict

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return who is primary."""
        found = [one for one in self._local().members(service) if one.role is Role.PRIMARY]
        return member_of(found[0].id) if len(found) == 1 else None

    def address(self, service: ServiceName, member: MemberName) -> tuple[str, int] | None:
        """Return where the member's server is reached."""
        policy = self._local().policy.services.get(service)
        found = policy.member(member) if policy is not None else None
        return (found.host, found.port) if found is not None and found.port is not None else None

    def members(self, service: ServiceName) -> tuple[MemberName, ...]:
        """Return all members that the file names."""
        policy = self._local().policy.services.get(service)
        return tuple(member.name for member in policy.members) if policy is not None else ()

    def others(self, component: ComponentId) -> dict[MemberName, MemberReport]:
        """Return how the others are."""
        reports = self.supplemented(report_members(self._local(), clock.now()))
        service = service_of(component)
        names = (name for name in self.members(service) if name != member_of(component))
        found = {name: reports.get(component_id(service, name)) for name in names}
        return {name: report for name, report in found.items() if report is not None}

    def tags(self, service: ServiceName) -> dict[MemberName, Tags]:
        """Return what the operator says of each member."""
        policy = self._local().policy.services.get(service)
        return {member.name: member.tags for member in policy.members} if policy is not None else {}

    def newest_lease(self, service: ServiceName) -> Epoch:
        """Return the newest epoch: on one host each promotion is what a lease is on several."""
        found = self._local().services.get(service)
        return found.epoch if found is not None else 0

    def lease(self, epoch: Epoch) -> Epoch:
        """Return the epoch itself."""
        return epoch

    def password(self, service: ServiceName) -> str:
        """Return what follows from this agent's own secret."""
        text = f"holdfast redis {self._local().policy.system} {service}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def stamp_key(self, service: ServiceName) -> str:
        """Return the name of the key that tells whose data it is."""
        return f"holdfast:{self._local().policy.system}/{service}"


class LookAfter(NamedTuple):
    """What looks after the Redis servers of a host, and has to run for as long as its agent does."""

    adapter: Redis
    care: "RedisCare"
    sentinels: Sentinels
    reading: ReadingCare


class Surroundings(NamedTuple):
    """What the care for servers stands on."""

    turning: Turning
    processes: Components  # who runs them
    say: Callable[[Line], None]


def look_after_redis(
    books: Books,
    served: Callable[[], dict[str, dict[str, Served]]],
    around: Surroundings,
    refresh: Callable[[], None],
) -> LookAfter:
    """Have the Redis servers of this host looked after. `served`: what is to be answered where a Sentinel is asked."""
    turning, processes, say = around
    care = RedisCare(books, lambda: turning.state, turning.put, refresh)
    adapter = Redis(processes, books, lambda id_, what: say(Line(Level.INFO, id_, "data", what)))
    sentinels = Sentinels(served, lambda what: say(Line(Level.WARN, "sentinel", "listening", what)))

    def ask(component: ComponentId, server: Managed, within: Duration) -> Awaitable[Heard | str] | None:
        return hear(where_of(component, server, books), within) if isinstance(server, RedisServer) else None

    return LookAfter(adapter, care, sentinels, ReadingCare(lambda: turning.state, turning.put, ask))


def look_after_redis_alone(
    secret: bytes, turning: Turning, processes: Components, say: Callable[[Line], None]
) -> LookAfter:
    """Have them looked after where the file knows one host."""
    books = HostBooks(secret, lambda: turning.state)

    def served() -> dict[str, dict[str, Served]]:
        state = turning.state
        return served_where(state, books, lambda id_: state.components[id_].role is Role.PRIMARY)

    found = look_after_redis(books, served, Surroundings(turning, processes, say), lambda: None)
    books.supplemented = found.care.supplemented
    return found


def served_where(
    state: State, books: Books, serves: Callable[[ComponentId], bool]
) -> dict[str, dict[str, Served]]:
    """Return for each address where a Sentinel is asked which services it tells of, and how they are."""
    found: dict[str, dict[str, Served]] = {}
    for service in state.policy.services.values():
        servers = [member.run.managed for member in service.members]
        for listen in {one.sentinel for one in servers if isinstance(one, RedisServer) and one.sentinel}:
            names = [member.name for member in service.everywhere]
            places = {name: books.address(service.name, name) for name in names}
            primary = next((name for name in names if serves(component_id(service.name, name))), None)
            up = tuple(place for name, place in places.items() if place is not None and name != primary)
            told = Served(places[primary] if primary is not None else None, up)
            found.setdefault(listen, {})[service.name] = told
    return found


class _Cue(NamedTuple):
    """What a server is looked at for anew."""

    lease: Epoch  # the newest one
    primary: MemberName | None  # whom to follow
    role: Role


class RedisCare(ServerCare[RedisServer, Keeper, Sight, _Cue]):
    """The servers of this host, each looked at as often as its probe says, and at once when the lease changes."""

    kinds = (RedisServer, RedisCheck)

    def __init__(
        self,
        books: Books,
        state: Callable[[], State],
        put: Callable[[Event], None],
        refresh: Callable[[], None],
    ) -> None:
        super().__init__(state, put, refresh)
        self._books = books

    def _cue(self, component: ComponentState) -> _Cue:
        service = service_of(component.id)
        return _Cue(self._books.newest_lease(service), self._books.primary(service), component.role)

    def _begin(self, component: ComponentState, server: RedisServer, _: ProcessRunning) -> Keeper:
        return Keeper(component.id, server, self._books)

    async def _look(
        self, component: ComponentState, keeper: Keeper, probe: ProbePolicy, _: _Cue
    ) -> Sight | None:
        return await keeper.look(component.role, component.epoch, probe.timeout)

    async def _rest(self, component: ComponentState, _: RedisServer, cue: _Cue) -> None:
        # One that does not run has nothing to tell: what it had it has when it runs again.
        is_over = isinstance(component.process, ProcessAbsent)
        self._see(component.id, Sight(position_under=cue.lease) if is_over else None)

    def _is_doubtful(self, component: ComponentState, sight: Sight, _: _Cue) -> bool:
        # A standby that follows nobody is about to be compared, or to be given somebody to follow.
        is_alone = component.role is Role.STANDBY and bool(sight.unfit or sight.position[0])
        return bool(sight.problem) or is_alone
