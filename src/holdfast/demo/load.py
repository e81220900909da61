"""Load: requests at a fixed rate, whatever becomes of them (open loop), each over a new connection.

A closed loop would stop asking while the service hangs and so hide the outage that it is to measure.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

GIVE_UP_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it was sent and ended (seconds, CLOCK_MONOTONIC), and how: an HTTP status or an error."""

    sent_at: float
    ended_at: float
    outcome: str

    @property
    def is_answered(self) -> bool:
        """Tell whether it got what it asked for."""
        return self.outcome == "200"


@dataclass(frozen=True, slots=True)
class Toll:
    """What a fault cost the clients."""

    sent: int
    failed: int
    in_flight: (
        int  # sent before the fault, not answered by then: no balancer can save a request that is half done
    )
    outage_ms: float  # from the fault to the sending of the last request that failed
    longest_gap_ms: float  # longest time without any answer
    slowest_ms: float  # of those answered


class _Exchange(asyncio.Protocol):
    def __init__(self, ended: "asyncio.Future[str]") -> None:
        self._ended = ended
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if b"\r\n\r\n" in self._answer and not self._ended.done():
            self._ended.set_result(self._answer.split(b" ", 2)[1].decode("ascii", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result("closed" if exc is None else type(exc).__name__)


@dataclass(slots=True)
class Load:
    """Requests to `host:port` at `rate` per second, between `start` and `stop`."""

    port: int
    rate: float = 200.0
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    _pending: set["asyncio.Task[None]"] = field(default_factory=set)
    _sender: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Stop sending, wait for what is on its way."""
        if self._sender is not None:
            self._sender.cancel()
        await asyncio.gather(*self._pending)

    async def _send(self) -> None:
        begun = time.monotonic()
        sent = 0
        while True:
            while begun + sent / self.rate <= time.monotonic():
                task = asyncio.create_task(self._ask())
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)
                sent += 1
            await asyncio.sleep(max(0.0, begun + sent / self.rate - time.monotonic()))

    async def _ask(self) -> None:
        sent_at = time.monotonic()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str] = loop.create_future()
        transport = None
        try:
            async with asyncio.timeout(GIVE_UP_AFTER_S):
                transport, _ = await loop.create_connection(lambda: _Exchange(ended), self.host, self.port)
                outcome = await ended
        except TimeoutError:
            outcome = "timeout"
        except OSError as error:
            outcome = type(error).__name__
        finally:
            if transport is not None:
                transport.abort()
        self.requests.append(Request(sent_at, time.monotonic(), outcome))


def toll(requests: Sequence[Request], fault_at: float, *, until: float) -> Toll:
    """Return what a fault at `fault_at` cost, counting requests sent from 0.2 s before it to `until`."""
    counted = [request for request in requests if fault_at - 0.2 <= request.sent_at <= until]
    failed = [request for request in counted if not request.is_answered]
    answered = sorted(request.ended_at for request in counted if request.is_answered)
    gaps = [later - earlier for earlier, later in itertools.pairwise(answered)]
    return Toll(
        sent=len(counted),
        failed=len(failed),
        in_flight=sum(request.sent_at <= fault_at < request.ended_at for request in requests),
        outage_ms=max([0.0, *((request.sent_at - fault_at) * 1e3 for request in failed)]),
        longest_gap_ms=max(gaps, default=0.0) * 1e3,
        slowest_ms=max((r.ended_at - r.sent_at for r in counted if r.is_answered), default=0.0) * 1e3,
    )
