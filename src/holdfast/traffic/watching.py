"""HAProxy's own decisions as they happen: its log lines, streamed on the runtime socket.

A state change arrives half a millisecond after it was made. The lines are only a call to look: what
counts is what `look` then reads, so a line lost while HAProxy restarts does no harm.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from holdfast.traffic.configuring import RING
from holdfast.traffic.console import listen

_BACKOFF_MIN, _BACKOFF_MAX = 0.05, 1.0  # seconds between attempts to connect


class Feed:
    """Calls `on_change` when HAProxy changed a server, and when it went or came back."""

    def __init__(self, socket: Path, on_change: Callable[[], None], on_end: Callable[[], None]) -> None:
        self._socket = socket
        self._on_change = on_change
        self._on_end = on_end  # this worker ends as soon as nobody is connected to it any more
        self._is_due = False
        self._backoff = _BACKOFF_MIN
        self._writer: asyncio.StreamWriter | None = None
        self._task = asyncio.get_running_loop().create_task(self._follow())

    def leave(self) -> None:
        """Hang up on the worker that is listened to, and look for another one."""
        if self._writer is not None:
            self._writer.close()

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                reader, self._writer = await listen(self._socket, f"show events {RING} -w -n")
            except OSError:
                await self._rest()
                continue
            self._tell()
            try:
                await self._read(reader)
            except (OSError, ValueError):  # the connection broke, or a line was absurdly long
                pass
            finally:
                self.leave()
                self._writer = None
            self._tell()
            await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(self._backoff)
        self._backoff = min(2 * self._backoff, _BACKOFF_MAX)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._backoff = _BACKOFF_MIN
            # A worker that was replaced goes on talking as long as we listen, and lives as long.
            if line.startswith(b"Proxy ") and b" stopped " in line:
                self._on_end()
                return
            if line.startswith(b"Server "):
                self._tell()

    def _tell(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        self._is_due = False
        self._on_change()
