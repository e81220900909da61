"""Clients of a database: they append, and read and change registers, each in a way of its own, and write down what became of it.

    python -m tests.lab.database_load SPEC    # a JSON file: see `Load`

Some open a connection for each request and are impatient, as a web page's user is; others keep theirs for as long as it lives and wait
long on it, as a pool does: those would hear it if a primary that was frozen and deposed went on to answer. Each client does one thing at a time.
Ends with SIGTERM, when what is under way has its answer or its time limit.
"""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, TypeVar

import msgspec

from holdfast.model.time import SECOND
from tests.lab.database_history import Append, Deed, Outcome, Touch
from tests.lab.database_opening import open_session
from tests.lab.database_sessions import REGISTERS, NotDone, Session, Where, Who
from tests.lab.history import Record, Starved, now

T = TypeVar("T")

OPENS_WITHIN_S: Final = 1.0
LATE: Final = SECOND // 5


class ClientSpec(msgspec.Struct, frozen=True):
    """One client."""

    name: str
    does: str  # append, or touch
    where: tuple[Where, ...]  # one address, or several of which it looks for one that takes writes
    is_pinned: bool
    patience_s: float
    every_s: float = 0.02


class Load(msgspec.Struct, frozen=True):
    """All clients of one service."""

    kind: str  # postgresql, redis
    history: str
    clients: tuple[ClientSpec, ...]


class Client:
    """One client's life: a request at a time."""

    def __init__(self, spec: ClientSpec, number: int, kind: str, note: Callable[[Record], None]) -> None:
        self._spec = spec
        self._kind = kind
        self._note = note
        self._values = itertools.count(number * 1_000_000 + 1)  # nobody else's, and no value twice
        self._chance = Random(number)
        self._session: Session | None = None
        self._turn = 0
        self._seen: dict[int, int] = {}  # of each register, what was read last

    async def run(self, is_over: asyncio.Event) -> None:
        step = self._append if self._spec.does == "append" else self._touch
        try:
            while not is_over.is_set():
                await step()
                slept_at = now()
                await asyncio.sleep(self._spec.every_s)
                late = now() - slept_at - int(self._spec.every_s * SECOND)
                if late > LATE:
                    self._note(Starved(now(), late))
        finally:
            self._hang_up()

    async def _append(self) -> None:
        number, at = next(self._values), now()
        who, outcome, error = Who(), Outcome.ACKNOWLEDGED, ""
        try:
            who = await self._do(lambda session: session.append(self._spec.name, number))
        except NotDone as refusal:
            outcome, error = refusal.outcome, str(refusal)
        self._note(Append(at, self._spec.name, number, now(), outcome, who.host, who.reign, error))

    async def _touch(self) -> None:
        key = self._chance.choice(REGISTERS)
        deed = self._chance.choice([Deed.READ, Deed.READ, Deed.WRITE, Deed.SWAP])
        expected = self._seen.get(key, 0) if deed is Deed.SWAP else 0
        value = 0 if deed is Deed.READ else next(self._values)
        who, at, outcome, error = Who(), now(), Outcome.ACKNOWLEDGED, ""
        try:
            match deed:
                case Deed.READ:
                    value, who = await self._do(lambda session: session.read(key))
                case Deed.WRITE:
                    who = await self._do(lambda session: session.write(key, value))
                case _:
                    is_swapped, who = await self._do(lambda session: session.swap(key, expected, value))
                    deed = Deed.SWAP if is_swapped else Deed.REFUSED
        except NotDone as refusal:
            outcome, error = refusal.outcome, str(refusal)
        if outcome is Outcome.ACKNOWLEDGED and deed is not Deed.REFUSED:
            self._seen[key] = value
        name = self._spec.name
        self._note(Touch(at, name, key, deed, value, now(), outcome, expected, who.host, who.reign, error))

    async def _do(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        session = await self._opened()
        try:
            async with asyncio.timeout(self._spec.patience_s):
                answer = await ask(session)
        except TimeoutError:
            self._hang_up()
            raise NotDone(Outcome.UNKNOWN, "no answer in time") from None
        except NotDone as refusal:
            self._hang_up()
            self._turn += refusal.is_elsewhere
            raise
        if not self._spec.is_pinned:
            self._hang_up()
        return answer

    async def _opened(self) -> Session:
        if self._session is None:
            where = self._spec.where[self._turn % len(self._spec.where)]
            try:
                async with asyncio.timeout(OPENS_WITHIN_S):
                    self._session = await open_session(self._kind, where)
            except (TimeoutError, NotDone) as refusal:
                self._turn += 1
                raise NotDone(
                    Outcome.FAILED, f"no connection: {str(refusal) or 'no answer in time'}"
                ) from None
        return self._session

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None


async def run(load: Load) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    history = os.open(load.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(record: Record) -> None:
        os.write(history, msgspec.json.encode(record) + b"\n")

    clients = [Client(spec, number, load.kind, note) for number, spec in enumerate(load.clients, 1)]
    await asyncio.gather(*(client.run(is_over) for client in clients))


def main(arguments: Sequence[str]) -> None:
    (spec,) = arguments
    load = msgspec.json.decode(Path(spec).read_bytes(), type=Load)
    with suppress(KeyboardInterrupt):
        asyncio.run(run(load))


if __name__ == "__main__":
    main(sys.argv[1:])
