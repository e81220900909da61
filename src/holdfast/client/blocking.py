"""The same for programs without an event loop: each call blocks, and a loop of its own runs in a thread.

The renewals come from that thread. A program that is stopped or killed loses what it holds; one whose own thread
merely hangs does not: with `async` code that is told apart, here it cannot be.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from holdfast.client.client import Client, ClientMember, connect
from holdfast.client.holding import Held
from holdfast.coordination.recipes.membership import Facts
from holdfast.coordination.recipes.seats import Claim
from holdfast.coordination.recipes.shared_value import SharedValue
from holdfast.model.time import Instant
from holdfast.ports.coordination import Entry, Expect

T = TypeVar("T")
TTL_S = 10.0


class BlockingHeld:
    """What is held at present; its properties may be asked from any thread."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.lost = threading.Event()

    @property
    def token(self) -> int:
        """Return the fencing token."""
        return self._held.token

    @property
    def deadline(self) -> Instant:
        """Return until when nobody else can hold it: nanoseconds on CLOCK_BOOTTIME; 0 once it is over."""
        return self._held.deadline

    @property
    def remaining(self) -> float:
        """Return how many seconds are surely left."""
        return self._held.remaining

    @property
    def is_held(self) -> bool:
        """Return whether it is surely still held. Ask right before you act."""
        return self._held.is_held

    def check(self) -> None:
        """Raise LostError unless it is surely still held."""
        self._held.check()


class BlockingMember:
    """This program as a member of a group."""

    def __init__(self, do: "Loop", member: ClientMember) -> None:
        self._do = do
        self._member = member

    @property
    def deadline(self) -> Instant:
        """Return until when others surely see us; 0 once that is over."""
        return self._member.deadline

    def say(self, facts: Facts) -> None:
        """Replace our facts."""
        self._do(self._member.say(facts))


class BlockingValue:
    """A shared value."""

    def __init__(self, do: "Loop", value: SharedValue) -> None:
        self._do = do
        self._value = value

    def get(self) -> Entry | None:
        """Return the value and its version; None if it was never set."""
        return self._do(self._value.get())

    def set(self, value: bytes, *, expect: Expect) -> Entry:
        """Set the value if its version is still `expect`; ConflictError otherwise."""
        return self._do(self._value.set(value, expect=expect))

    def change(self, successor: Callable[[bytes | None], bytes]) -> Entry:
        """Set what `successor` makes of the present value."""
        return self._do(self._value.change(successor))


class BlockingClient:
    """A connection to a coordinator. Use it as `with connect_blocking(url) as client`."""

    def __init__(self, do: "Loop", client: Client) -> None:
        self._do = do
        self._client = client

    @contextmanager
    def lock(self, name: str, *, ttl: float = TTL_S, wait: float | None = None) -> Iterator[BlockingHeld]:
        """Hold the lock `name` while the block runs."""
        with self._holding(self._client.lock(name, ttl=ttl, wait=wait)) as held:
            yield held

    @contextmanager
    def semaphore(
        self, name: str, count: int, *, ttl: float = TTL_S, wait: float | None = None
    ) -> Iterator[BlockingHeld]:
        """Hold one of `count` places while the block runs."""
        with self._holding(self._client.semaphore(name, count, ttl=ttl, wait=wait)) as held:
            yield held

    @contextmanager
    def lead(self, name: str, *, ttl: float = TTL_S, wait: float | None = None) -> Iterator[BlockingHeld]:
        """Wait until elected, and lead while the block runs."""
        with self._holding(self._client.election(name, ttl=ttl).campaign(wait=wait)) as held:
            yield held

    def leader(self, name: str) -> Claim | None:
        """Return who leads at present; None if nobody does."""
        return self._do(self._client.election(name).leader())

    @contextmanager
    def join(
        self, group: str, facts: Facts | None = None, *, name: str | None = None
    ) -> Iterator[BlockingMember]:
        """Be a member of the group while the block runs."""
        with self._do.entered(self._client.members(group).join(facts, name=name)) as member:
            yield BlockingMember(self._do, member)

    def members(self, group: str) -> dict[str, Facts]:
        """Return who is there."""
        return self._do(self._client.members(group).list())

    def value(self, name: str) -> BlockingValue:
        """Return the shared value `name`."""
        return BlockingValue(self._do, self._client.value(name))

    @contextmanager
    def _holding(self, holding: AbstractAsyncContextManager[Held]) -> Iterator[BlockingHeld]:
        with self._do.entered(holding) as held:
            blocking = BlockingHeld(held)
            telling = self._do.begin(_tell(held, blocking.lost))
            try:
                yield blocking
            finally:
                telling.cancel()


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="holdfast-client", daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` there and wait for it. Interrupted, cancel it; it cleans up before the loop ends."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """Begin `work` there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[return-value]  # cancel() is all we use

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter an asynchronous context there, for the time of a block here."""
        value = self(_enter(context))
        try:
            yield value
        finally:
            self(_leave(context))

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()


@contextmanager
def connect_blocking(url: str, *, name: str | None = None) -> Iterator[BlockingClient]:
    """Connect to the coordinator that `url` names, for the time of a block."""
    loop = Loop()
    try:
        with loop.entered(connect(url, name=name)) as client:
            yield BlockingClient(loop, client)
    finally:
        loop.close()


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


async def _tell(held: Held, lost: threading.Event) -> None:
    await held.lost.wait()
    lost.set()
