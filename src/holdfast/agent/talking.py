"""Talking: one connection of one caller, whatever way it came in. Requests come in, answers go out, one at a time.

It must never be able to hurt the loop: lines, silence and slow readers are all bounded. Who may ask for what is asked anew
with each request, so that what was taken away is gone at once, also for who is connected.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from holdfast.agent import protocol
from holdfast.agent.access import Caller, DeniedError, why_not
from holdfast.agent.answering import Answering
from holdfast.agent.audit import Audit
from holdfast.agent.log import Level, Line
from holdfast.agent.protocol import Answer, AnyRequest, ErrorKind, Failure, Greeting, HelloRequest
from holdfast.agent.status import without_ages

_WRITE_WITHIN_S = 5.0
_WATCH_GAP_S = 0.1  # between two lines of a watch: a storm of changes is told as its outcome

_AnyLine: TypeAlias = AnyRequest | HelloRequest
_line: msgspec.json.Decoder[_AnyLine] = msgspec.json.Decoder(_AnyLine)
_encode = msgspec.json.Encoder().encode


class Admission(Protocol):
    """Who is on the other side of one connection."""

    async def caller(self) -> Caller:
        """Return who asks, as of now; DeniedError if they may not speak to this agent (any more)."""

    async def greet(self, hello: HelloRequest) -> Greeting:
        """Hear what the caller says of itself; DeniedError if that is not so."""


class Office:
    """What all connections have in common: who answers, and where it is kept who asked what."""

    def __init__(self, answering: Answering, audit: Audit | None, say: Callable[[Line], None]) -> None:
        self.answering = answering
        self._audit = audit
        self._say = say

    def note(self, caller: Caller, request: AnyRequest, answer: Answer) -> None:
        """Keep what was asked and what came of it."""
        if self._audit is not None:
            self._audit.note(caller, request, answer)
        # What is accepted becomes an event, and is told as one. What is refused leaves no other trace in the log.
        if answer.error is not None and answer.error.kind is ErrorKind.REFUSED:
            reasons = "; ".join(answer.error.reasons)
            text = f"{answer.error.message}, asked for by {caller.name}: {reasons}"
            self._say(Line(Level.WARN, "control", "refused", text))

    def turn_away(self, who: str, how: str, place: str, why: str) -> None:
        """Keep that somebody may not speak to this agent at all, and tried to."""
        if self._audit is not None:
            self._audit.note_stranger(who, how, place, why)


class Talk:
    """The requests and answers of one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        office: Office,
        admission: Admission,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._office = office
        self._admission = admission

    async def run(self) -> None:
        """Answer until one side has had enough. ConnectionError or TimeoutError if the other side went or does not read."""
        within = protocol.FIRST_LINE_WITHIN_S
        while (line := await self._read_line(within)) is not None:
            try:
                if not await self._reply(line):
                    return
            except DeniedError as denied:
                await self._write(error(ErrorKind.DENIED, str(denied)))
                return
            within = protocol.IDLE_MAX_S

    async def _reply(self, line: bytes) -> bool:
        try:
            request = _line.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as mistake:
            await self._write(error(ErrorKind.USAGE, f"not a request: {mistake}"))
            return True
        if isinstance(request, HelloRequest):
            greeting = await self._admission.greet(request)
            await self._write(Answer(ok=True, result=msgspec.Raw(_encode(greeting))))
            return True
        caller = await self._admission.caller()
        if reason := why_not(caller, request):
            answer = error(ErrorKind.DENIED, reason)
            self._office.note(caller, request, answer)
            await self._write(answer)
            return True
        return await self._fulfil(caller, request)

    async def _fulfil(self, caller: Caller, request: AnyRequest) -> bool:
        if isinstance(request, protocol.WatchRequest):
            self._office.note(caller, request, Answer(ok=True))
            await self._watch()
            return False
        if isinstance(request, protocol.CommandRequest):
            return await self._obey(request, caller)
        answer = await self._office.answering.answer(request, caller.name)
        self._office.note(caller, request, answer)
        await self._write(answer)
        return True

    async def _obey(self, command: protocol.AnyCommandRequest, caller: Caller) -> bool:
        # A command may be waited for, and who waits may go away. What was accepted goes on then.
        answer = asyncio.create_task(self._office.answering.answer(command, caller.name))
        gone = asyncio.create_task(_until_gone(self._reader))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._office.note(
                    caller, command, error(ErrorKind.TIMEOUT, "the caller left before it was done")
                )
                return False
            self._office.note(caller, command, answer.result())
            await self._write(answer.result())
            return not gone.done()
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _watch(self) -> None:
        gone = asyncio.create_task(_until_gone(self._reader))
        try:
            told = None
            while not gone.done():
                change = asyncio.create_task(self._office.answering.changes.next())
                status = self._office.answering.status()
                if (fresh := without_ages(status)) != told:
                    told = fresh
                    await self._admission.caller()
                    await self._write(Answer(ok=True, result=msgspec.Raw(_encode(status))))
                await asyncio.wait({change, gone}, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
                await asyncio.wait({gone}, timeout=_WATCH_GAP_S)
        finally:
            gone.cancel()

    async def _read_line(self, within_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(within_s):
                line = await self._reader.readline()
        except TimeoutError:
            await self._write(error(ErrorKind.USAGE, f"no request within {within_s:g}s"))
            return None
        except ValueError:
            await self._write(error(ErrorKind.USAGE, f"a request has at most {protocol.LINE_MAX} bytes"))
            return None
        return line or None

    async def _write(self, answer: Answer) -> None:
        await write(self._writer, answer)


async def write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """Write one answer; TimeoutError if the other side does not read."""
    writer.write(_encode(answer) + b"\n")
    async with asyncio.timeout(_WRITE_WITHIN_S):
        await writer.drain()


def error(kind: ErrorKind, message: str) -> Answer:
    """Return an answer that says no."""
    return Answer(ok=False, error=Failure(kind, message))


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Return when the other side closed, or says too much: what it says meanwhile is not listened to."""
    said = 0
    while said < protocol.LINE_MAX and (piece := await reader.read(4096)):
        said += len(piece)
