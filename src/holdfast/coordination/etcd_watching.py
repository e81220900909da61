"""Watching etcd: one stream from the revision of a snapshot, and a question to the majority whenever it is silent.

A stream's silence proves nothing: its member may have lost the majority, or be frozen. So before a Beat a linearizable read
asks whether the stream has missed something. After the end of a stream, whatever the reason (compaction, a member's
death, a lost leader), a new Snapshot begins.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

import aiohttp
import msgspec

from holdfast.coordination.clock import now
from holdfast.coordination.etcd_answers import WatchLine
from holdfast.coordination.etcd_gateway import Gateway
from holdfast.coordination.limits import is_below
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import Beat, Change, Entry, Sighting, Snapshot, UnavailableError

ROOT_PREFIX_END = b"0"  # the byte after "/": a range that ends with it holds all that is below
_RETRY: Duration = 50 * MILLISECOND
_OWES_MAX: Duration = 100 * MILLISECOND
Look: TypeAlias = Callable[[Duration], Awaitable[tuple[Snapshot, int]]]  # -> what there is, and its revision


class _EndedError(Exception):
    """The stream is over."""


async def watching(
    gateway: Gateway, look: Look, root: str, prefix: str, beat: Duration
) -> AsyncIterator[Sighting]:
    """Yield what happens below `prefix`; UnavailableError when nothing sure can be said for a `beat`."""
    told_at = now()
    while True:
        snapshot, revision = await look(_left(told_at, beat))
        yield snapshot
        told_at = now()
        follower = _Follower(gateway, look, root, prefix, beat)
        try:
            async with aclosing(follower.follow(snapshot, revision)) as sightings:
                async for sighting in sightings:
                    yield sighting
                    told_at = now()
        except (_EndedError, UnavailableError):
            # Another member may know more; if none does, `look` says so within the beat.
            await asyncio.sleep(min(_RETRY, _left(told_at, beat)) / SECOND)


def _left(told_at: Instant, beat: Duration) -> Duration:
    return max(1, told_at + beat - now())


class _Follower:
    """One stream, and what it has told so far."""

    def __init__(self, gateway: Gateway, look: Look, root: str, prefix: str, beat: Duration) -> None:
        self._gateway = gateway
        self._look = look
        self._root = root
        self._prefix = prefix
        self._beat = beat
        self._entries: dict[str, Entry] = {}
        self._unread = b""

    async def follow(self, snapshot: Snapshot, revision: int) -> AsyncGenerator[Sighting, None]:
        """Yield Changes and Beats until the stream ends."""
        self._entries = dict(snapshot.entries)
        # From the member that has just answered: another one may be dead, and would be waited for.
        endpoint = self._gateway.present()
        try:
            async with aclosing(self._told_by(endpoint, revision)) as sightings:
                async for sighting in sightings:
                    yield sighting
        except (_EndedError, UnavailableError):
            self._gateway.leave(endpoint)
            raise

    async def _told_by(self, endpoint: str, revision: int) -> AsyncGenerator[Sighting, None]:
        response = await self._gateway.stream(endpoint, "/v3/watch", self._question(revision + 1))
        try:
            told_at = now()
            while True:
                # Half of the beat for the stream, the other half to find out what its silence means.
                changes = await self._read(response, told_at + self._beat // 2 - now())
                for change in changes:
                    yield change
                if not changes:
                    for change in await self._confirm(response, told_at + self._beat):
                        yield change
                        changes.append(change)
                    if not changes:
                        yield Beat()
                told_at = now()
        finally:
            response.close()

    def _question(self, revision: int) -> dict[str, object]:
        begin = (self._root + self._prefix).encode()
        end = (self._root + self._prefix.rstrip("/")).encode() + ROOT_PREFIX_END
        return {"create_request": {"key": begin, "range_end": end, "start_revision": revision}}

    async def _confirm(self, response: aiohttp.ClientResponse, until: Instant) -> list[Change]:
        """Return what the stream owed us; raise if it is deaf."""
        snapshot, _ = await self._look(max(1, until - now()))
        changes: list[Change] = []
        # What the majority knows more than the stream has told is on its way, or will never come. A stream that is given up
        # too soon costs a look; one that is believed too long costs what happens meanwhile.
        until = min(until, now() + _OWES_MAX)
        while _versions(snapshot.entries) != _versions(self._entries):
            more = await self._read(response, until - now())
            if not more:
                raise _EndedError
            changes += more
            if max(change.entry.version for change in more) > max(
                _versions(snapshot.entries).values(), default=0
            ):
                break  # the stream is ahead of the question
        return changes

    async def _read(self, response: aiohttp.ClientResponse, within: Duration) -> list[Change]:
        """Return the next changes; empty after `within`."""
        end = now() + max(1, within)
        while True:
            line, found, rest = self._unread.partition(b"\n")
            if found:
                self._unread = rest
                if changes := self._changes(line):
                    return changes
                continue
            try:
                async with asyncio.timeout(max(0.0, (end - now()) / SECOND)):
                    chunk = await response.content.readany()
            except TimeoutError:
                return []
            except (aiohttp.ClientError, OSError):
                raise _EndedError from None
            if not chunk:
                raise _EndedError
            self._unread += chunk

    def _changes(self, line: bytes) -> list[Change]:
        try:
            result = msgspec.json.decode(line, type=WatchLine, strict=False).result
        except msgspec.MsgspecError:
            raise _EndedError from None
        if result is None or result.canceled:
            raise _EndedError  # also when the revisions that we asked for have been compacted away
        changes = []
        for event in result.events:
            entry = event.kv.entry(self._root)
            if not is_below(entry.key, self._prefix):
                continue
            if event.type == "PUT":
                self._entries[entry.key] = entry
                changes.append(Change("put", entry))
            elif (before := self._entries.pop(entry.key, None)) is not None:
                changes.append(Change("delete", before))
        return changes


def _versions(entries: dict[str, Entry]) -> dict[str, int]:
    return {key: entry.version for key, entry in entries.items()}
