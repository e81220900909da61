"""Samplers: each server is asked over its own socket, all the time, to take a write; whether it did is written down.

    python -m tests.lab.database_sampler SPEC    # a JSON file: see `Sampling`

A socket is a path, and a connection from a host to itself never leaves it: no partition of the network cuts them. The sampler of a server keeps its connection and waits long, so that a server
that was frozen is found out if it takes one more write when it goes on. The write waits for no standby: what is asked is whether this server believes
that it may. What is refused is written down when it begins only.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from tests.lab.database_history import Outcome, Sample
from tests.lab.database_opening import open_session
from tests.lab.database_sessions import NotDone, Session, Where
from tests.lab.history import Record, now

OPENS_WITHIN_S: Final = 1.0
PATIENCE_S: Final = 15.0
EVERY_S: Final = 0.01


class Sampling(msgspec.Struct, frozen=True):
    """Which servers are asked."""

    kind: str
    history: str
    targets: dict[str, Where]  # by host


class Sampler:
    """The sampler of one server."""

    def __init__(self, host: str, kind: str, target: Where, note: Callable[[Record], None]) -> None:
        self._host = host
        self._kind = kind
        self._target = target
        self._note = note
        self._session: Session | None = None
        self._told = "nothing yet"

    async def run(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            at = now()
            try:
                reign, followers = await self._write()
                self._told = ""
                self._note(Sample(at, self._host, now(), True, reign, followers))
            except (NotDone, TimeoutError) as refusal:
                self._hang_up(refusal)
                error = str(refusal) or "no answer in time"
                if error != self._told:
                    self._note(Sample(at, self._host, now(), is_taken=False, error=error))
                self._told = error
            await asyncio.sleep(EVERY_S)
        self._hang_up()

    async def _write(self) -> tuple[int, int]:
        if self._session is None:
            async with asyncio.timeout(OPENS_WITHIN_S):
                self._session = await open_session(self._kind, self._target)
        async with asyncio.timeout(PATIENCE_S):
            return await self._session.sample(self._host)

    def _hang_up(self, refusal: Exception | None = None) -> None:
        is_kept = isinstance(refusal, NotDone) and refusal.outcome is Outcome.FAILED  # a standby, or no room
        if self._session is not None and not is_kept:
            self._session.close()
            self._session = None


async def run(sampling: Sampling) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    history = os.open(sampling.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(record: Record) -> None:
        os.write(history, msgspec.json.encode(record) + b"\n")

    samplers = [Sampler(host, sampling.kind, target, note) for host, target in sampling.targets.items()]
    await asyncio.gather(*(sampler.run(is_over) for sampler in samplers))


def main(arguments: Sequence[str]) -> None:
    (spec,) = arguments
    sampling = msgspec.json.decode(Path(spec).read_bytes(), type=Sampling)
    with suppress(KeyboardInterrupt):
        asyncio.run(run(sampling))


if __name__ == "__main__":
    main(sys.argv[1:])
