"""Watching a tree of ZooKeeper: one-shot watches, and a copy of the tree that is read anew where one has fired.

A watch fires once and says only where something has changed. So each reading also sets the watch for the next change, and
what is told is the difference between two readings. Several writes to one key in a row may appear as one change.

A server tells of all changes up to a moment before it answers what was asked after it: a `sync` on the same line,
answered, proves that nothing was missed. That is what a Beat says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from kazoo.client import KazooClient

from holdfast.coordination.clock import now
from holdfast.coordination.zookeeper_line import Call, Line, OverError, UnansweredError, UnreachableError
from holdfast.coordination.zookeeper_reading import sync
from holdfast.coordination.zookeeper_tree import MARK, entry_of, key_of
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import Beat, Change, Entry, Sighting, Snapshot, UnavailableError

_ROUNDS_MAX = 20  # of reading again what changed while it was read
_RETRY: Duration = 20 * MILLISECOND


class _DoubtError(Exception):
    """The connection was lost, and with it the watches."""


async def watching(
    line: Line, root: str, prefix: str, beat: Duration, limit: Duration
) -> AsyncIterator[Sighting]:
    """Yield what happens below `prefix`; UnavailableError when nothing sure can be said for a `beat`."""
    told_at = now()
    while True:
        tree = _Tree(line, root, prefix, limit)
        try:
            await tree.settle(told_at + beat)
            tree.changes()
            yield Snapshot(dict(sorted(tree.told.items())))
            told_at = now()
            while True:
                await tree.news(told_at + beat // 2)
                await tree.settle(told_at + beat)
                changes = tree.changes()
                for change in changes:
                    yield change
                if not changes:
                    yield Beat()
                told_at = now()
        except (_DoubtError, UnansweredError, UnreachableError, OverError) as error:
            if now() + _RETRY >= told_at + beat or line.is_closed:
                raise UnavailableError(f"nothing sure is known below {prefix}: {error}") from None
            await asyncio.sleep(_RETRY / SECOND)
        finally:
            tree.is_over = True


class _Tree:
    """A copy of the leaves below a prefix, with watches on all of them."""

    def __init__(self, line: Line, root: str, prefix: str, limit: Duration) -> None:
        self._line = line
        self._root = root
        self._limit = limit
        self._top = root + prefix.rstrip("/")
        self._tops = {self._top} if prefix == "/" else {self._top, self._top + MARK}
        self._entries: dict[str, Entry] = {}  # by path
        self._names: dict[str, frozenset[str]] = {}  # by folder
        self._dirty = set(self._tops)
        self._news = asyncio.Event()
        self._is_doubtful = False
        self._hear = _listener(asyncio.get_running_loop(), self._note)
        self.told: dict[str, Entry] = {}
        self.is_over = False

    async def news(self, until: Instant) -> None:
        """Wait until something has changed, or it is time to ask whether something has."""
        try:
            async with asyncio.timeout(max(0.0, (until - now()) / SECOND)):
                await self._news.wait()
        except TimeoutError:
            return

    async def settle(self, end: Instant) -> None:
        """Read again what has changed, until a moment is found at which nothing is left."""
        for _ in range(_ROUNDS_MAX):
            self._news.clear()
            paths, self._dirty = self._dirty, set()
            await self._read(paths, end)
            if self._is_doubtful:
                raise _DoubtError("the connection was lost")
            if not self._dirty:
                return

    def changes(self) -> list[Change]:
        """Return what differs from what was told before, in the order of the writes, as far as one can know it."""
        entries = {entry.key: entry for entry in self._entries.values()}
        before, self.told = self.told, entries
        gone = [
            entry for key, entry in before.items() if key not in entries or entries[key].token != entry.token
        ]
        put = [e for key, e in entries.items() if key not in before or before[key].version != e.version]
        return [
            *(Change("delete", entry) for entry in gone),
            *(Change("put", entry) for entry in sorted(put, key=lambda entry: entry.version)),
        ]

    async def _read(self, paths: Iterable[str], end: Instant) -> None:
        todo = sorted(paths)
        while True:
            _, *answers = await self._ask([sync, *(self._reading(path) for path in todo)], end)
            absent = [
                path for path, got in zip(todo, answers, strict=True) if got is None and path in self._tops
            ]
            new: list[str] = []
            for path, got in zip(todo, answers, strict=True):
                if path.endswith(MARK):
                    self._keep(path, got)
                else:
                    new += self._enter(path, got)
            if absent:
                # What does not exist is watched by asking whether it does. It may have come since.
                found = await self._ask([self._existence(path) for path in absent], end)
                new += [path for path, about in zip(absent, found, strict=True) if about is not None]
            if not new:
                return
            todo = new

    def _keep(self, path: str, got: Any) -> None:  # noqa: ANN401 - (value, ZleafStat) of kazoo, or None
        if got is None:
            self._entries.pop(path, None)
        else:
            self._entries[path] = entry_of(key_of(self._root, path), *got)

    def _enter(self, folder: str, got: list[str] | None) -> list[str]:
        """Note what is in a folder now; return what was not there before."""
        before, names = self._names.get(folder, frozenset()), frozenset(got or ())
        self._names[folder] = names
        for name in before - names:
            self._entries.pop(f"{folder}/{name}", None)
        return [f"{folder}/{name}" for name in sorted(names - before)]

    async def _ask(self, calls: list[Call], end: Instant) -> list[Any]:
        return await self._line.ask(calls, within=max(1, min(self._limit, end - now())))

    def _reading(self, path: str) -> Call:
        if path.endswith(MARK):
            return lambda client: client.get_async(path, watch=self._hear)
        return lambda client: client.get_children_async(path, watch=self._hear)

    def _existence(self, path: str) -> Call:
        def call(client: KazooClient) -> Any:  # noqa: ANN401 - kazoo has no types
            return client.exists_async(path, watch=self._hear)

        return call

    def _note(self, event: Any) -> None:  # noqa: ANN401 - kazoo's WatchedEvent
        if self.is_over:
            return
        if event.path is None:
            self._is_doubtful = True
        else:
            self._dirty.add(event.path)
        self._news.set()


def _listener(loop: asyncio.AbstractEventLoop, note: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what kazoo is to call in its thread. One object for all watches: kazoo keeps a set of them."""

    def hear(event: Any) -> None:  # noqa: ANN401 - kazoo's WatchedEvent
        try:
            loop.call_soon_threadsafe(note, event)
        except RuntimeError:
            return  # the loop has been closed: nobody listens any more

    return hear
