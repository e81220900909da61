"""The agent's log: one line per thing that happened, written to stderr by a thread of its own.

A terminal that is not read, or a pipe that is full, blocks a write for as long as it likes. Turning must not
wait for it: lines are handed over through a bounded queue, and what does not fit is counted and said later.
"""

import queue
import sys
import threading
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

import msgspec

from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value

_QUEUE_MAX = 10_000
_CLOSE_WITHIN_S = 2.0


class Level(StrEnum):
    """How much a line matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Line(Value, frozen=True):
    """One line: what happened to whom. `word` is one of a small fixed set, so that logs can be searched."""

    level: Level
    subject: str  # component, service, or "agent"
    word: str
    text: str = ""
    incident: str | None = None


class Format(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class Log:
    """Where lines go. `say` never waits."""

    def __init__(self, offset: Duration, form: Format = Format.TEXT, to: TextIO | None = None) -> None:
        self._offset = offset
        self._form = form
        self._to = to or sys.stderr
        self._lines: queue.Queue[str | None] = queue.Queue(_QUEUE_MAX)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def say(self, at: Instant, *lines: Line) -> None:
        """Write the lines soon."""
        for line in lines:
            try:
                self._lines.put_nowait(render(line, at + self._offset, self._form))
            except queue.Full:
                self._lost += 1

    def close(self) -> None:
        """Write what waits, for a bounded time, and stop."""
        give_up_at = time.monotonic() + _CLOSE_WITHIN_S
        try:
            self._lines.put(None, timeout=_CLOSE_WITHIN_S)
        except queue.Full:
            return
        self._thread.join(max(0.0, give_up_at - time.monotonic()))

    def _write(self) -> None:
        while (text := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            try:
                if lost:
                    self._to.write(f"({lost} lines of this log were lost: whoever reads it was too slow)\n")
                self._to.write(text + "\n")
                self._to.flush()
            except (OSError, ValueError):
                # Nobody reads any more (closed pipe, full disk). The journal has everything anyway.
                continue


def render(line: Line, wall: int, form: Format) -> str:
    """Return the line as text; `wall` is nanoseconds since 1970."""
    seconds, fraction = divmod(wall, 1_000_000_000)
    if form is Format.JSON:
        at = (
            datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            + f".{fraction // 1_000_000:03}Z"
        )
        fields = {key: value for key, value in msgspec.structs.asdict(line).items() if value is not None}
        return msgspec.json.encode({"at": at, **fields}).decode()
    # Local time: the person who reads this looks at a clock on the wall.
    clock = time.strftime("%H:%M:%S", time.localtime(seconds))
    text = _one_line(line.text)
    start = f"{clock}.{fraction // 1_000_000:03} {line.level:<5} {line.subject:<18} {line.word:<10} {text}"
    return f"{start:<100} incident={line.incident}" if line.incident else start.rstrip()


def _one_line(text: str) -> str:
    # Output of components ends up here: no line of theirs may look like one of ours, or steer a terminal.
    return "".join(letter if letter.isprintable() else " " for letter in text)
