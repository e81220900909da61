"""Connections to Redis as clients of the lab have them, and how sure a client may be that what failed has not happened.

RESP is small, and spoken here anew: what judges holdfast must not share its faults. Each append asks in the same transaction who the
server is and under which replication id it writes: an id begins with each promotion, and no two primaries ever share one.
"""

import asyncio
import socket
from typing import Final

from tests.lab.database_history import Outcome
from tests.lab.database_sessions import NotDone, Where, Who
from tests.lab.network import Host

LISTING: Final = "appended"
# The server looked at the command and did not begin it.
_REFUSALS = (
    "READONLY",
    "NOREPLICAS",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "OOM",
    "EXECABORT",
    "NOAUTH",
    "DENIED",
)
_SWAP = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0"
)
_ID_DIGITS: Final = 13  # of forty hexadecimal ones: as many as a JSON reader's numbers surely hold

Answer = str | int | None | list["Answer"]


class _RefusedError(Exception):
    """The server said no."""


class RedisSession:
    """One connection to a Redis server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hosts: dict[str, str]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._hosts = hosts
        self._told: dict[str, str] = {}  # about its replication, in the last answer

    async def append(self, client: str, number: int) -> Who:
        _, who = await self._do("RPUSH", LISTING, f"{client} {number}")
        return who

    async def read(self, key: int) -> tuple[int, Who]:
        value, who = await self._do("GET", f"register-{key}")
        return int(str(value or 0)), who

    async def write(self, key: int, value: int) -> Who:
        _, who = await self._do("SET", f"register-{key}", str(value))
        return who

    async def swap(self, key: int, expected: int, value: int) -> tuple[bool, Who]:
        done, who = await self._do("EVAL", _SWAP, "1", f"register-{key}", str(expected), str(value))
        return done == 1, who

    async def sample(self, host: str) -> tuple[int, int]:
        """Write for the sampler; return the reign, and how many follow."""
        _, told = await self._do("SET", "sampled", host)
        followers = sum(
            name.startswith("slave") and "state=online" in value for name, value in self._told.items()
        )
        return told.reign, followers

    async def listed(self) -> tuple[bool, list[str], int]:
        """Return whether it is primary, its list, and its reign."""
        entries, info = await self.ask(("LRANGE", LISTING, "0", "-1"), ("INFO", "replication"))
        told = _info(str(info))
        assert isinstance(entries, list)
        return told["role"] == "master", [str(entry) for entry in entries], _reign(told)

    async def ask(self, *commands: tuple[str, ...]) -> list[Answer]:
        """Return what each command is answered; NotDone if one of them is not done."""
        try:
            self._writer.write(b"".join(_encoded(words) for words in commands))
            await self._writer.drain()
            answers: list[Answer] = []
            refused = ""
            for _ in commands:
                try:
                    answers.append(await self._answer())
                except _RefusedError as refusal:
                    refused = refused or str(refusal)
        except (OSError, EOFError, ValueError) as broken:
            why = f"{type(broken).__name__} {broken}"
            raise NotDone(Outcome.UNKNOWN, why, is_elsewhere=True) from None
        if refused:
            outcome = Outcome.FAILED if refused.startswith(_REFUSALS) else Outcome.UNKNOWN
            raise NotDone(outcome, refused, is_elsewhere=True)
        return answers

    def close(self) -> None:
        self._writer.transport.abort()

    async def _do(self, *command: str) -> tuple[Answer, Who]:
        # The transaction answers from one instant: nobody can come in between and change who this is.
        answers = await self.ask(("MULTI",), command, ("INFO", "replication"), ("CLIENT", "INFO"), ("EXEC",))
        done = answers[-1]
        assert isinstance(done, list)
        self._told = _info(str(done[1]))
        if self._told["role"] != "master":  # a read that a standby answered is none of a register
            raise NotDone(Outcome.FAILED, "it is a standby", is_elsewhere=True)
        address = (
            dict(word.partition("=")[::2] for word in str(done[2]).split())
            .get("laddr", "")
            .rpartition(":")[0]
        )
        return done[0], Who(self._hosts.get(address, address), _reign(self._told))

    async def _answer(self) -> Answer:
        line = (await self._reader.readuntil(b"\r\n"))[:-2].decode()
        kind, rest = line[:1], line[1:]
        match kind:
            case "+":
                return rest
            case "-":
                raise _RefusedError(rest)
            case ":":
                return int(rest)
            case "$":
                if int(rest) < 0:
                    return None
                return (await self._reader.readexactly(int(rest) + 2))[:-2].decode()
            case "*":
                return [await self._answer() for _ in range(int(rest))]
            case _:
                raise ValueError(f"this is not RESP: {line!r}")


async def open_redis(where: Where) -> RedisSession:
    """Connect, from the namespace that `where` names if it does, and log in."""
    loop = asyncio.get_running_loop()
    if where.inside:
        with Host("", where.inside, "").entered():
            plug = socket.socket()
    else:
        plug = socket.socket()
    plug.setblocking(False)
    try:
        await loop.sock_connect(plug, (where.address, where.port))
        reader, writer = await asyncio.open_connection(sock=plug, limit=1 << 20)
    except OSError as failed:
        plug.close()
        raise NotDone(Outcome.FAILED, str(failed), is_elsewhere=True) from None
    except BaseException:
        plug.close()
        raise
    session = RedisSession(reader, writer, where.hosts)
    try:
        await session.ask(("AUTH", where.password))
    except NotDone as refusal:
        session.close()
        raise NotDone(Outcome.FAILED, str(refusal), is_elsewhere=True) from None
    except BaseException:
        session.close()
        raise
    return session


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _info(text: str) -> dict[str, str]:
    return dict(line.partition(":")[::2] for line in text.split("\r\n") if ":" in line)


def _reign(told: dict[str, str]) -> int:
    return int(told["master_replid"][:_ID_DIGITS], 16)
