"""Making data ready to be started: made first, cloned, rewound or left as it is, on the way of whoever holds the lease.

It may wait long, for a primary that comes up or for a copy. So it is a work of its own, which starts come back to.
"""

import asyncio
from collections.abc import Callable

from holdfast.config.secrets import SecretError
from holdfast.model.ids import ComponentId, member_of, service_of
from holdfast.model.postgresql import Outside, PostgresServer
from holdfast.model.value import replace
from holdfast.postgresql import files, postmaster, running, timelines
from holdfast.postgresql.books import Books, instance_of, settings_of, source_of
from holdfast.postgresql.bootstrap import (
    INITDB_OPTIONS,
    NotDone,
    Passwords,
    adopt,
    bootstrap,
    bootstrap_by_command,
    write_passwords,
)
from holdfast.postgresql.cloning import Manner, clone
from holdfast.postgresql.control import Control, Unreadable, read_control
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.files import unfinished
from holdfast.postgresql.instance import SETTINGS
from holdfast.postgresql.outside import ask_outside, entered, passwords_of, upstream_of
from holdfast.postgresql.rewinding import Way, advise, rewind
from holdfast.postgresql.running import NotStarted
from holdfast.postgresql.settings import Settings, Upstream
from holdfast.postgresql.spawning import spawn

_LOOK_AGAIN_S = 0.2
_NOBODY_FOR_S = 10.0  # a copy from another site is dear: somebody here may be about to have one


