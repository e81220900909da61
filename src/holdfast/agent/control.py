"""Control: the Unix socket that operators talk to the agent through.

It must never be able to hurt the loop: lines, connections, silence and slow readers are all bounded, and nothing that
comes in here is trusted before `peers` has said that its sender may speak.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from holdfast.agent import protocol
from holdfast.agent.access import Access, Caller, DeniedError
from holdfast.agent.answering import Answering
from holdfast.agent.audit import Audit
from holdfast.agent.log import Level, Line
from holdfast.agent.peers import Peer, group_number, is_owner, peer_of, why_denied
from holdfast.agent.protocol import ErrorKind, Greeting, HelloRequest
from holdfast.agent.talking import Office, Talk, error, write

_LOOK_EVERY_S = 2.0  # whether the socket is still there


class Control:
    """The socket, and who is connected to it."""

    def __init__(
        self,
        answering: Answering,
        group: Callable[[], str | None],
        say: Callable[[Line], None],
        audit: Audit | None = None,
    ) -> None:
        self._office = Office(answering, audit, say)
        self._group = group
        self._say = say
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self, path: Path) -> None:
        """Listen on `path`. The caller holds the directory's lock, so what is there is left over."""
        listener = listen(path)
        self._path = path
        self.admit()
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=protocol.LINE_MAX)

    async def stay_open(self) -> None:
        """Listen anew whenever somebody removed the socket: an agent that cannot be reached looks dead. Never returns."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._server is not None and self._path is not None and not self._path.exists():
                self._server.close()
                with suppress(OSError):  # the folder is gone too: tried again until it is back
                    await self.open(self._path)

    def admit(self) -> str:
        """Give the socket to the group that the policy names; return what is wrong with that group, if anything."""
        assert self._path is not None
        if not self._path.exists():
            return ""  # `stay_open` makes it anew, and admits whom the policy then names
        name = self._group()
        number = group_number(name) if name else None
        os.chown(self._path, -1, os.getegid() if number is None else number)
        self._path.chmod(0o660)
        return f"control.group names {name!r}, and there is no such group" if name and number is None else ""

    async def close(self, within_s: float = 1.0) -> None:
        """Stop listening; let answers that are under way be written."""
        server, self._server = self._server, None  # None: it is closed for good, and not opened anew
        if server is None:
            return
        server.close()
        _remove(self._path)
        if self._talks:
            _, late = await asyncio.wait(self._talks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # the other side went away, or does not read: nobody is left to tell
        finally:
            self._talks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._talks) > protocol.CONNECTIONS_MAX:
            await write(
                writer, error(ErrorKind.BUSY, f"{protocol.CONNECTIONS_MAX} others are connected; try again")
            )
            return
        # The user database may be far away (LDAP): it is never asked on the loop's own thread.
        peer = await asyncio.to_thread(peer_of, writer.get_extra_info("socket"))
        denied = await asyncio.to_thread(why_denied, peer, self._group())
        if denied:
            self._say(Line(Level.WARN, "control", "denied", f"{denied} (uid {peer.uid}, pid {peer.pid})"))
            self._office.turn_away(peer.name, "socket", "", denied)
            await write(writer, error(ErrorKind.DENIED, denied))
            return
        await Talk(reader, writer, self._office, _Admission(peer)).run()


class _Admission:
    """A user of this host, as the kernel named it when the connection was made."""

    def __init__(self, peer: Peer) -> None:
        access = Access.ADMIN if is_owner(peer) else Access.OPERATE
        self._caller = Caller(peer.name, access, "socket")

    async def caller(self) -> Caller:
        return self._caller

    async def greet(self, hello: HelloRequest) -> Greeting:
        if hello.token or hello.behalf:
            raise DeniedError("on this socket the kernel says who asks: no token, and nobody else's name")
        return Greeting("", self._caller.name, self._caller.access)


def listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`, however long that is, which nobody else can connect to yet."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # An address holds 107 bytes. Through a descriptor of the folder any path is short.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.umask(mask)
        os.close(folder)
    listener.listen(protocol.CONNECTIONS_MAX)
    return listener


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
