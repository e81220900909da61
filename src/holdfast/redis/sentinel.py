"""Answers as a Sentinel gives them, so that client libraries that ask one find the primary, and learn of a move.

Only questions are answered: nothing that changes anything, and no password is asked for by itself, as none is told. Clients then connect
to the server itself, past the balancer, so what protects them from a former primary is its guard, and that a server refuses writes as a standby.
"""

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from holdfast.redis.resp import Answer, MalformedError, Refusal, encode, encode_map, read_command

Place: TypeAlias = tuple[str, int]

SWITCH = "+switch-master"
_LOOK_EVERY_S = 0.05
_LISTEN_AGAIN_S = 5.0
_CLIENTS_MAX = 1000
_IDLE_S = 3600.0
_UNKNOWN = Refusal("ERR No such master with that name")


class Served(NamedTuple):
    """Who serves one service, and who else is there."""

    primary: Place | None
    standbys: tuple[Place, ...]


class _Client:
    """One connection, and what it has subscribed to."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.is_resp3 = False
        self.channels: set[str] = set()
        self.patterns: set[str] = set()

    def say(self, answer: Answer) -> None:
        self.writer.write(encode(answer, is_resp3=self.is_resp3))

    def push(self, *words: str | int) -> None:
        """Send what nobody asked for just now; RESP3 tells it apart from answers."""
        items = b"".join(encode(word.encode() if isinstance(word, str) else word) for word in words)
        sign = b">" if self.is_resp3 else b"*"
        self.writer.write(sign + b"%d\r\n" % len(words) + items)

    def hear(self, channel: str, text: str) -> None:
        """Be told of what happened on a channel."""
        if channel in self.channels:
            self.push("message", channel, text)
        for pattern in self.patterns:
            if fnmatchcase(channel, pattern):
                self.push("pmessage", pattern, channel, text)


class Listener:
    """One address where a Sentinel is asked."""

    def __init__(self, listen: str, served: Callable[[], dict[str, Served]]) -> None:
        self.listen = listen
        self._served = served
        self._clients: set[_Client] = set()
        self._last: dict[str, Place] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen from now on; OSError if that cannot be."""
        host, _, port = self.listen.rpartition(":")
        self._server = await asyncio.start_server(self._attend, host.strip("[]"), int(port))

    async def close(self) -> None:
        """Listen no more, and let go of all clients."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.writer.transport.abort()

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def look(self) -> None:
        """Tell who subscribed of every service that another member serves now."""
        for name, told in self._served().items():
            if told.primary is None:
                continue
            old = self._last.get(name)
            self._last[name] = told.primary
            if old is not None and old != told.primary:
                text = f"{name} {old[0]} {old[1]} {told.primary[0]} {told.primary[1]}"
                for client in self._clients:
                    client.hear(SWITCH, text)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        if len(self._clients) >= _CLIENTS_MAX:
            client.say(Refusal("ERR max number of clients reached"))
            writer.close()
            return
        self._clients.add(client)
        try:
            while True:
                async with asyncio.timeout(None if client.channels or client.patterns else _IDLE_S):
                    words = await read_command(reader)
                if words and not self._answer(client, [word.decode("utf-8", "replace") for word in words]):
                    return
                await writer.drain()
        except (MalformedError, EOFError, OSError, TimeoutError):
            pass  # it left, or is no client of Redis
        finally:
            self._clients.discard(client)
            writer.close()

    def _answer(self, client: _Client, words: list[str]) -> bool:
        """Answer one command; tell whether the client stays."""
        match [words[0].lower(), *words[1:]]:
            case ["ping", *rest]:
                _pong(client, rest)
            case ["auth", *_] | ["client", *_] | ["select", *_]:
                client.say("OK")  # whatever a client proves, it is told the same
            case ["hello", *rest]:
                self._greet(client, rest)
            case ["sentinel", asked, *rest]:
                client.writer.write(self._sentinel(client, asked.lower(), rest))
            case ["info", *_]:
                client.say(self._info().encode())
            case ["role"]:
                client.say([b"sentinel", [name.encode() for name in self._served()]])
            case ["subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe" as what, *rest]:
                _subscribe(client, what, rest)
            case ["quit"]:
                client.say("OK")
                return False
            case _:
                client.say(Refusal(f"ERR unknown command '{_plain(words[0])}'"))
        return True

    def _greet(self, client: _Client, rest: list[str]) -> None:
        if rest and rest[0] not in {"2", "3"}:
            client.say(Refusal("NOPROTO unsupported protocol version"))
            return
        if rest:
            client.is_resp3 = rest[0] == "3"
        told: dict[str, Answer] = {
            "server": b"redis",
            "version": b"7.0.0",
            "proto": 3 if client.is_resp3 else 2,
            "id": 1,
            "mode": b"sentinel",
            "modules": [],
        }
        client.writer.write(encode_map(told, is_resp3=client.is_resp3))

    def _sentinel(self, client: _Client, asked: str, rest: list[str]) -> bytes:
        served, is_resp3 = self._served(), client.is_resp3
        if asked == "masters":
            entries = [_primary_of(name, told) for name, told in served.items()]
            return _maps([entry for entry in entries if entry is not None], is_resp3=is_resp3)
        if asked == "myid":
            return encode(_id(self.listen).encode())
        told = served.get(rest[0]) if rest else None
        match asked:
            case "get-master-addr-by-name":
                place = told.primary if told is not None else None
                return encode(
                    None if place is None else [place[0].encode(), str(place[1]).encode()], is_resp3=is_resp3
                )
            case "master":
                entry = _primary_of(rest[0], told) if told is not None else None
                return encode(_UNKNOWN) if entry is None else encode_map(entry, is_resp3=is_resp3)
            case "replicas" | "slaves" | "sentinels" | "ckquorum" if told is None:
                return encode(_UNKNOWN)
            case "replicas" | "slaves":
                assert told is not None
                return _maps([_standby_of(place, told.primary) for place in told.standbys], is_resp3=is_resp3)
            case "sentinels":
                return _maps([], is_resp3=is_resp3)
            case "ckquorum":
                return encode("OK 1 usable Sentinels. Quorum and failover authorization can be reached")
            case _:
                return encode(Refusal("ERR holdfast answers questions only: it decides by its own lease"))

    def _info(self) -> str:
        served = self._served()
        lines = [
            "# Server",
            "redis_version:7.0.0",
            "redis_mode:sentinel",
            "# Sentinel",
            f"sentinel_masters:{len(served)}",
        ]
        for number, (name, told) in enumerate(served.items()):
            host, port = told.primary or ("", 0)
            status = "ok" if told.primary is not None else "odown"
            more = f"slaves={len(told.standbys)},sentinels=1"
            lines.append(f"master{number}:name={name},status={status},address={host}:{port},{more}")
        return "\r\n".join(lines) + "\r\n"


class Sentinels:
    """All addresses where a Sentinel is asked on this host, as the file has them now."""

    def __init__(
        self, served: Callable[[], dict[str, dict[str, Served]]], tell: Callable[[str], None]
    ) -> None:
        """`served`: for each address, who serves which service. `tell` hears when one cannot be listened on."""
        self._served = served
        self._tell = tell
        self._open: dict[str, Listener] = {}
        self._not_before: dict[str, float] = {}

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                await self._follow()
                for listener in self._open.values():
                    listener.look()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            for listener in self._open.values():
                await listener.close()

    async def _follow(self) -> None:
        wanted, now = self._served().keys(), asyncio.get_running_loop().time()
        for gone in self._open.keys() - wanted:
            await self._open.pop(gone).close()
        for listen in wanted - self._open.keys():
            if now < self._not_before.get(listen, 0.0):
                continue
            listener = Listener(listen, lambda listen=listen: self._served().get(listen, {}))  # type: ignore[misc]  # a default binds it
            try:
                await listener.open()
            except OSError as error:
                self._not_before[listen] = now + _LISTEN_AGAIN_S
                self._tell(f"cannot listen on {listen}: {error.strerror or error}")
                continue
            self._open[listen] = listener


def _pong(client: _Client, rest: list[str]) -> None:
    is_listening = bool(client.channels or client.patterns) and not client.is_resp3
    if is_listening:
        client.say([b"pong", rest[0].encode() if rest else b""])
    else:
        client.say(rest[0].encode() if rest else "PONG")


def _subscribe(client: _Client, what: str, names: list[str]) -> None:
    kept = client.patterns if what.startswith("p") else client.channels
    if what.endswith("unsubscribe"):
        left = names or sorted(kept)
        for name in left:
            kept.discard(name)
            client.push(what, name, len(client.channels) + len(client.patterns))
        if not left:
            client.say([what.encode(), None, len(client.channels) + len(client.patterns)])
        return
    for name in names[:100]:
        kept.add(name)
        client.push(what, name, len(client.channels) + len(client.patterns))


def _primary_of(name: str, told: Served) -> dict[str, Answer] | None:
    if told.primary is None:
        return None
    host, port = told.primary
    fields = {
        "name": name,
        "ip": host,
        "port": port,
        "runid": "",
        "flags": "master",
        "role-reported": "master",
        "num-slaves": len(told.standbys),
        "num-other-sentinels": 0,
        "quorum": 1,
    }
    return {key: str(value).encode() for key, value in fields.items()}


def _standby_of(place: Place, primary: Place | None) -> dict[str, Answer]:
    host, port = primary or ("?", 0)
    fields = {
        "name": f"{place[0]}:{place[1]}",
        "ip": place[0],
        "port": place[1],
        "runid": "",
        "flags": "slave",
        "role-reported": "slave",
        "master-link-status": "ok",
        "master-host": host,
        "master-port": port,
        "slave-priority": 100,
    }
    return {key: str(value).encode() for key, value in fields.items()}


def _maps(entries: list[dict[str, Answer]], *, is_resp3: bool) -> bytes:
    return b"*%d\r\n" % len(entries) + b"".join(encode_map(entry, is_resp3=is_resp3) for entry in entries)


def _id(listen: str) -> str:
    return listen.encode().hex().ljust(40, "0")[:40]


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:40]
