"""Remote control: what `control` is for the users of this host, over mutual TLS for those of other hosts.

It listens on this host's own address of the policy, and only while `cluster.tls` is set: without certificates there is no
way to ask for anything from another host, so there is nothing that could be left open by mistake.

A slow or hostile client delays nobody: the handshake has a time limit, connections are counted before they cost one, by
address and in all, and are taken at a bounded pace (a handshake costs the loop about a millisecond).
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from holdfast.agent import protocol
from holdfast.agent.access import Access, Caller, DeniedError
from holdfast.agent.answering import Answering
from holdfast.agent.audit import Audit
from holdfast.agent.identity import Identity, identity_of
from holdfast.agent.log import Level, Line
from holdfast.agent.protocol import Greeting, HelloRequest
from holdfast.agent.talking import Office, Talk
from holdfast.agent.tls import Alert, Stamp, TlsError, server_context, stamp_of
from holdfast.agent.tokens import Tokens, TokensError, digest_of
from holdfast.model.ids import HostName
from holdfast.model.policy import Policy, TlsPolicy
from holdfast.model.value import Value

CONNECTIONS_MAX = 64
PER_ADDRESS_MAX = 16
HANDSHAKE_WITHIN_S = 5.0
_SHUTDOWN_WITHIN_S = 1.0
_LOOK_EVERY_S = 2.0  # whether the policy or the certificates changed
_HANDSHAKE_EVERY_S = 0.02
_REFUSAL_EVERY_S = 0.001
_SAY_EVERY_S = 10.0  # at most one line about connections that came to nothing
_DEAD_AFTER_MS = 30_000  # a caller's host that acknowledges nothing


class Place(Value, frozen=True):
    """Where to listen, and with which certificates."""

    address: str
    port: int
    tls: TlsPolicy

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def place_of(policy: Policy, host: HostName) -> Place | None:
    """Return where `host` listens for other hosts; None if nowhere, as it is without TLS."""
    own = policy.hosts.get(host)
    if policy.cluster is None or policy.cluster.tls is None or own is None:
        return None
    return Place(own.address, policy.cluster.port, policy.cluster.tls)


class RemoteControl:
    """The listening socket, and who is connected to it."""

    def __init__(
        self,
        answering: Answering,
        policy: Callable[[], Policy],
        host: HostName,
        *,
        audit: Audit,
        tokens: Tokens,
        say: Callable[[Line], None],
    ) -> None:
        self._office = Office(answering, audit, say)
        self._policy = policy
        self._host = host
        self._tokens = tokens
        self._say = say
        self._place: Place | None = None
        self._stamp: Stamp | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._talks: dict[asyncio.Task[None], str] = {}
        self._failed = 0  # connections that came to nothing, and of which nobody was told yet
        self._said_at = -_SAY_EVERY_S
        self.problem = ""  # why it does not listen where it should, for the agent's status

    @property
    def port(self) -> int | None:
        """Return the port that it listens on; None if it does not."""
        return None if self._listener is None else int(self._listener.getsockname()[1])

    async def open(self) -> None:
        """Listen where the policy says now, or say why that cannot be; `stay_open` tries again."""
        await self._follow()

    async def stay_open(self) -> None:
        """Follow the policy and the certificates: both change under a running agent. Never returns."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self._follow()

    async def close(self, within_s: float = 1.0) -> None:
        """Stop listening; let answers that are under way be written."""
        await self._stop_listening()
        if self._talks:
            await asyncio.wait(set(self._talks), timeout=within_s)
        await self._end_talks()

    async def _follow(self) -> None:
        place = place_of(self._policy(), self._host)
        if place is None:
            await self._leave()
            self.problem = ""
            return
        stamp = await asyncio.to_thread(stamp_of, place.tls)
        if self._listener is not None and place == self._place and stamp == self._stamp:
            return
        try:
            context = await asyncio.to_thread(server_context, place.tls)
            # Who is connected has to show a certificate again: of the authority that counts now.
            await self._leave()
            self._listener = await _listen(place)
        except (TlsError, OSError, UnicodeError) as error:  # the last: no host can be called so
            self._trouble(f"{place} is not listened on: {error}")
            return
        self._place, self._stamp, self.problem = place, stamp, ""
        self._accepting = asyncio.create_task(self._accept(self._listener, context), name="remote")
        self._say(Line(Level.INFO, "remote", "listening", f"{place}, for callers with a certificate"))

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self._say(Line(Level.WARN, "remote", "warning", problem))
        self.problem = problem

    async def _leave(self) -> None:
        await self._stop_listening()
        await self._end_talks()

    async def _stop_listening(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _end_talks(self) -> None:
        for task in tuple(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError:  # the caller is gone already, or we are out of descriptors
                await asyncio.sleep(_HANDSHAKE_EVERY_S)
                continue
            host = str(address[0])
            if why := self._why_full(host):
                connection.close()
                self._came_to_nothing(host, why)
                await asyncio.sleep(_REFUSAL_EVERY_S)
                continue
            task = asyncio.create_task(self._serve(connection, host, context))
            self._talks[task] = host
            task.add_done_callback(self._talks.pop)
            await asyncio.sleep(_HANDSHAKE_EVERY_S)

    def _why_full(self, address: str) -> str:
        if len(self._talks) >= CONNECTIONS_MAX:
            return f"{CONNECTIONS_MAX} are connected"
        if Counter(self._talks.values())[address] >= PER_ADDRESS_MAX:
            return f"{PER_ADDRESS_MAX} of this address are connected"
        return ""

    async def _serve(self, connection: socket.socket, address: str, context: ssl.SSLContext) -> None:
        try:
            reader, writer = await _shake_hands(connection, context)
        except OSError as error:  # TLS's own errors are such too
            connection.close()
            self._came_to_nothing(address, _reason(error))
            return
        try:
            admission = Admission(self, identity_of(writer.get_extra_info("peercert") or {}), address)
            await Talk(reader, writer, self._office, admission).run()
        except OSError:
            pass  # the other side went away, or does not read: nobody is left to tell
        finally:
            await _hang_up(writer)

    def _came_to_nothing(self, address: str, why: str) -> None:
        """Say so, but not with each: who can fill our log can hide in it, and fill the disk."""
        now = asyncio.get_running_loop().time()
        self._failed += 1
        if now - self._said_at < _SAY_EVERY_S:
            return
        others = f", and {self._failed - 1} more since the last such line" if self._failed > 1 else ""
        self._say(Line(Level.WARN, "remote", "denied", f"{address}: {why}{others}"))
        self._said_at, self._failed = now, 0

    # --- for Admission ----------------------------------------------------------------------------------

    @property
    def host(self) -> HostName:
        """Return this agent's host."""
        return self._host

    def has_host(self, host: HostName) -> bool:
        """Tell whether the policy in force names `host`."""
        return host in self._policy().hosts

    async def caller_with(self, digest: str, address: str) -> Caller | None:
        """Return whose token it is; None if it is nobody's (any more)."""
        try:
            token = await asyncio.to_thread(self._tokens.find, digest)
        except TokensError as error:
            self._say(Line(Level.WARN, "remote", "warning", f"tokens are not believed: {error}"))
            return None
        return None if token is None else Caller(f"{token.name}@{address}", token.access, "token", address)

    def turn_away(self, who: str, how: str, address: str, why: str) -> DeniedError:
        """Keep that somebody was turned away; return the error to raise."""
        self._office.turn_away(who, how, address, why)
        self._came_to_nothing(address, why)
        return DeniedError(why)


class Admission:
    """Who is on the other side of one TLS connection."""

    def __init__(self, remote: RemoteControl, identity: Identity, address: str) -> None:
        self._remote = remote
        self._identity = identity
        self._address = address
        self._digest = ""  # of the token that was shown
        self._behalf: str | None = None

    async def greet(self, hello: HelloRequest) -> Greeting:
        """Hear of a token, or on whose behalf an agent asks."""
        self._digest = digest_of(hello.token) if hello.token else ""
        self._behalf = hello.behalf
        caller = await self.caller()
        return Greeting(self._remote.host, caller.name, caller.access)

    async def caller(self) -> Caller:
        """Return who asks, as of now: hosts and tokens come and go while somebody is connected."""
        identity, address = self._identity, self._address
        name = identity.name or "a certificate without a name"
        if identity.host is not None and not self._remote.has_host(identity.host):
            why = f"the file does not name host {identity.host}"
            raise self._remote.turn_away(name, "host", address, why)
        if self._behalf is not None and identity.host is None:
            why = f"only an agent asks on behalf of others, and {name} is none"
            raise self._remote.turn_away(name, "certificate", address, why)
        if self._digest:
            found = await self._remote.caller_with(self._digest, address)
            if found is None:
                raise self._remote.turn_away(name, "token", address, "the token is not known here")
            return found
        if identity.host is not None and self._behalf is None:
            return Caller(identity.host, Access.VIEW, "host", address)
        if identity.host is not None:
            return Caller(f"{self._behalf}@{identity.host}", Access.OPERATE, "host", address)
        if identity.access is None:
            why = f"the certificate of {name} gives no access, and no token was shown"
            raise self._remote.turn_away(name, "certificate", address, why)
        return Caller(f"{name}@{address}", identity.access, "certificate", address)


async def _listen(place: Place) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(
        place.address, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, number, _, address = found[0]
    listener = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(CONNECTIONS_MAX)
    except BaseException:
        listener.close()
        raise
    return listener


async def _shake_hands(
    connection: socket.socket, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the connection inside TLS; OSError if the other side does not get that far in time."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=protocol.LINE_MAX, loop=loop)
    stream = asyncio.StreamReaderProtocol(reader, loop=loop)
    alert = Alert.of_next_connection()
    with connection.dup() as spare:
        try:
            _end_when_dead(connection)
            transport, _ = await loop.connect_accepted_socket(
                lambda: stream,
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
                ssl_shutdown_timeout=_SHUTDOWN_WITHIN_S,
            )
        except OSError:
            connection.close()
            with suppress(OSError):
                spare.send(alert.record)
            raise
        except BaseException:
            connection.close()
            raise
    return reader, asyncio.StreamWriter(transport, stream, reader, loop)


def _end_when_dead(connection: socket.socket) -> None:
    """Have the kernel end it when the other host is gone, which nothing else would tell a watcher's connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        with suppress(OSError):
            await writer.wait_closed()
    finally:
        transport: Any = writer.transport
        transport.abort()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return str(error) or type(error).__name__
