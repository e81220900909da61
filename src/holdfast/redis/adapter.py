"""The adapter: Redis servers behind `ports.components`, each started as a standby and promoted under a lease.

Its process is looked after as every other one is: marks, logs, control groups, exits and the guard stay what they are. What is
added is its settings before it starts, and what it is told when its role changes.
"""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

from holdfast.guard.facts import Facts
from holdfast.model.events import Ending, ProcessSeen
from holdfast.model.ids import ComponentId, Epoch, member_of, service_of
from holdfast.model.policy import ProcessSpec
from holdfast.model.redis import RedisServer
from holdfast.model.tags import Tags
from holdfast.model.time import Instant
from holdfast.model.value import replace
from holdfast.ports.components import ComponentListener, Components, Result
from holdfast.redis import running
from holdfast.redis.asking import Unanswered, Where, ask_standing
from holdfast.redis.books import Books, where_of
from holdfast.redis.comparing import could_speak, position_of, until_heard, why_behind
from holdfast.redis.settings import NAME, group_of, text_of, write_settings

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK_WITHIN_S, _DISK_AGAIN_S = 8.0, 0.5  # less than the time that a start has


class Redis:
    """The Redis servers of this host."""

    def __init__(self, inner: Components, books: Books, tell: Callable[[ComponentId, str], None]) -> None:
        """`inner` runs the processes; `tell` hears what people should know."""
        self._inner = inner
        self._books = books
        self._tell = tell

    def watch(self, listener: ComponentListener) -> None:
        """Report nothing: the processes are reported by who runs them."""

    async def close(self) -> None:
        """Let go of everything; servers go on."""

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return nothing: a server is a process, and is seen with them."""
        return ()

    def owns(self, component: ComponentId) -> bool:  # noqa: ARG002 - as a kind
        """Tell that it is a process."""
        return False

    def facts_of(self, component: ComponentId, marks: tuple[str, ...]) -> Facts | None:  # noqa: ARG002 - as a kind
        """Return nothing: the guard finds it as every process."""
        return None

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,  # noqa: ARG002 - it never is: the configuration refuses singletons
        not_after: Instant | None = None,
    ) -> Result:
        """Start it as a standby that follows nobody: its care tells it whom."""
        server = _server(spec)
        if refused := await self._ready(component, server):
            return Result(Ending.FAILED, refused)
        # The core gives the start up only when all of its own time is over.
        deadline = None if not_after is None else not_after + spec.start_within
        process = _process(server, spec)
        return await self._inner.start(component, process, epoch, is_primary=False, not_after=deadline)

    async def _ready(self, component: ComponentId, server: RedisServer) -> str:
        """Have its settings in place; return why they are not, if so.

        A disk that takes nothing now may do so in a moment: to fail at once would spend all attempts within seconds.
        """
        end = asyncio.get_running_loop().time() + _DISK_WITHIN_S
        while True:
            try:
                await asyncio.to_thread(self._prepare, component, server)
            except LookupError:
                return f"user {server.user!r} does not exist on this host"
            except OSError as error:
                if error.errno not in _FULL or asyncio.get_running_loop().time() >= end:
                    return f"{error.filename or server.data}: {error.strerror}"
                await asyncio.sleep(_DISK_AGAIN_S)
            else:
                return ""

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """Have it save and end, or end it."""
        return await self._inner.stop(component, _process(_server(spec), spec), at_once=at_once)

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Make it primary, unless another member that could serve has more."""
        server, books, service = _server(spec), self._books, service_of(component)
        where, stamp_key, lease = (
            where_of(component, server, books),
            books.stamp_key(service),
            books.lease(epoch),
        )
        await until_heard(component, books, lease, could_speak)
        async with books.grip(component):
            try:
                await running.follow(where, None)  # its place is its last one from here on
                own = position_of(await ask_standing(where, stamp_key))
            except Unanswered as unanswered:
                return Result(Ending.FAILED, str(unanswered), is_unbegun=True)
            if why := why_behind(component, own, books, under=lease):
                return Result(Ending.FAILED, why, is_unbegun=True)
            result = await self._inner.promote(component, _process(server, spec), epoch)
            if result.ending is not Ending.DONE:
                return result
            try:
                found = await running.promote(where, server, stamp_key, epoch)
            except Unanswered as unanswered:
                return Result(Ending.FAILED, str(unanswered))
        self._tell(component, f"it is primary from {found.place}, with {max(0, found.keys - 1)} keys")
        return result

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Have it hand over: no write is taken any more, and one standby has all that were."""
        server, service = _server(spec), service_of(component)
        where, books = where_of(component, server, self._books), self._books
        async with books.grip(component):
            try:
                lacking = await running.hand_over(
                    where, self._standbys(component), books.stamp_key(service), server.hand_over_within
                )
            except Unanswered as unanswered:
                return Result(Ending.FAILED, str(unanswered))
        if lacking:
            self._tell(component, f"it steps back before a standby has everything: {lacking}")
        return await self._inner.demote(component, _process(server, spec))

    def _standbys(self, component: ComponentId) -> tuple[Where, ...]:
        """Return those that may be promoted next and could serve."""
        service, books = service_of(component), self._books
        password = books.password(service)
        names = [name for name, report in books.others(component).items() if could_speak(report)]
        places = (books.address(service, name) for name in names)
        return tuple(Where(*place, password) for place in places if place is not None)

    def _prepare(self, component: ComponentId, server: RedisServer) -> None:
        service = service_of(component)
        clients = None if server.password is None else Path(server.password).read_text("utf-8").rstrip("\r\n")
        tags = self._books.tags(service).get(member_of(component), Tags())
        write_settings(server, text_of(server, self._books.password(service), clients, tags))


def _server(spec: ProcessSpec) -> RedisServer:
    assert isinstance(spec.managed, RedisServer), "dispatched by its kind"
    return spec.managed


def _process(server: RedisServer, spec: ProcessSpec) -> ProcessSpec:
    """Return the spec as the process that it is."""
    return replace(
        spec,
        command=(server.program, str(Path(server.data) / NAME)),
        user=server.user,
        group=group_of(server),
        directory=server.data,
        stop_signal="TERM",
        stop_grace=server.stop_timeout,
    )
