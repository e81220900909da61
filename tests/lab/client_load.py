"""Clients: one new connection every 10 ms, whatever became of the others, each noted in the history.

    client_load.py ADDRESS PORT HISTORY [--every-ms 10] [--timeout-ms 1000]

Ends with SIGTERM, after the last request has its answer or its timeout. When it was itself too late by 50 ms or more it says so: what
clients saw meanwhile is unknown.
"""

import argparse
import asyncio
import json
import os
import signal
import time

LATE_S = 0.05


class Clients:
    """All clients of one address."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._address = (options.address, options.port)
        self._every_s = options.every_ms / 1000
        self._timeout_s = options.timeout_ms / 1000
        self._history = os.open(options.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._is_over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._is_over.set)
        under_way: set[asyncio.Task[None]] = set()
        due = loop.time()
        while not self._is_over.is_set():
            request = asyncio.create_task(self._ask())
            under_way.add(request)
            request.add_done_callback(under_way.discard)
            due += self._every_s
            late = loop.time() - due
            if late > LATE_S:  # no burst to catch up: it would measure the burst
                self._note({"is": "starved", "at": _now(), "late": int(late * 1e9)})
                due = loop.time()
            await asyncio.sleep(max(0.0, due - loop.time()))
        if under_way:
            await asyncio.wait(under_way)

    async def _ask(self) -> None:
        at = _now()
        by, error = "", ""
        try:
            async with asyncio.timeout(self._timeout_s):
                by = await self._exchange()
        except TimeoutError:
            error = "timeout"
        except OSError as failed:
            error = type(failed).__name__
        except ValueError as refused:
            error = str(refused)
        self._note({"is": "asked", "at": at, "took": _now() - at, "by": by, "error": error})

    async def _exchange(self) -> str:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            if " 200 " not in head.partition("\r\n")[0]:
                raise ValueError(head.partition("\r\n")[0] or "no answer")
            return body
        finally:
            writer.transport.abort()

    def _note(self, line: dict[str, object]) -> None:
        os.write(self._history, json.dumps(line).encode() + b"\n")


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


async def main() -> None:
    parser = argparse.ArgumentParser(description="One connection every few milliseconds.")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("history")
    parser.add_argument("--every-ms", type=float, default=10)
    parser.add_argument("--timeout-ms", type=float, default=1000)
    await Clients(parser.parse_args()).run()


if __name__ == "__main__":
    asyncio.run(main())