class Readying:
    """The work on one member's data. Its task ends with what the instance shall be started as; NotStarted, NotDone otherwise."""

    def __init__(
        self,
        component: ComponentId,
        server: PostgresServer,
        books: Books,
        tell: Callable[[ComponentId, str], None],
    ) -> None:
        self.server = server
        self.doing = "its data is looked at"
        self._component = component
        self._service = service_of(component)
        self._instance = instance_of(component, server)
        self._books = books
        self._tell = tell
        self._began = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._run(), name=f"data of {component}")

    @property
    def is_ready(self) -> bool:
        """Tell whether the data is ready; not if that failed, or goes on."""
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    async def _run(self) -> Settings:
        await self._end_strange()
        self.doing = "what is left of its last life is ended"
        await postmaster.kill_everything(self._instance)
        self.doing = "its passwords are written"
        await asyncio.to_thread(write_passwords, self._instance, self._passwords())
        while True:
            if (settings := await self._step()) is not None:
                return settings
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _end_strange(self) -> None:
        """Shut down in good order a server that somebody else started on our data: nobody bounds how long it serves.

        Only if its data is the service's, or about to become that: another one's server is not ours to end.
        """
        while (seen := postmaster.look(self._instance)).postmaster is not None:
            if unfinished(self._instance) is not None:
                return  # left by a work of ours that was cut short
            pid, why = seen.postmaster.pid, await self._why_foreign()
            if why is not None and why:
                raise NotStarted(f"a server that holdfast did not start runs there, as pid {pid}: {why}")
            if why is None:
                self._wait("the coordinator does not tell which data is the service's")
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            self._begin(
                f"a server that somebody else started there, as pid {pid}, is shut down and taken over"
            )
            await running.stop(self._instance, self.server.stop_timeout)

    async def _why_foreign(self) -> str | None:
        """Return why the data there is not the service's; empty: it is, or may become so. None: not known."""
        system = await self._books.system(self._service)
        if system is None:
            return None
        try:
            own = (await read_control(self._instance)).system
        except Unreadable as error:
            return str(error)
        if system:
            return "" if own == system else _another_system(own, system)
        is_first = member_of(self._component) == self._books.members(self._service)[0]
        return "" if is_first else "the service has no data yet, and its first member makes it"

    async def _step(self) -> Settings | None:
        """Go one step further; return the settings once the data is ready."""
        system = await self._books.system(self._service)
        if system is None:
            return self._wait("the coordinator does not tell which data is the service's")
        is_whole = not self._instance.is_empty and unfinished(self._instance) is None
        if not system:
            return await self._found(is_whole=is_whole)
        source = await self._source()
        if not is_whole:
            if source is None:
                return await self._copied_meanwhile(system)
            return await self._cloned(source, system, "it has no data")
        try:
            control = await read_control(self._instance)
        except Unreadable as error:
            raise NotStarted(f"its data cannot be used: {error}") from None
        if control.system != system:
            raise NotStarted(_another_system(control.system, system))
        timelines.forget_dead_ends(self._instance, control)
        return self._settings(None) if source is None else await self._follow(source, system)

    async def _found(self, *, is_whole: bool) -> Settings | None:
        """Make the system: one member does, the one that the file names first."""
        if member_of(self._component) != self._books.members(self._service)[0]:
            return self._wait("the service has no data yet: its first member makes it")
        if self.server.follows is not None:
            return await self._found_outside(self.server.follows, is_whole=is_whole)
        settings, passwords = self._settings(None), self._passwords()
        if not is_whole:
            control = await self._bootstrapped(settings, passwords)
            await asyncio.to_thread(self._admit_clients)
        elif not (self._instance.folder / SETTINGS).exists():
            self._begin("its data is taken over")
            control = await adopt(self._instance, settings, passwords)
        else:
            control = await read_control(self._instance)
        await self._books.claim_system(self._service, control.system)
        return None  # whichever stands there now, the next step obeys it

    async def _found_outside(self, outside: Outside, *, is_whole: bool) -> Settings | None:
        """Make the first data a copy of that of the server outside."""
        if not (system := await self._system_of(outside)):
            return None
        if not is_whole:
            await self._copied(upstream_of(outside), system, "it is the first data")
            await asyncio.to_thread(self._admit_clients)
        own = (await read_control(self._instance)).system
        if own != system:
            raise NotStarted(f"its data is of system {own}, and that of {outside.words} of {system}")
        await self._books.claim_system(self._service, own)
        return None

    async def _copied_meanwhile(self, system: str) -> Settings | None:
        """Have the data copied from outside if nobody here has the role for long."""
        outside = self.server.follows
        if outside is None or asyncio.get_running_loop().time() - self._began < _NOBODY_FOR_S:
            return self._wait("there is no primary yet from which its data could be cloned")
        theirs = await self._system_of(outside)
        if theirs == system:
            # Through no slot: that one is for whoever has the role.
            source = replace(upstream_of(outside), slot="")
            await self._copied(source, system, "it has no data, and nobody here has the role")
        elif theirs:
            self._wait(
                f"nobody here has the role, and {outside.words} is of system {theirs}, not of {system}"
            )
        return None

    async def _system_of(self, outside: Outside) -> str:
        try:
            system, _, _ = await ask_outside(self._instance, outside)
        except Unanswered as unanswered:
            self._wait(f"{outside.words}, from which its data comes, does not answer: {unanswered}")
            return ""
        return system

    async def _bootstrapped(self, settings: Settings, passwords: Passwords) -> Control:
        if command := self.server.bootstrap:
            self._begin(f"its first data is made by {command[0]}")
            return await bootstrap_by_command(self._instance, settings, passwords, command, spawn)
        self._begin("its first data is made")
        options = (*INITDB_OPTIONS, *self.server.initdb)
        return await bootstrap(self._instance, settings, passwords, options=options)

    async def _follow(self, source: Upstream, system: str) -> Settings | None:
        advice = await advise(self._instance, source, system, may_recover=self.server.follows is not None)
        match advice.way:
            case Way.STREAM:
                return self._settings(source)
            case Way.WAIT:
                return self._wait(advice.why)
            case Way.REFUSE:
                raise NotStarted(advice.why)
            case Way.REWIND:
                self._begin(f"it is rewound: {advice.why}")
                try:
                    await rewind(self._instance, source)
                except NotDone as error:
                    return await self._cloned(source, system, str(error))
                return self._settings(source)
            case Way.CLONE:
                return await self._cloned(source, system, advice.why)

    async def _cloned(self, source: Upstream, system: str, why: str) -> Settings:
        await self._copied(source, system, why)
        return self._settings(source)

    async def _copied(self, source: Upstream, system: str, why: str) -> None:
        self._begin(f"it is cloned from {source.host}:{source.port}: {why}")
        await clone(self._instance, source, system, Manner(methods=self.server.clone))

    async def _source(self) -> Upstream | None:
        source = source_of(self._component, self._books)
        return None if source is None else await entered(self._instance, self.server, source)

    def _passwords(self) -> Passwords:
        try:
            return passwords_of(self._service, self.server, self._books)
        except SecretError as error:
            raise NotStarted(str(error)) from None

    def _settings(self, upstream: Upstream | None) -> Settings:
        return settings_of(self._component, self.server, self._books, upstream)

    def _admit_clients(self) -> None:
        path = self._instance.folder / "pg_hba.conf"
        lines = [f"host all all {network} scram-sha-256\n" for network in self.server.clients]
        files.write_file(self._instance, path, files.read_file(path) + "".join(lines))

    def _wait(self, why: str) -> Settings | None:
        self.doing = why
        return None

    def _begin(self, what: str) -> None:
        self.doing = what
        self._tell(self._component, what)


def _another_system(own: str, system: str) -> str:
    return f"its data is of system {own}, and the service's of {system}: move it away to have it cloned"
