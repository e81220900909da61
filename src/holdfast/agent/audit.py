"""The audit log: who asked what, from where, whether they might, and what came of it.

One JSON object per line in `audit.jsonl` of the state directory, for the agent's user only. Everything that changes
something is there, and everything that was denied. What is only read is there when it was read from another host,
once per caller and verb in ten minutes: a monitor that looks every second must not push out of the file who moved the
database. Of a denial that repeats itself one line in ten seconds is kept, for the same reason.

Two files of `BYTES_MAX` at most. Lines are written by a thread: a disk that hangs delays nobody. They are not synced; what
was accepted is in the journal, which is.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from holdfast.agent import clock, protocol
from holdfast.agent.access import Caller, is_reading, verb_of
from holdfast.agent.log import Level, Line
from holdfast.agent.protocol import Answer
from holdfast.model.time import MINUTE, SECOND, Duration, Instant
from holdfast.model.value import Value

AUDIT = "audit.jsonl"
BYTES_MAX = 16 << 20
_READING_AGAIN = 10 * MINUTE
_DENIED_AGAIN = 10 * SECOND
_KNOWN_MAX = 1024  # callers and verbs whose last line is remembered
_QUEUE_MAX = 10_000
_TEXT_MAX = 400  # letters of an argument that are kept
_CLOSE_WITHIN_S = 2.0


class Entry(Value, frozen=True):
    """One line."""

    at: str  # 2026-11-24T14:03:25.490Z
    who: str
    access: str  # that the caller has; empty: none
    how: str  # what proved who it is
    place: str  # network address of the caller; empty: this host
    verb: str
    asked: dict[str, Any]  # the request's arguments, as far as they were given
    allowed: bool
    result: str  # "ok", or the kind of error and its text


class Audit:
    """The log, as the agent writes it. `note` never waits."""

    def __init__(self, path: Path, say: Callable[[Line], None], *, bytes_max: int = BYTES_MAX) -> None:
        self._path = path
        self._say = say
        self._bytes_max = bytes_max
        self._noted_at: dict[tuple[str, ...], Instant] = {}
        self._lines: queue.Queue[bytes | None] = queue.Queue(_QUEUE_MAX)
        self._lost = 0
        self._is_failing = False
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def note(self, caller: Caller, request: protocol.Request, answer: Answer) -> None:
        """Keep what was asked and what came of it."""
        is_denied = answer.error is not None and answer.error.kind is protocol.ErrorKind.DENIED
        if not is_denied and is_reading(request):
            if caller.place and self._is_new(_READING_AGAIN, caller.name, caller.place, verb_of(request)):
                self._put(caller, verb_of(request), _asked(request), "ok" if answer.ok else _told(answer))
            return
        self._put(caller, verb_of(request), _asked(request), _told(answer), is_allowed=not is_denied)

    def note_stranger(self, who: str, how: str, place: str, why: str) -> None:
        """Keep that somebody who may not speak to this agent at all tried to."""
        if self._is_new(_DENIED_AGAIN, who, how, place, why):
            self._append(Entry(_wall_text(), who, "", how, place, "", {}, allowed=False, result=why))

    def close(self) -> None:
        """Write what waits, for a bounded time."""
        try:
            self._lines.put(None, timeout=_CLOSE_WITHIN_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_WITHIN_S)

    def _put(
        self, caller: Caller, verb: str, asked: dict[str, Any], result: str, *, is_allowed: bool = True
    ) -> None:
        if not is_allowed and not self._is_new(_DENIED_AGAIN, caller.name, caller.place, verb, result):
            return
        self._append(
            Entry(
                _wall_text(),
                caller.name,
                caller.access,
                caller.how,
                caller.place,
                verb,
                asked,
                is_allowed,
                result,
            )
        )

    def _is_new(self, again_after: Duration, *key: str) -> bool:
        now = clock.now()
        at = self._noted_at.pop(key, None)
        is_new = at is None or now - at >= again_after
        self._noted_at[key] = now if is_new or at is None else at
        while len(self._noted_at) > _KNOWN_MAX:
            del self._noted_at[next(iter(self._noted_at))]  # who was not heard of for longest
        return is_new

    def _append(self, entry: Entry) -> None:
        try:
            self._lines.put_nowait(msgspec.json.encode(entry) + b"\n")
        except queue.Full:
            self._lost += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            try:
                append(self._path, line, self._bytes_max)
            except OSError as error:
                self._fail(f"{self._path}: {error.strerror or error}; who asks what is not kept")
                continue
            self._is_failing = False
            if lost:
                self._say(Line(Level.WARN, "audit", "lost", f"{lost} lines: the disk was too slow"))

    def _fail(self, text: str) -> None:
        if not self._is_failing:
            self._say(Line(Level.ERROR, "audit", "failed", text))
        self._is_failing = True


def append(path: Path, line: bytes, bytes_max: int) -> None:
    """Append one line; begin a new file first when the present one is full. OSError if that cannot be done."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and size + len(line) > bytes_max:
            path.replace(older(path))
            os.close(file)
            file = os.open(path, flags, 0o600)
        os.fchmod(file, 0o600)
        os.write(file, line)
    finally:
        os.close(file)


def older(path: Path) -> Path:
    """Return where the lines before those in `path` are."""
    return path.with_name(path.name + ".1")


def read_entries(path: Path) -> Iterator[Entry]:
    """Return what is kept, oldest first; a line that was cut off is left out. OSError if a file cannot be read."""
    decode = msgspec.json.Decoder(Entry).decode
    for file in (older(path), path):
        if not file.exists():
            continue
        with file.open("rb") as lines:
            for line in lines:
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue


def _asked(request: protocol.Request) -> dict[str, Any]:
    # What differs from what is meant without it was said: `--open-transactions 0s` is.
    fields = {field.name: field.default for field in msgspec.structs.fields(request)}
    given = {
        name: getattr(request, name) for name, usual in fields.items() if getattr(request, name) != usual
    }
    return {name: _kept(value) for name, value in given.items() if value not in (None, "")}


def _kept(value: Any) -> Any:  # noqa: ANN401 - any field of a request
    # A whole file would fill the log, and may hold what is nobody's business. Its digest tells which one it was.
    if isinstance(value, str) and (len(value) > _TEXT_MAX or "\n" in value):
        return f"{len(value)} letters, sha256 {hashlib.sha256(value.encode()).hexdigest()}"
    return value


def _told(answer: Answer) -> str:
    if answer.error is None:
        return "ok"
    return f"{answer.error.kind}: {'; '.join((answer.error.message, *answer.error.reasons))}"


def _wall_text() -> str:
    at = datetime.fromtimestamp(clock.wall() / SECOND, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
