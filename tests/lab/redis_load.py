"""Clients of a Redis service: each appends numbers of its own to a list, over connections that it keeps or not, and writes down the answers.

    python -m tests.lab.redis_load SPEC    # a JSON file: see `Load`

With each append it asks under which epoch the data was written that it was added to. So a judge sees who acknowledged it.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.redis.resp import Answer, MalformedError, Refusal, command, read_answer

PATIENCE_S = 1.0
KEPT = 0.5  # share of the clients that keep their connection for as long as it works


class Load(msgspec.Struct, frozen=True):
    """What the clients do."""

    notes: str  # the file that they write into
    addresses: tuple[tuple[str, int], ...]  # of the balancers; each client has one of them
    password: str
    stamp_key: str
    every_s: float = 0.02


class Written(msgspec.Struct, frozen=True):
    """One append, as its client knows of it."""

    entry: str
    at: int
    ended: int
    is_acknowledged: bool
    epoch: int = 0
    error: str = ""


class NotTakenError(Exception):
    """The server refused it."""


class Client:
    """One client: one append after the other."""

    def __init__(self, number: int, load: Load, notes: int) -> None:
        self._number = number
        self._load = load
        self._notes = notes
        self._keeps = number % 2 == 0
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, is_over: asyncio.Event) -> None:
        count = 0
        while not is_over.is_set():
            count += 1
            at, entry = _now(), f"{self._number}:{count}"
            try:
                async with asyncio.timeout(PATIENCE_S):
                    epoch = await self._append(entry)
                told = Written(entry, at, _now(), is_acknowledged=True, epoch=epoch)
            except (OSError, EOFError, TimeoutError, MalformedError, NotTakenError) as error:
                self._hang_up()
                told = Written(
                    entry, at, _now(), is_acknowledged=False, error=str(error) or type(error).__name__
                )
            os.write(self._notes, msgspec.json.encode(told) + b"\n")
            if not self._keeps:
                self._hang_up()
            await asyncio.sleep(self._load.every_s)
        self._hang_up()

    async def _append(self, entry: str) -> int:
        if self._line is None:
            host, port = self._load.addresses[self._number % len(self._load.addresses)]
            self._line = await asyncio.open_connection(host, port)
            self._line[1].write(command("AUTH", self._load.password))
            _taken(await read_answer(self._line[0]))
        reader, writer = self._line
        writer.write(command("RPUSH", "seen", entry) + command("GET", self._load.stamp_key))
        _taken(await read_answer(reader))
        stamp = await read_answer(reader)
        return int(stamp.split()[0]) if isinstance(stamp, bytes) else 0

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line[1].transport.abort()
        self._line = None


def _taken(answer: Answer) -> None:
    if isinstance(answer, Refusal):
        raise NotTakenError(answer.text)


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


async def run(load: Load) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    notes = os.open(load.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    clients = [Client(number, load, notes) for number in range(2 * len(load.addresses))]
    await asyncio.gather(*(client.run(is_over) for client in clients))


def main(arguments: Sequence[str]) -> None:
    (spec,) = arguments
    with suppress(KeyboardInterrupt):
        asyncio.run(run(msgspec.json.decode(Path(spec).read_bytes(), type=Load)))


if __name__ == "__main__":
    main(sys.argv[1:])
