"""One kazoo client, as holdfast needs it: a line to the ensemble that carries one session and answers in bounded time.

Kazoo keeps its connection in a thread of its own. A request is handed over from the event loop, and its answer comes back by
`call_soon_threadsafe`. Four habits of kazoo are not ours:
- It sends heartbeats whether or not anybody still stands behind the session. Here only the owner's `renew` does.
- After a session has expired it quietly opens another, without the keys of the first. Here the line ends.
- It notices a silent server late, and not at all while requests are being sent. Here the first request that gets
  no answer in time cuts the connection, and kazoo turns to another server.
- It hides the granted time to live, and spends that much on each server that does not answer.
"""

import asyncio
import logging
import queue
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    KazooException,
    NoAuthError,
    SessionExpiredError,
    SessionMovedError,
    ZookeeperError,
)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from holdfast.coordination.clock import now
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import Value
from holdfast.ports.coordination import UnavailableError

RECONNECT_MAX_S = 0.25  # kazoo's own back-off goes far beyond a session's life
_MISSING, _EXISTS = (
    -101,
    -110,
)  # codes of the protocol: what was to be read is not there; what was to be created is
CLOSE_LIMIT: Duration = 500 * MILLISECOND

Call: TypeAlias = Callable[[KazooClient], Any]  # -> kazoo's IAsyncResult

_log = logging.getLogger("holdfast.coordination.kazoo")
_log.setLevel(logging.ERROR)  # lost connections are its daily bread; the loop reports what they mean


class UnreachableError(Exception):
    """Nothing was sent."""


class UnansweredError(Exception):
    """What was sent may have been carried out."""


class OverError(Exception):
    """The session has ended."""


class Ensemble(Value, frozen=True):
    """Where the servers are, and how to speak to them."""

    hosts: str  # "h:p,h:p"
    login: str = ""  # "user:password"; empty: everybody may do everything
    tls: ssl.SSLContext | None = None


