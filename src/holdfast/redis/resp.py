"""RESP, the protocol of Redis, as far as it is spoken here: commands out, answers in, and the reverse for a Sentinel's answers.

It is this small, and what we need of it is unusual: each question opens a connection, sends all it has to say in one piece and
has one deadline for everything. A client library brings pools, retries and reconnections, all of which hide a hung server.
"""

import asyncio
from typing import TypeAlias

from holdfast.model.value import Value

Word: TypeAlias = str | int | bytes
_LINE_MAX, _BULK_MAX, _ITEMS_MAX = 64 << 10, 16 << 20, 1 << 16
_DEPTH_MAX = 8


class Refusal(Value, frozen=True):
    """An error that a server answered with, such as "NOREPLICAS Not enough good replicas to write."."""

    text: str

    @property
    def code(self) -> str:
        """Return its first word, which names its kind."""
        return self.text.partition(" ")[0]


Answer: TypeAlias = "str | int | bytes | Refusal | list[Answer] | None"


class MalformedError(Exception):
    """What came is not RESP, or more than we take."""


def command(*words: Word) -> bytes:
    """Return a command as it is sent."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def read_answer(reader: asyncio.StreamReader, depth: int = 0) -> Answer:
    """Return one answer. MalformedError, or EOFError if the connection ended within it."""
    if depth > _DEPTH_MAX:
        raise MalformedError("it is nested too deep")
    line = await _line(reader)
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return rest.decode("utf-8", "replace")
        case b"-":
            return Refusal(rest.decode("utf-8", "replace"))
        case b":":
            return _number(rest)
        case b"$":
            size = _number(rest)
            return None if size < 0 else await _bulk(reader, size)
        case b"*":
            count = _number(rest)
            if count > _ITEMS_MAX:
                raise MalformedError(f"{count} items are more than we take")
            return None if count < 0 else [await read_answer(reader, depth + 1) for _ in range(count)]
        case _:
            raise MalformedError(f"{line[:20]!r} begins no answer")


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the words of one command that a client sent, in RESP or as a line of words. MalformedError, EOFError."""
    line = await _line(reader)
    if not line.startswith(b"*"):
        return line.split()
    count = _number(line[1:])
    if count > 1024:
        raise MalformedError(f"{count} words are more than a command of ours has")
    words: list[bytes] = []
    for _ in range(count):
        head = await _line(reader)
        if not head.startswith(b"$"):
            raise MalformedError(f"{head[:20]!r} begins no word")
        size = _number(head[1:])
        if not 0 <= size <= _LINE_MAX:
            raise MalformedError(f"a word of {size} bytes is longer than any of ours")
        words.append(await _bulk(reader, size))
    return words


def encode(answer: Answer, *, is_resp3: bool = False) -> bytes:
    """Return an answer as it is sent. In RESP3 nothing has a sign of its own; all else here is the same."""
    match answer:
        case None:
            return b"_\r\n" if is_resp3 else b"*-1\r\n"
        case Refusal(text=text):
            return b"-" + text.encode() + b"\r\n"
        case str():
            return b"+" + answer.encode() + b"\r\n"
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(answer), answer)
        case int():
            return b":%d\r\n" % answer
        case list():
            return b"*%d\r\n" % len(answer) + b"".join(encode(one, is_resp3=is_resp3) for one in answer)


def encode_map(pairs: dict[str, Answer], *, is_resp3: bool) -> bytes:
    """Return a mapping as it is sent: RESP2 has none, and clients of it expect a flat list."""
    body = b"".join(
        encode(each, is_resp3=is_resp3) for key, value in pairs.items() for each in (key.encode(), value)
    )
    return (b"%%%d\r\n" % len(pairs) if is_resp3 else b"*%d\r\n" % (2 * len(pairs))) + body


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise MalformedError("a line has no end") from None
    return line.removesuffix(b"\n").removesuffix(b"\r")


async def _bulk(reader: asyncio.StreamReader, size: int) -> bytes:
    if size > _BULK_MAX:
        raise MalformedError(f"{size} bytes are more than we take")
    return (await reader.readexactly(size + 2))[:-2]


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise MalformedError(f"{text[:20]!r} is no number") from None
