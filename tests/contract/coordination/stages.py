"""What each driver brings to the contract suite: a fresh engine, clients of it, and its faults.

To join, write an async context manager `f(folder: Path) -> Stage` in a file of its own beside this one, and add a line
`"zookeeper": elsewhere("zookeeper_stage", "zookeeper")` to DRIVERS. With a `url`, `holdfast.coordination.address.connect(url)` in another
process must find the same engine. An engine that
is slow to start may be shared between tests: each test keeps its keys below `stage.root`, which must be fresh.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from holdfast.coordination.clock import now
from holdfast.coordination.embedded import EmbeddedCoordinator
from holdfast.coordination.embedded_schema import FILE
from holdfast.coordination.memory import MemoryCoordinator, MemoryEngine
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.ports.coordination import Coordinator

ENGINE_TURNS_EVERY_S = 0.005


@dataclass
class Stage:
    """One engine under test."""

    new_client: Callable[[], Awaitable[Coordinator]]  # independent of the others: a connection of its own
    ttl: Duration  # the shortest that this engine keeps reliably on a busy machine
    expiry_bound: Duration  # how much later than its ttl a dead session's keys may still be there
    url: str | None = None  # where another process finds the engine; None: it lives in this one
    root: str = "/contract"  # all keys of the test are below
    forget_history: Callable[[], Awaitable[None]] | None = None  # compaction, where the engine has it
    silence: Callable[[], AbstractAsyncContextManager[None]] | None = None  # meanwhile no write is answered
    call_limit: Duration = 10 * SECOND  # every call has ended by then, answered or not
    clients: list[Coordinator] = field(default_factory=list)

    async def client(self) -> Coordinator:
        """Return a new client, closed at the end of the test."""
        client = await self.new_client()
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()


Driver: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Stage]]


@asynccontextmanager
async def memory(folder: Path) -> AsyncIterator[Stage]:
    engine = MemoryEngine(now)

    async def new_client() -> MemoryCoordinator:
        return engine.coordinator()

    async def turn() -> None:
        while True:  # real time, as the suite's other engines have it
            engine.turn()
            await asyncio.sleep(ENGINE_TURNS_EVERY_S)

    async def forget_history() -> None:
        engine.compact()

    @asynccontextmanager
    async def silence() -> AsyncIterator[None]:
        clients = [client for client in stage.clients if isinstance(client, MemoryCoordinator)]
        for client in clients:
            client.cut()
        yield
        for client in clients:
            client.is_cut = False

    turning = asyncio.create_task(turn())
    stage = Stage(
        new_client,
        ttl=500 * MILLISECOND,
        expiry_bound=2 * SECOND,
        forget_history=forget_history,
        silence=silence,
    )
    try:
        yield stage
    finally:
        await stage.close()
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Stage]:
    path = folder / "store"

    async def new_client() -> EmbeddedCoordinator:
        return EmbeddedCoordinator(path)

    async def forget_history() -> None:
        keeper = EmbeddedCoordinator(path)
        await keeper.forget_history()
        await keeper.close()

    @asynccontextmanager
    async def silence() -> AsyncIterator[None]:
        other = sqlite3.connect(path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # as a process that was stopped in the middle of a write
        yield
        other.close()

    stage = Stage(
        new_client,
        ttl=2 * SECOND,
        expiry_bound=2 * SECOND,
        url=f"embedded://{path}",
        forget_history=forget_history,
        silence=silence,
    )
    try:
        yield stage
    finally:
        await stage.close()


def elsewhere(module: str, name: str) -> Driver:
    """A driver that stands in a file of its own, imported when its tests run: its library may be missing."""

    def found(folder: Path) -> AbstractAsyncContextManager[Stage]:
        driver: Driver = getattr(import_module(f"tests.contract.coordination.{module}"), name)
        return driver(folder)

    return found


DRIVERS: dict[str, Driver] = {
    "memory": memory,
    "embedded": embedded,
    "zookeeper": elsewhere("ensembles", "zookeeper"),
    "etcd": elsewhere("ensembles", "etcd"),
}
