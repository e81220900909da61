"""HAProxy's master process: the workers it has, their old sessions, and reloading.

A reload starts a new worker; the old one finishes its sessions without checks and refuses `set server`,
though it still answers everything else. HAProxy 2.6 gives no verdict on a reload: what tells is the
master's count of reloads and failures, and the digest of the configuration that the worker runs.
"""

import asyncio
import os
import re
import select
import signal
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TypeVar

from holdfast.model.value import Value
from holdfast.traffic.console import Console, Refused, Silent
from holdfast.traffic.standing import parse_sessions

T = TypeVar("T")

_LOOK_EVERY = 0.01  # seconds, while a reload is under way; it takes 50 to 700 ms
_AWAY_MAX = 1.5  # seconds; while the master replaces itself, at start and at reload, it listens to nobody
_MASTER = re.compile(r"^\d+\s+master\s+(\d+)\s+\[failed: (\d+)\]", re.MULTILINE)
_CUT_MAX = (
    4.0  # seconds for all old workers: sessions are cut in milliseconds, a worker that hangs is waited for
)
_OLD_ANSWERS = 1.5  # seconds for one
_SESSION = re.compile(r"^(0x[0-9a-f]+): .* be=(\S+) srv=(\S+) ", re.MULTILINE)
_NO_SERVER = "<none>"


class Workers(Value, frozen=True):
    """What the master says of itself and its workers."""

    reloads: int
    failures: int  # in a row, up to now
    old: tuple[int, ...]  # workers from before a reload that still have sessions


def parse_workers(text: str) -> Workers:
    """Return what `show proc` says."""
    count = _MASTER.search(text)
    if count is None:
        raise Refused(f"HAProxy's list of processes is not understood: {text[:80]!r}")
    _, _, after = text.partition("# old workers\n")
    old = re.findall(r"^(\d+)\s+worker\s", after, re.MULTILINE)
    return Workers(int(count[1]), int(count[2]), tuple(int(pid) for pid in old))


async def sessions_elsewhere(master: Console) -> dict[tuple[str, str], int]:
    """Return the sessions by backend and server that old workers still have."""

    async def count() -> dict[tuple[str, str], int]:
        total: dict[tuple[str, str], int] = {}
        for pid in (await _workers(master)).old:
            (stat,) = await master.ask(f"@!{pid} show stat -1 4 -1")
            if not stat.startswith("#"):
                continue  # it just ended
            for server, sessions in parse_sessions(stat).items():
                total[server] = total.get(server, 0) + sessions
        return total

    return await _patiently(count)


async def cut_elsewhere(master: Console, servers: Collection[tuple[str, str]]) -> None:
    """End the sessions that old workers still have with these servers (backend, name); return when none is left.

    An old worker cannot be told lanes: it goes on believing what it knew. So a session of such a backend that has no server yet ends
    too: it would go where it must not. One that does not answer is killed: whoever sleeps now would serve its sessions when it wakes.
    TimeoutError: some may be left.
    """

    async def cut() -> None:
        while True:
            found = [
                (pid, address)
                for pid in (await _workers(master)).old
                for address in await _sessions_or_end(master, pid, servers)
            ]
            if not found:
                return
            await master.ask(*(f"@!{pid} shutdown session {address}" for pid, address in found))
            await asyncio.sleep(_LOOK_EVERY)  # they end at the worker's next turn

    await _patiently(cut, within=_CUT_MAX)


async def _sessions_or_end(master: Console, pid: int, servers: Collection[tuple[str, str]]) -> list[str]:
    """Return the sessions that have to be cut; of a worker that does not answer none: it is ended."""
    try:
        async with asyncio.timeout(_OLD_ANSWERS):
            (said,) = await master.ask(f"@!{pid} show sess")
    except TimeoutError:
        await _end(pid)
        return []
    backends = {backend for backend, _ in servers}
    return [
        address
        for address, backend, server in _SESSION.findall(said)
        if (backend, server) in servers or (server == _NO_SERVER and backend in backends)
    ]


async def _end(pid: int) -> None:
    """Kill a worker that the master has just named, and see that it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        while not select.select([handle], [], [], 0)[0]:  # noqa: ASYNC110 - a pidfd in the loop is no simpler
            await asyncio.sleep(_LOOK_EVERY)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


async def reload(master: Console, has_taken_over: Callable[[], Awaitable[bool]]) -> bool:
    """Have a new worker take over; tell whether it did. Cancel or time it out from outside."""
    before = await _patiently(lambda: _workers(master))
    try:
        await master.ask("reload")
    except Silent as error:
        if not error.is_sent:
            raise
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        try:
            now = await _workers(master)
        except (Silent, TimeoutError):
            continue  # it is away
        if (now.reloads, now.failures) == (before.reloads, before.failures):
            continue
        if now.failures:
            return False
        if await has_taken_over():
            return True


async def _patiently(ask: Callable[[], Awaitable[T]], *, within: float = _AWAY_MAX) -> T:
    async with asyncio.timeout(within):
        while True:
            with suppress(Silent):
                return await ask()
            await asyncio.sleep(_LOOK_EVERY)


async def _workers(master: Console) -> Workers:
    (text,) = await master.ask("show proc")
    return parse_workers(text)
