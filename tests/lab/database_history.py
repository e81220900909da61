"""What clients and observers of a database wrote down: more lines of the same history (`history.py`).

Who asked knows three outcomes. What failed has certainly not happened, and what is unknown may have happened, may not have,
or happens later: a judge must allow for each.

A *reign* is the time of one primary: a number that grows with each promotion, as PostgreSQL's timeline does.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from holdfast.model.time import Instant
from tests.lab.history import Beat, Fault, Healed, History, Mark, Record, Starved, read


class Outcome(StrEnum):
    """What became of a request, as far as its client can know."""

    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"  # it certainly did not happen
    UNKNOWN = "unknown"


class Append(Record, frozen=True):
    """A client added a number of its own to the list; it never tries one twice."""

    client: str
    number: int
    ended: Instant
    outcome: Outcome
    host: str = ""  # who acknowledged it
    reign: int = 0
    error: str = ""

    @property
    def entry(self) -> tuple[str, int]:
        """What stands in the list."""
        return self.client, self.number


class Deed(StrEnum):
    """What is done to a register."""

    READ = "read"
    WRITE = "write"
    SWAP = "swap"  # write, if the expected value stands there
    REFUSED = "refused"  # a swap that found another value


class Touch(Record, frozen=True):
    """A client read or changed a register. No value is written twice."""

    client: str
    key: int
    deed: Deed
    value: int  # what was read, or written
    ended: Instant
    outcome: Outcome
    expected: int = 0  # by a swap
    host: str = ""
    reign: int = 0
    error: str = ""


class Sample(Record, frozen=True):
    """The server of a host was asked over its own socket to take a write."""

    host: str
    ended: Instant
    is_taken: bool
    reign: int = 0
    followers: int = -1  # that stream from it; -1: not asked
    error: str = ""


class Listed(Record, frozen=True):
    """What the list was in the end, as a server holds it, in its own order."""

    host: str
    is_primary: bool
    entries: tuple[tuple[str, int], ...]
    reign: int = 0  # of a primary


def numbered(history: History) -> History:
    """Return it with reigns that are numbered in the order in which they began, as far as anybody saw.

    For servers that draw them, as Redis draws replication ids: they are told apart by them, and have no order.
    """
    began: dict[int, Instant] = {}
    for record in history.records:
        if isinstance(record, Append | Sample | Touch) and record.reign:
            began[record.reign] = min(record.ended, began.get(record.reign, record.ended))
    order = {reign: number for number, reign in enumerate(sorted(began, key=lambda each: began[each]), 1)}

    def renumbered(record: Record) -> Record:
        if isinstance(record, Append | Sample | Touch | Listed) and record.reign:
            return msgspec.structs.replace(record, reign=order.get(record.reign, len(order) + 1))
        return record

    return History(tuple(renumbered(record) for record in history.records))


_DECODER = msgspec.json.Decoder(Append | Touch | Sample | Listed | Fault | Healed | Starved | Mark | Beat)


def read_database(*paths: Path) -> History:
    """Return the history in these files."""
    return read(*paths, decode=_DECODER.decode)