class _StraightQueue(queue.Queue[Any]):
    """Calls back at once, in the connection's thread: answers and watches then keep the order of the wire."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - the signature of queue.Queue
        if callable(item):
            item()
        else:
            super().put(item, block, timeout)


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo has no types
    queue_impl = _StraightQueue

    def __init__(self, limit: Duration, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._limit_s = limit / SECOND
        self._tls = tls

    def create_connection(
        self, address: tuple[str, int], hostname: str | None = None, **_: object
    ) -> socket.socket:
        line = socket.create_connection(address, self._limit_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return line
        try:
            return self._tls.wrap_socket(line, server_hostname=hostname)
        except OSError:
            line.close()
            raise


class _Connection(ConnectionHandler):  # type: ignore[misc]  # kazoo has no types
    """Kazoo's connection loop, bound to one session and to the owner's will."""

    limit: Duration
    is_single: bool  # it must never carry a second session
    granted: Duration = 0
    session: int | None = None
    spoke_at: Instant = 0

    def _connect(self, host: str, hostip: str, port: int) -> tuple[float, float]:
        if self.is_single and self.session is not None:
            # AuthFailedError is how kazoo is told to give up for good.
            if self.client._session_id is None:  # noqa: SLF001 - kazoo forgets an expired session
                raise AuthFailedError("the session has expired")
            if now() - self.spoke_at > self.granted:
                raise AuthFailedError("nobody renews the session")
        read_timeout, connect_timeout = super()._connect(host, hostip, port)
        session = self.client._session_id  # noqa: SLF001 - the public property hides it while disconnected
        if self.is_single and self.session not in {None, session}:
            raise AuthFailedError("the server opened another session")
        self.session = session
        self.granted = (
            round(read_timeout * 1.5) * MILLISECOND
        )  # kazoo reads for two thirds of what was granted
        return read_timeout, connect_timeout

    def _invoke(self, timeout: float, request: Any, xid: int | None = None) -> Any:  # noqa: ANN401, ARG002 - kazoo's
        return super()._invoke(self.limit / SECOND, request, xid)

    def _send_ping(self, connect_timeout: float) -> None:
        if not self.is_single:  # a session's heartbeat is its owner's `renew`
            super()._send_ping(connect_timeout)


class Line:
    """A connection to whichever server answers. It is opened by the first request."""

    def __init__(self, ensemble: Ensemble, ttl: Duration, *, limit: Duration, is_single: bool) -> None:
        handler = _Handler(limit, ensemble.tls)
        self._client = KazooClient(
            hosts=ensemble.hosts,
            timeout=ttl / SECOND,
            handler=handler,
            connection_retry=KazooRetry(
                max_tries=-1,
                delay=0.02,
                backoff=1.5,
                max_delay=RECONNECT_MAX_S,
                sleep_func=handler.sleep_func,
            ),
            auth_data=[("digest", ensemble.login)] if ensemble.login else None,
            default_acl=CREATOR_ALL_ACL if ensemble.login else OPEN_ACL_UNSAFE,
            logger=_log,
        )
        self._connection = _Connection(self._client, self._client._conn_retry.copy(), logger=_log)  # noqa: SLF001 - as kazoo makes it
        self._connection.limit = limit
        self._connection.is_single = is_single
        self._client._connection = self._connection  # noqa: SLF001 - there is no other way to choose it
        self._is_connected = asyncio.Event()
        self._is_started = False
        self._is_closed = False
        self.owner_spoke()

    @property
    def session(self) -> int | None:
        """Return the id of the session that the line carries."""
        return self._connection.session

    @property
    def granted(self) -> Duration:
        """Return the time to live that the ensemble granted."""
        return self._connection.granted

    @property
    def is_over(self) -> bool:
        """Return whether the one session of this line has ended: it does not come back."""
        return self._connection.is_single and self._is_started and self._client.state == KazooState.LOST

    @property
    def is_closed(self) -> bool:
        """Return whether we have let go of it."""
        return self._is_closed

    def owner_spoke(self) -> None:
        """Note that the session's owner is alive: for one ttl from now, a lost connection is worth replacing."""
        self._connection.spoke_at = now()

    async def ask(self, calls: Sequence[Call], *, within: Duration) -> list[Any]:
        """Send the calls in this order, in one go, and return their answers.

        None stands for a leaf that was to be read and does not exist, or was to be created and does.
        The server does them in order, so what follows a `sync` sees all that was written before.
        """
        end = now() + within
        await self._connect(end)
        line = self._connection._socket  # noqa: SLF001 - to cut just this connection, should it stay silent
        answers = [_bridged(call(self._client)) for call in calls]
        _, waiting = await asyncio.wait(answers, timeout=max(0.0, (end - now()) / SECOND))
        if waiting:
            for answer in answers:
                answer.cancel()
            self._cut(line)
            raise UnansweredError("no answer in time")
        return [_judged(answer) for answer in answers]

    async def close(self) -> None:
        """End the session, as far as the ensemble can be told."""
        self._is_closed = True
        if not self._is_started:
            return
        stopping = asyncio.create_task(asyncio.to_thread(self._client.stop))
        _, waiting = await asyncio.wait({stopping}, timeout=CLOSE_LIMIT / SECOND)
        if waiting:
            self._cut(self._connection._socket)  # noqa: SLF001 - see `ask`
        await stopping
        self._client.close()

    async def drop(self) -> None:
        """Let go of the line without a word: its session runs out."""
        self._is_closed = True
        if not self._is_started:
            return
        self._client._stopped.set()  # noqa: SLF001 - `stop` would end the session
        self._cut(self._connection._socket)  # noqa: SLF001 - see `ask`
        await asyncio.to_thread(self._client._safe_close)  # noqa: SLF001 - the other half of `stop`
        self._client.close()

    async def _connect(self, end: Instant) -> None:
        if self._is_closed:
            raise UnreachableError("closed")
        if not self._is_started:
            self._is_started = True
            loop = asyncio.get_running_loop()
            self._client.add_listener(lambda state: _safely(loop, self._hear, state))
            self._client.start_async()
        try:
            async with asyncio.timeout(max(0.0, (end - now()) / SECOND)):
                await self._is_connected.wait()
        except TimeoutError:
            raise UnreachableError("no server of the ensemble serves us") from None
        if self.is_over:
            raise OverError

    def _hear(self, state: str) -> None:
        if state == KazooState.CONNECTED or self.is_over:
            self._is_connected.set()
        else:
            self._is_connected.clear()

    def _cut(self, line: socket.socket | None) -> None:
        # Kazoo's thread reads the end of the stream and turns to another server. Not the method of an SSL socket,
        # which would change the state that the other thread is reading.
        if line is not None and line is self._connection._socket:  # noqa: SLF001 - see `ask`
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)


def _bridged(result: Any) -> "asyncio.Future[Any]":  # noqa: ANN401 - kazoo has no types
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle() -> None:
        if not answer.done():
            answer.set_result(result.exception if result.exception is not None else result.value)

    result.rawlink(lambda _: _safely(loop, settle))
    return answer


def _safely(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
        loop.call_soon_threadsafe(call, *arguments)


def _judged(answer: "asyncio.Future[Any]") -> Any:  # noqa: ANN401 - any answer of kazoo
    found = answer.result()
    match found:
        case ZookeeperError(code=code) if code in {_MISSING, _EXISTS}:
            return None
        case NoAuthError():
            raise UnavailableError("the ensemble does not let this user do that")
        case ConnectionClosedError() | SessionMovedError():
            raise UnansweredError(repr(found))  # the first is also raised for what had been sent
        case SessionExpiredError() | AuthFailedError():
            raise OverError
        case KazooException():
            raise UnansweredError(repr(found))
        case _:
            return found
