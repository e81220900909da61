"""Reading from ZooKeeper: what a majority knows, and whole trees at one moment."""

from collections.abc import Iterable, Sequence
from typing import Any

from kazoo.client import KazooClient

from holdfast.coordination.clock import now
from holdfast.coordination.zookeeper_line import Call, Line, OverError, UnansweredError, UnreachableError
from holdfast.coordination.zookeeper_tree import (
    MARK,
    Leaf,
    Reading,
    entry_of,
    folder_path,
    key_of,
    leaf_path,
)
from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.ports.coordination import UnavailableError

COLLECTS_MAX = 6
_RETRY: Duration = 20 * MILLISECOND


def sync(client: KazooClient) -> Any:  # noqa: ANN401 - kazoo has no types
    """Have our server catch up with the leader; reads on the same line that follow see what it knew."""
    return client.sync_async("/")


def get(path: str) -> Call:
    """Read a leaf."""
    return lambda client: client.get_async(path)


def stat(path: str) -> Call:
    """Read about a leaf."""
    return lambda client: client.exists_async(path)


def children(path: str) -> Call:
    """Read the names in a folder."""
    return lambda client: client.get_children_async(path)


class Reader:
    """Asks again until `patience` is over: what only reads may be repeated."""

    def __init__(self, line: Line, root: str, *, limit: Duration, patience: Duration) -> None:
        self._line = line
        self._root = root
        self._limit = limit
        self._patience = patience

    async def ask(self, calls: Sequence[Call]) -> list[Any]:
        """Return the answers; UnavailableError if none come."""
        end = now() + self._patience
        while True:
            try:
                return await self._line.ask(calls, within=max(1, min(self._limit, end - now())))
            except (UnansweredError, UnreachableError, OverError) as error:
                if now() + _RETRY >= end or self._line.is_closed:
                    raise UnavailableError(f"ZooKeeper has no answer: {error}") from None

    async def leaves(self, keys: Iterable[str]) -> Reading:
        """Return these keys and their folders, as a majority knows them."""
        wanted = sorted(set(keys))
        folders = sorted({folder_path(self._root, key) for key in wanted})
        # The folders before the leaves, see zookeeper_tree.
        _, *found = await self.ask(
            [sync, *(stat(path) for path in folders), *(get(leaf_path(self._root, key)) for key in wanted)]
        )
        counts = {
            path: about.version for path, about in zip(folders, found, strict=False) if about is not None
        }
        leaves = {key: _leaf(key, got) for key, got in zip(wanted, found[len(folders) :], strict=True)}
        return Reading(leaves, counts)

    async def tree(self, prefix: str) -> dict[str, Leaf]:
        """Return everything below `prefix`.

        ZooKeeper reads one leaf at a time. Two readings in a row with the same outcome show what was there at every moment in
        between. A tree that never holds still is returned as it was read last.
        """
        before = await self._collect(prefix)
        for _ in range(COLLECTS_MAX):
            after = await self._collect(prefix)
            if after == before:
                break
            before = after
        return before

    async def _collect(self, prefix: str) -> dict[str, Leaf]:
        top = self._root + prefix.rstrip("/")
        leaves, folders = ([] if prefix == "/" else [top + MARK]), [top]
        found: dict[str, Leaf] = {}
        while leaves or folders:
            _, *answers = await self.ask(
                [sync, *(get(path) for path in leaves), *(children(at) for at in folders)]
            )
            for path, got in zip(leaves, answers, strict=False):
                leaf = _leaf(key_of(self._root, path), got)
                if leaf is not None:
                    found[leaf.entry.key] = leaf
            below = [
                f"{folder}/{name}"
                for folder, names in zip(folders, answers[len(leaves) :], strict=True)
                for name in names or ()
            ]
            leaves = [path for path in below if path.endswith(MARK)]
            folders = [path for path in below if not path.endswith(MARK)]
        return dict(sorted(found.items()))


def _leaf(key: str, got: Any) -> Leaf | None:  # noqa: ANN401 - (value, ZleafStat) of kazoo, or None
    return None if got is None else Leaf(entry_of(key, *got), got[1].version)


def left(end: Instant, limit: Duration) -> Duration:
    """Return how long an attempt may take."""
    return max(1, min(limit, end - now()))
