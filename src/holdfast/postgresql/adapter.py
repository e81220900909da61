"""The adapter: PostgreSQL servers behind `ports.components`, each started as a standby and promoted under a lease.

Its process is the postmaster, looked after as every other process is: marks, logs, control groups, exits and the guard stay what
they are. What is added is what has to come before and after: the data is made ready, whole and on the way of whoever serves.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from holdfast.guard.facts import Facts
from holdfast.model.cluster import lease_of
from holdfast.model.events import Ending, ProcessSeen
from holdfast.model.ids import ComponentId, Epoch
from holdfast.model.policy import ProcessSpec
from holdfast.model.postgresql import PostgresServer
from holdfast.model.time import MINUTE, SECOND, Instant
from holdfast.model.value import replace
from holdfast.ports.components import ComponentListener, Components, Result
from holdfast.postgresql import files, postmaster, running, standing_in
from holdfast.postgresql.asking import ask_standing
from holdfast.postgresql.books import Books, instance_of, settings_of
from holdfast.postgresql.bootstrap import NotDone
from holdfast.postgresql.control import Unreadable
from holdfast.postgresql.electing import elect
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.handing_over import until_succeeded, until_transactions_end
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.programs import NoAccount
from holdfast.postgresql.readying import Readying
from holdfast.postgresql.running import NotStarted

_WAITS_S = (
    15.0  # for data that is being made ready; so a start that waits spends fewer attempts than a budget has
)
_DISK_AGAIN_S = 0.5
_CHECKPOINT_WITHIN = 5 * SECOND  # before a planned stop: it makes the stop short, and is not needed
_REFUSALS = (NotStarted, NotDone, NoAccount, Unanswered, Unreadable, OSError)


class Postgres:
    """The PostgreSQL servers of this host."""

    def __init__(self, inner: Components, books: Books, tell: Callable[[ComponentId, str], None]) -> None:
        """`inner` runs the processes; `tell` hears of each work on the data that begins, for people."""
        self._inner = inner
        self._books = books
        self._tell = tell
        self._works: dict[ComponentId, Readying] = {}
        self._checkpoints: set[asyncio.Task[None]] = set()
        self._standing_in: set[ComponentId] = (
            set()
        )  # those that were given the role last without being promoted
        self._begun: dict[ComponentId, set[int]] = {}  # timelines whose numbers were given to it

    def watch(self, listener: ComponentListener) -> None:
        """Report nothing: the processes are reported by who runs them."""

    async def close(self) -> None:
        """Let go of everything; servers go on, a work on data is left unfinished and marked so."""
        for work in self._works.values():
            work.task.cancel()
        for task in self._checkpoints:
            task.cancel()
        tasks = (*(work.task for work in self._works.values()), *self._checkpoints)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return nothing: a postmaster is a process, and is seen with them."""
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
        """Start it as a standby, once its data is ready. What takes long goes on, and the next attempt finds it further."""
        server, instance = _server(component, spec)
        await until_succeeded(component, instance, self._books)
        if (refused := await self._ready(component, server, instance)) is not None:
            return refused
        # The core gives the start up only when all of its own time is over.
        deadline = None if not_after is None else not_after + spec.start_within
        process = _process(instance, server, spec)
        return await self._inner.start(component, process, epoch, is_primary=False, not_after=deadline)

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """Shut it down in good order, or end it; DONE only when nothing of it is left."""
        await self._give_up_work(component)
        server, instance = _server(component, spec)
        stopped = running.Stopped(running.Ending.NONE)
        if not at_once:
            stopped = await running.stop(instance, server.stop_timeout)
        result = await self._inner.stop(component, _process(instance, server, spec), at_once=True)
        survivors = stopped.survivors or await postmaster.kill_everything(instance)
        if survivors:
            pids = ", ".join(str(process.pid) for process in survivors)
            return replace(result, ending=Ending.UNKNOWN, error=f"pid {pids} survived SIGKILL")
        return result

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Make it primary, if it is proven that it lacks nothing, and that its host holds the lease."""
        server, instance = _server(component, spec)
        self._standing_in.discard(component)
        try:
            if server.follows is not None and not (await ask_standing(instance)).is_primary:
                return await self._stand_in(component, spec, epoch)
            won = await elect(component, server, self._books, lease_of(epoch))
        except _REFUSALS as refusal:
            won = str(refusal)
        if isinstance(won, str):
            return Result(Ending.FAILED, won, is_unbegun=True)
        # All are kept: an earlier attempt that was given up may come to its end yet, under its own number.
        self._begun.setdefault(component, set()).add(won.timeline)
        result = await self._inner.promote(component, _process(instance, server, spec), epoch)
        if result.ending is not Ending.DONE:
            return result
        try:
            settings = settings_of(component, server, self._books, None, won.setting)
            position = await running.promote(instance, settings, server.promote_timeout)
            if position.timeline not in self._begun[component]:
                return await _disown(instance, f"it began timeline {position.timeline}, which is not its own")
        except _REFUSALS as refusal:
            return Result(Ending.FAILED, str(refusal))
        self._tell(component, f"it is primary from {position}" + (f"; {won.told}" if won.told else ""))
        # Until it is written pg_control tells the old timeline, and whoever rewinds against it has to wait.
        task = asyncio.create_task(_checkpoint(instance), name=f"checkpoint {component}")
        self._checkpoints.add(task)
        task.add_done_callback(self._checkpoints.discard)
        return result

    async def _stand_in(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Have it follow the server outside, in a primary's place. _REFUSALS otherwise."""
        server, instance = _server(component, spec)
        if why := await standing_in.begin(component, server, self._books, lease_of(epoch)):
            return Result(Ending.FAILED, why, is_unbegun=True)
        assert server.follows is not None
        result = await self._inner.promote(component, _process(instance, server, spec), epoch)
        if result.ending is Ending.DONE:
            self._standing_in.add(component)
            self._tell(component, f"it follows {server.follows.words}, in a primary's place")
        return result

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Shut it down in good order: standbys that stream have all of its log then. It is started as a standby next.

        Transactions that are open may end first. Sessions are ended with the server and never cancelled: a commit that waits
        for a standby would be acknowledged by that.
        """
        server, instance = _server(component, spec)
        # An agent that has just started does not know that nobody promoted it: then it is shut down as any other.
        if component in self._standing_in and await standing_in.end(component, server, self._books):
            self._standing_in.discard(component)
            return await self._inner.demote(component, _process(instance, server, spec))
        with suppress(Unanswered):
            await running.checkpoint(instance, _CHECKPOINT_WITHIN)
            if left := await until_transactions_end(instance, server.open_within):
                self._tell(component, f"transactions that go on are ended: {'; '.join(left)}")
        stopped = await running.stop(instance, server.stop_timeout)
        if not stopped.is_over:
            return Result(Ending.FAILED, f"pid {stopped.survivors[0].pid} of it cannot be ended")
        return await self._inner.demote(component, _process(instance, server, spec))

    async def _ready(
        self, component: ComponentId, server: PostgresServer, instance: Instance
    ) -> Result | None:
        """Have its data ready to be started; return why it is not, if so.

        A disk that takes nothing now may do so in a moment: to fail at once would spend all attempts within seconds.
        """
        end, refused = asyncio.get_running_loop().time() + _WAITS_S, ""
        while True:
            work = await self._work(component, server)
            left = end - asyncio.get_running_loop().time()
            await asyncio.wait([work.task], timeout=max(0.0, left))
            if not work.task.done():
                is_new = left <= 0 and refused  # what its last attempt met says more than what it begins with
                return Result(Ending.FAILED, refused if is_new else work.doing, is_unbegun=True)
            del self._works[component]
            try:
                await running.prepare(instance, work.task.result())
            except OSError as error:
                refused = str(error)
                if left <= 0:
                    return Result(Ending.FAILED, refused)
                await asyncio.sleep(_DISK_AGAIN_S)
            except _REFUSALS as refusal:
                return Result(Ending.FAILED, str(refusal))
            else:
                return None

    async def _work(self, component: ComponentId, server: PostgresServer) -> Readying:
        work = self._works.get(component)
        # What was ready before this start came may be so no more: whom it follows, and what data is there.
        if work is None or work.server != server or work.is_ready:
            await self._give_up_work(component)
            work = self._works[component] = Readying(component, server, self._books, self._tell)
        return work

    async def _give_up_work(self, component: ComponentId) -> None:
        work = self._works.pop(component, None)
        if work is not None:
            work.task.cancel()
            await asyncio.gather(work.task, return_exceptions=True)


def _server(component: ComponentId, spec: ProcessSpec) -> tuple[PostgresServer, Instance]:
    assert isinstance(spec.managed, PostgresServer), "dispatched by its kind"
    return spec.managed, instance_of(component, spec.managed)


def _process(instance: Instance, server: PostgresServer, spec: ProcessSpec) -> ProcessSpec:
    """Return the spec as the process that it is."""
    # INT: it ends the sessions of clients, and shuts down with a checkpoint.
    return replace(
        spec,
        command=running.command(instance),
        user=server.user,
        directory="/",
        stop_signal="INT",
        stop_grace=server.stop_timeout,
        env={"LC_ALL": "C.UTF-8"},
    )


async def _disown(instance: Instance, why: str) -> Result:
    """End a server that began what is not its own: another one's log may bear the same number, so it has to be cloned."""
    files.begin(instance, "promotion", why)
    await running.stop(instance, SECOND, is_immediate=True)
    return Result(Ending.FAILED, why)


async def _checkpoint(instance: Instance) -> None:
    with suppress(Unanswered):
        await running.checkpoint(instance, 5 * MINUTE)
