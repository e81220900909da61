"""HAProxy's command line on a Unix socket: the runtime socket of a worker, or the master socket.

One interactive connection is kept: a command costs 50 microseconds on it, 2 when sent together with
others. There is no exit status: success is an answer that the caller knows, anything else a refusal.
When answers may be out of step (an error, a time limit) the connection is dropped, never reused.
"""

import asyncio
from pathlib import Path

from holdfast.traffic.places import reachable

ANSWER_TIMEOUT = 2.0  # seconds for all commands of one call
_ANSWER_MAX = 64 << 20  # bytes: `show stat` of many thousand servers


class Silent(Exception):  # noqa: N818 - it reads as what HAProxy is
    """HAProxy does not answer: nothing was sent, or `is_sent` and the connection broke afterwards."""

    def __init__(self, socket: Path, why: str, *, is_sent: bool) -> None:
        """Remember what is known."""
        super().__init__(f"HAProxy does not answer on {socket}" + (f" ({why})" if why else ""))
        self.is_sent = is_sent


class Refused(Exception):  # noqa: N818 - it reads as what HAProxy did
    """HAProxy answered with something else than success."""


class Console:
    """One kept connection. Commands are sent in order; callers wait for each other."""

    def __init__(self, socket: Path, *, answer_timeout: float = ANSWER_TIMEOUT) -> None:
        self.socket = socket
        self._answer_timeout = answer_timeout
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._prompt = b"\n> "
        self._is_leaving = False

    async def ask(self, *lines: str) -> list[str]:
        """Send the lines together; return the answers, one for each command (`;` separates commands).

        TimeoutError: it is not known which of them were carried out.
        """
        assert not any("\n" in line for line in lines)
        async with self._turn:
            is_sent = False
            try:
                async with asyncio.timeout(self._answer_timeout):
                    reader, writer = await self._connected()
                    is_sent = True
                    writer.write("".join(f"{line}\n" for line in lines).encode())
                    count = sum(line.count(";") + 1 for line in lines)
                    answers = [await self._answer(reader) for _ in range(count)]
            except (OSError, asyncio.IncompleteReadError) as error:
                self.drop()
                if isinstance(error, TimeoutError):
                    raise
                raise Silent(self.socket, getattr(error, "strerror", "") or "", is_sent=is_sent) from error
            except BaseException:  # cancelled half way: the answers are out of step
                self.drop()
                raise
            if self._is_leaving:
                self.drop()
            return answers

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and not self._streams[0].at_eof():
            return self._streams
        self.drop()
        with reachable(self.socket) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_ANSWER_MAX)
        self._streams = reader, writer
        writer.write(b"prompt\n")
        first = await reader.readuntil(b"> ")  # the master's prompt has a name: "master> "
        self._prompt = b"\n" + first.rpartition(b"\n")[2]
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader) -> str:
        raw = await reader.readuntil(self._prompt)
        return raw[: -len(self._prompt)].decode("utf-8", "replace").strip("\n")

    def hang_up(self) -> None:
        """Close the connection, as soon as whoever waits for an answer on it has it."""
        if self._turn.locked():
            self._is_leaving = True
        else:
            self.drop()

    def drop(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._is_leaving = False
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def listen(socket: Path, command: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send `command` on a connection of its own and return it: the answer has no end."""
    with reachable(socket) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    writer.write(f"{command}\n".encode())
    return reader, writer
