"""Watching: what changes by itself, reported once, on the event loop.

Ends come from pidfds, at once. Everything else is looked at by one timer for all: whether a process was stopped
or began to end (every 20 ms, with many of them less often), orphans to reap, outputs that grew too long.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from holdfast.components import memory_kills, output
from holdfast.components.hooks import Hook
from holdfast.components.life import Life
from holdfast.components.orphans import Orphans, become_subreaper
from holdfast.components.procfs import Identity
from holdfast.model.ids import ComponentId
from holdfast.ports.components import ComponentListener

TICK = 0.02  # seconds, at least
_TICK_PER_LIFE = (
    0.0004  # seconds: a look costs some 8 microseconds, and all of them at most two hundredths of a core
)
_REAP_EVERY = 5  # ticks
_TIDY_EVERY = 50  # ticks


class Watching:
    """The eyes on all lives of one agent."""

    def __init__(self, instance: str, lives: Mapping[ComponentId, Life], threads: ThreadPoolExecutor) -> None:
        self.listener: ComponentListener | None = None
        self._lives = lives
        self._threads = threads
        self._orphans = Orphans(instance)
        self._hooks: set[int] = set()
        self._rotating: set[ComponentId] = set()
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._killed_on_host = memory_kills.count_on_host()
        become_subreaper()

    def begin(self, life: Life) -> None:
        """Watch one life from now on."""
        self._orphans.know_session(life.identity.pid)
        life.watch(self._report_end, lambda: self._killed_on_host)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def begin_hook(self, identity: Identity) -> Hook:
        """Take hold of a hook that was started; its exit is read by itself."""
        self._orphans.know_session(identity.pid)
        self._hooks.add(identity.pid)
        return Hook(identity)

    def end_hook(self, hook: Hook) -> None:
        """Let go of a hook, and kill what of it still runs."""
        hook.end()
        self._hooks.discard(hook.identity.pid)

    def know_killed(self, processes: frozenset[Identity]) -> None:
        """Remember what was ended by us: whoever of it falls to us is nobody else's."""
        self._orphans.know_killed(processes)

    def close(self) -> None:
        """Stop watching."""
        self.listener = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _report_end(self, life: Life) -> None:
        if self.listener is not None:
            self.listener.on_exit(life.component, life.identity.incarnation, life.ended.result())

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(TICK, _TICK_PER_LIFE * len(self._lives)), self._tick)
        self._ticks += 1
        for life in list(self._lives.values()):
            if life.has_news():
                self._look_at(life)
        if self._ticks % _REAP_EVERY == 0:
            mains = {life.identity.pid for life in self._lives.values() if not life.is_over}
            self._orphans.reap(loop.time(), lambda pid: pid in mains or pid in self._hooks)
        if self._ticks % _TIDY_EVERY == 0:
            self._killed_on_host = memory_kills.count_on_host()
            self._make_room()

    def _look_at(self, life: Life) -> None:
        stat = life.look()
        if stat is None or stat.is_gone:
            return  # its pidfd tells
        if self.listener is None:
            return
        incarnation = life.identity.incarnation
        if stat.is_dying and not life.is_dying:
            # Traffic may leave now. It is not an end: only a pidfd proves that another member may serve.
            life.is_dying = True
            self.listener.on_dying(life.component, incarnation)
        if not life.is_dying and stat.is_stopped != life.is_stopped:
            life.is_stopped = stat.is_stopped
            self.listener.on_stopped(life.component, incarnation, life.is_stopped)

    def _make_room(self) -> None:
        for component, life in self._lives.items():
            is_full = output.size(life.folder.output) >= life.record.log_max_bytes
            if is_full and not life.is_over and component not in self._rotating:
                self._rotating.add(component)
                done = self._threads.submit(output.rotate, life.folder.output, life.record.log_max_bytes)
                done.add_done_callback(partial(self._has_room, component))

    def _has_room(self, component: ComponentId, _: Future[None]) -> None:
        self._rotating.discard(component)
