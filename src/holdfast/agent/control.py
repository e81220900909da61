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

import msgspec

from holdfast.agent import protocol
from holdfast.agent.answering import Answering
from holdfast.agent.log import Level, Line
from holdfast.agent.peers import Peer, group_number, peer_of, why_denied
from holdfast.agent.protocol import Answer, AnyRequest, ErrorKind, Failure
from holdfast.agent.status import without_ages

_WRITE_WITHIN_S = 5.0
_LOOK_EVERY_S = 2.0  # whether the socket is still there
_WATCH_GAP_S = 0.1  # between two lines of a watch: a storm of changes is told as its outcome

_request: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
_encode = msgspec.json.Encoder().encode


class Control:
    """The socket, and who is connected to it."""

    def __init__(
        self, answering: Answering, group: Callable[[], str | None], say: Callable[[Line], None]
    ) -> None:
        self._answering = answering
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
            await _write(
                writer, _error(ErrorKind.BUSY, f"{protocol.CONNECTIONS_MAX} others are connected; try again")
            )
            return
        # The user database may be far away (LDAP): it is never asked on the loop's own thread.
        peer = await asyncio.to_thread(peer_of, writer.get_extra_info("socket"))
        denied = await asyncio.to_thread(why_denied, peer, self._group())
        if denied:
            self._say(Line(Level.WARN, "control", "denied", f"{denied} (uid {peer.uid}, pid {peer.pid})"))
            await _write(writer, _error(ErrorKind.DENIED, denied))
            return
        within = protocol.FIRST_LINE_WITHIN_S
        while (line := await _read_line(reader, writer, within)) is not None:
            if not await self._reply(line, peer, reader, writer):
                return
            within = protocol.IDLE_MAX_S

    async def _reply(
        self, line: bytes, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        try:
            request = _request.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await _write(writer, _error(ErrorKind.USAGE, f"not a request: {error}"))
            return True
        if isinstance(request, protocol.WatchRequest):
            await self._watch(reader, writer)
            return False
        if not isinstance(request, protocol.CommandRequest):
            await _write(writer, await self._answering.answer(request, peer.name))
            return True
        return await self._obey(request, peer, reader, writer)

    async def _obey(
        self,
        command: protocol.AnyCommandRequest,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        # A command may be waited for, and who waits may go away. What was accepted goes on then.
        answer = asyncio.create_task(self._answering.answer(command, peer.name))
        gone = asyncio.create_task(_until_gone(reader))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                return False
            self._audit(answer.result(), peer)
            await _write(writer, answer.result())
            return not gone.done()
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    def _audit(self, answer: Answer, peer: Peer) -> None:
        # What is accepted becomes an event, and is told and kept as one. What is refused leaves no other trace.
        if answer.error is not None and answer.error.kind is ErrorKind.REFUSED:
            reasons = "; ".join(answer.error.reasons)
            text = f"{answer.error.message}, asked for by {peer.name}: {reasons}"
            self._say(Line(Level.WARN, "control", "refused", text))

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.create_task(_until_gone(reader))
        try:
            told = None
            while not gone.done():
                change = asyncio.create_task(self._answering.changes.next())
                status = self._answering.status()
                if (fresh := without_ages(status)) != told:
                    told = fresh
                    await _write(writer, Answer(ok=True, result=msgspec.Raw(_encode(status))))
                await asyncio.wait({change, gone}, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
                await asyncio.wait({gone}, timeout=_WATCH_GAP_S)
        finally:
            gone.cancel()


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


async def _read_line(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, within_s: float
) -> bytes | None:
    try:
        async with asyncio.timeout(within_s):
            line = await reader.readline()
    except TimeoutError:
        await _write(writer, _error(ErrorKind.USAGE, f"no request within {within_s:g}s"))
        return None
    except ValueError:
        await _write(writer, _error(ErrorKind.USAGE, f"a request has at most {protocol.LINE_MAX} bytes"))
        return None
    return line or None


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Return when the other side closed; what it says meanwhile is not listened to."""
    while await reader.read(4096):
        pass


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(_encode(answer) + b"\n")
    async with asyncio.timeout(_WRITE_WITHIN_S):
        await writer.drain()


def _error(kind: ErrorKind, message: str) -> Answer:
    return Answer(ok=False, error=Failure(kind, message))
