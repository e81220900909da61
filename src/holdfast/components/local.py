"""The processes of this host: `LocalProcesses`, the adapter that the agent uses.

What blocks (starting, reading /proc, secrets, disks) runs in threads of its own, so that it never delays the
event loop. A call may be cancelled, for a later decision about the same component: then what its thread began
is still brought to its end and put on the books before the call lets go, and the next call finds the truth.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from holdfast.components import ending, finding, marking, output, procfs, spawning
from holdfast.components.cgroups import Cgroup, Cgroups
from holdfast.components.environment import Refused
from holdfast.components.hooks import Hook
from holdfast.components.life import Life
from holdfast.components.marking import Mark
from holdfast.components.procfs import Identity
from holdfast.components.records import Folder, Record
from holdfast.components.settling import settled
from holdfast.components.spawning import Site
from holdfast.components.watching import Watching
from holdfast.model.digests import run_digest
from holdfast.model.events import Ending, Exit, ProcessSeen
from holdfast.model.ids import ComponentId, Epoch
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import SECOND, Instant
from holdfast.model.value import replace
from holdfast.ports.components import ComponentListener, Result

LOOK_AROUND_EVERY = 10  # surveys; in between memory is enough, as nobody else starts components here

T = TypeVar("T")


class LocalProcesses:
    """Components as processes of this host, kept in `directory`, which belongs to one agent alone."""

    def __init__(self, directory: Path, *, use_cgroups: bool = True) -> None:
        self._directory = directory
        self._boot = procfs.boot_id()
        self._secret = marking.read_secret(directory)
        self._instance = marking.read_instance(directory)
        marking.refuse_strangers(directory, self._instance)
        self._cgroups = Cgroups.find(self._instance) if use_cgroups else Cgroups(self._instance, None)
        self._lives: dict[ComponentId, Life] = {}  # the last life of each, over or not
        self._locks: dict[ComponentId, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="components")
        self._watching = Watching(self._instance, self._lives, self._threads)
        self._surveys = 0
        self._has_looked_around = False

    def watch(self, listener: ComponentListener) -> None:
        """Report to `listener` from now on."""
        self._watching.listener = listener

    async def close(self) -> None:
        """Let go of everything; the processes go on running."""
        self._watching.close()
        for life in self._lives.values():
            life.let_go()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return every managed process that runs, adopting those not yet known."""
        if not self._has_looked_around or self._surveys % LOOK_AROUND_EVERY == 0:
            await self._look_around()
        self._surveys += 1
        await self._keep_records()
        return tuple(seen for life in self._lives.values() if (seen := _see(life)) is not None)

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,
        not_after: Instant | None = None,
    ) -> Result:
        """Start the process and return its incarnation. Leftovers of its last life are ended first."""
        async with self._lock(component):
            survivors, _ = await self._end(component, spec, at_once=False)
            if survivors:
                return Result(Ending.FAILED, f"not started beside its last life: {_tell(survivors)}")
            mark = Mark(component, epoch, is_primary, run_digest(spec))
            started: list[Life] = []
            try:
                await self._in_thread(
                    partial(self._spawn, spec, mark, not_after),
                    lambda spawned: started.append(self._hold(component, *spawned)),
                )
            except Refused as refusal:
                return Result(Ending.FAILED, str(refusal))
            # Nothing is awaited from here on: the caller learns of the start before anyone learns of an exit.
            return Result(Ending.DONE, incarnation=started[0].identity.incarnation)

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """End the process and all it left behind; DONE only when nothing is left."""
        async with self._lock(component):
            survivors, how = await self._end(component, spec, at_once=at_once)
            if survivors:
                return Result(Ending.UNKNOWN, f"not everything ended: {_tell(survivors)}", exit=how)
            await self._in_thread(partial(self._clear, component))
            return Result(Ending.DONE, exit=how)

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Record the role beside the process, run the promote hook; DONE when it exited with 0.

        The role is recorded first: an agent that dies in between must find a primary that may not be one rather
        than the reverse. For the same reason it stays recorded when the hook fails.
        """
        async with self._lock(component):
            life = await self._locate(component)
            if life is None:
                return Result(Ending.FAILED, f"{component} does not run, so it cannot become primary")
            if epoch < life.record.epoch:
                return Result(
                    Ending.FAILED, f"epoch {epoch} is over: {component} is at epoch {life.record.epoch}"
                )
            if error := await self._record(life, replace(life.record, is_primary=True, epoch=epoch)):
                return Result(Ending.FAILED, error)
            # The guard may have ended it while this agent stood still: its hook must not serve in its place.
            if life.is_over:
                return Result(Ending.FAILED, f"{component} ended before it could become primary")
            mark = Mark(component, epoch, is_primary=True, run_digest=life.record.run_digest, hook="promote")
            return await self._run_hook(spec, spec.promote, mark)

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Run the demote hook, clear the recorded role. What does not run may still have to give something back."""
        async with self._lock(component):
            life = await self._locate(component)
            epoch = 0 if life is None else life.record.epoch
            mark = Mark(component, epoch, is_primary=False, run_digest=run_digest(spec), hook="demote")
            result = await self._run_hook(spec, spec.demote, mark)
            if result.ending is not Ending.DONE or life is None or not life.record.is_primary:
                return result  # where no role is recorded none has to be cleared: a full disk is no hindrance
            error = await self._record(life, replace(life.record, is_primary=False))
            return Result(Ending.FAILED, error) if error else result

    # --- ending -------------------------------------------------------------------------------------

    async def _end(
        self, component: ComponentId, spec: ProcessSpec, *, at_once: bool
    ) -> tuple[frozenset[Identity], Exit | None]:
        """End the main process, then all that is left of it; return what survived, and how the main one ended."""
        life = await self._locate(component)
        seen: frozenset[Identity] = frozenset()
        if life is not None:
            if at_once and life.cgroup is not None:
                life.kill_group()
            else:
                # Who changed its session and cleaned its environment is known only while the main process lives.
                seen = await self._in_thread(partial(procfs.family, life.identity))
            if not at_once:
                await self._ask_to_end(life, spec)
            life.kill_group()
        cgroup = self._cgroup(component)
        ended = await self._in_thread(partial(ending.end_all, component, self._instance, cgroup, seen))
        self._watching.know_killed(ended.killed)
        if life is None:
            return ended.survivors, None
        await asyncio.wait([life.ended], timeout=ending.GIVE_UP_AFTER)
        return ended.survivors, life.ended.result() if life.is_over else None

    async def _ask_to_end(self, life: Life, spec: ProcessSpec) -> None:
        stat = life.look()
        life.send(_signal_number(spec.stop_signal))
        if stat is not None and stat.state == "T":
            life.send(signal.SIGCONT)  # stopped, it could not act on the request
        await asyncio.wait([life.ended], timeout=spec.stop_grace / SECOND)

    def _clear(self, component: ComponentId) -> None:
        with suppress(OSError):  # a record of what is gone misleads nobody
            Folder(self._directory, component).forget()
        if (cgroup := self._cgroup(component)) is not None:
            cgroup.remove()

    # --- starting -----------------------------------------------------------------------------------

    def _spawn(
        self, spec: ProcessSpec, mark: Mark, not_after: Instant | None
    ) -> tuple[Record, tuple[str, ...]]:
        folder = Folder(self._directory, mark.component)
        cgroup = self._cgroups.of(mark.component)
        try:
            folder.forget()
        except OSError as error:
            raise Refused(f"the old record in {folder.path} cannot be removed: {error.strerror}") from error
        output.rotate(folder.output, spec.log_max_bytes)
        before = output.size(folder.output)
        spawned = spawning.spawn(spec, spec.command, mark, Site(self._instance, folder, cgroup, not_after))
        record = Record(
            pid=spawned.identity.pid,
            ticks=spawned.identity.ticks,
            boot=self._boot,
            run_digest=mark.run_digest,
            epoch=mark.epoch,
            is_primary=mark.is_primary,
            started=int(time.time()),
            cgroup="" if cgroup is None else str(cgroup.path),
            log_max_bytes=spec.log_max_bytes,
            output_from=before,
        )
        with suppress(OSError):  # disk full: it runs, and its mark says the same
            folder.write(record)
        return record, spawned.hidden

    def _hold(self, component: ComponentId, record: Record, hidden: tuple[str, ...]) -> Life:
        life = self._lives.get(component)
        if life is None or life.identity != record.identity:  # otherwise a survey was quicker and adopted it
            life = self._take(component, record)
            assert life is not None, "our own child is there until we reap it"
        life.record = record
        life.hidden = hidden
        return life

    # --- knowing ------------------------------------------------------------------------------------

    async def _locate(self, component: ComponentId) -> Life | None:
        """Return the running main process."""
        if not self._has_looked_around:
            await self._look_around()
        life = self._lives.get(component)
        return None if life is None or life.is_over else life

    async def _look_around(self) -> None:
        find = partial(finding.find_mains, self._directory, self._boot, self._instance, self._cgroups)
        for component, record in (await self._in_thread(find)).items():
            known = self._lives.get(component)
            # The look took a moment: what was started or ended meanwhile is known better than seen.
            if known is not None and (not known.is_over or known.identity == record.identity):
                continue
            life = self._take(component, record)
            if (
                life is not None and not record.started
            ):  # from its mark: the last agent did not come to write it
                await self._record(life, replace(record, started=int(time.time())))
        self._has_looked_around = True

    async def _keep_records(self) -> None:
        """Write again what somebody removed: the next agent would start everything a second time."""
        with suppress(OSError):  # tried again at the next survey
            await self._in_thread(partial(marking.keep_secret, self._directory, self._secret))
            for component, life in tuple(self._lives.items()):
                lock = self._lock(component)
                if life.is_over or lock.locked():
                    continue
                async with lock:
                    if not life.is_over:
                        await self._in_thread(partial(life.folder.keep, life.record))

    def _take(self, component: ComponentId, record: Record) -> Life | None:
        cgroup = self._cgroups.of(component, record.cgroup)
        life = Life.take(component, record, Folder(self._directory, component), cgroup)
        if life is not None:
            self._lives[component] = life
            self._watching.begin(life)
        return life

    def _cgroup(self, component: ComponentId) -> Cgroup | None:
        if (life := self._lives.get(component)) is not None:
            return life.cgroup
        record = Folder(self._directory, component).read(
            self._boot
        )  # an agent that ran elsewhere may have written it
        return self._cgroups.of(component, "" if record is None else record.cgroup)

    def _lock(self, component: ComponentId) -> asyncio.Lock:
        return self._locks.setdefault(component, asyncio.Lock())

    async def _record(self, life: Life, record: Record) -> str:
        """Write the record; return what went wrong."""
        try:
            await self._in_thread(partial(life.folder.write, record))
        except OSError as error:
            return f"the role cannot be written to {life.folder.path}: {error.strerror}"
        life.record = record
        return ""

    # --- hooks and threads --------------------------------------------------------------------------

    async def _run_hook(self, spec: ProcessSpec, command: tuple[str, ...], mark: Mark) -> Result:
        if not command:
            return Result(Ending.DONE)
        folder = Folder(self._directory, mark.component)
        site = Site(self._instance, folder, self._cgroup(mark.component))
        before = output.size(folder.output)
        running: list[Hook] = []
        try:
            await self._in_thread(
                partial(spawning.spawn, spec, command, mark, site),
                lambda spawned: running.append(self._watching.begin_hook(spawned.identity)),
            )
            code = await running[0].wait(spec.hook_timeout / SECOND)
        except Refused as refusal:
            return Result(Ending.FAILED, f"{mark.hook} hook: {refusal}")
        finally:
            for hook in running:
                self._watching.end_hook(hook)
        if code == 0:
            return Result(Ending.DONE)
        said = output.last_lines(folder.output, before)
        evidence = f"; it said: {said}" if said else ""
        if code is None:
            limit = spec.hook_timeout / SECOND
            bound = f"{limit:g}s (run.hook_timeout)"
            return Result(
                Ending.UNKNOWN, f"{mark.hook} hook did not end within {bound} and was killed{evidence}"
            )
        return Result(Ending.FAILED, f"{mark.hook} hook {_tell_code(code)}{evidence}")

    async def _in_thread(self, call: Callable[[], T], keep: Callable[[T], None] | None = None) -> T:
        """Run `call` to its end, even when we are cancelled meanwhile; `keep` gets its answer in any case."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        cancelled = await settled(future)
        if cancelled is None or future.exception() is None:
            answer = future.result()
            if keep is not None:
                keep(answer)
            if cancelled is None:
                return answer
        raise cancelled


def _see(life: Life) -> ProcessSeen | None:
    stat = None if life.is_over else life.look()
    if stat is None or stat.is_gone:
        return None
    record = life.record
    return ProcessSeen(
        component=life.component,
        incarnation=life.identity.incarnation,
        is_stopped=stat.is_stopped,
        is_primary=record.is_primary,
        epoch=record.epoch,
        run_digest=record.run_digest,
        adopted=life.adopted,
    )


def _signal_number(name: str) -> int:
    number = getattr(signal, f"SIG{name.removeprefix('SIG')}", signal.SIGTERM)
    return number if isinstance(number, signal.Signals) else signal.SIGTERM


def _tell(survivors: frozenset[Identity]) -> str:
    pids = ", ".join(str(identity.pid) for identity in sorted(survivors))
    return f"pid {pids} survived SIGKILL, probably waiting for a disk or a device (state D)"


def _tell_code(code: int) -> str:
    return f"exited with {code}" if code > 0 else f"was ended by signal {-code}"
