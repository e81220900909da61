"""What happened in the lab, as it was written down by those who saw it: one JSON object a line, told apart by `is`.

The history comes first, the judge later: nothing is judged while it happens, and a history can be judged again.
All instants are nanoseconds of CLOCK_BOOTTIME, the one clock of all the lab's hosts.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from holdfast.model.time import Duration, Instant


class Record(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower):
    """One line."""

    at: Instant


class Mark(Record, frozen=True):
    """A primary said "I serve"; the store took it or refused it."""

    service: str
    host: str
    pid: int
    epoch: int
    received: Instant = 0  # by the store; the order of lines is the order in which it took them
    accepted: bool = True
    lost: int = 0  # marks of this process that nobody took, up to now


class Served(Record, frozen=True):
    """A primary answered a client's request."""

    service: str
    host: str
    pid: int
    epoch: int


class Beat(Record, frozen=True):
    """The recorder was there."""


class Asked(Record, frozen=True):
    """A client asked, and got an answer or an error."""

    took: Duration
    by: str = ""  # who answered
    error: str = ""  # empty: it was answered

    @property
    def ended(self) -> Instant:
        return self.at + self.took

    @property
    def is_ok(self) -> bool:
        return not self.error


class Starved(Record, frozen=True):
    """The clients themselves were late: what they would have seen is unknown."""

    late: Duration


class Fault(Record, frozen=True):
    """The nemesis broke something."""

    what: str


class Healed(Record, frozen=True):
    """The nemesis ended a fault, or all."""

    what: str


class History(msgspec.Struct, frozen=True):
    """Everything that was written down, in the order of the file."""

    records: tuple[Record, ...] = ()

    def of(self, kind: type["Kind"]) -> list["Kind"]:
        """Return the records of one kind, by their instants."""
        found = [record for record in self.records if isinstance(record, kind)]
        return sorted(found, key=lambda record: record.at)


Kind = TypeVar("Kind", bound=Record)
_DECODER = msgspec.json.Decoder(Mark | Served | Beat | Asked | Starved | Fault | Healed)


def read(*paths: Path, decode: Callable[[bytes], Record] = _DECODER.decode) -> History:
    """Return the history in these files. A line that is cut short, as by a kill, is left out if it is the last one."""
    records: list[Record] = []
    for path in paths:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        records += [decode(line) for line in lines[:-1]]
    return History(tuple(records))


def note(path: Path, kind: str, what: str) -> None:
    """Write down what the nemesis did just now."""
    line = json.dumps({"is": kind, "at": now(), "what": what}).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def now() -> Instant:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
