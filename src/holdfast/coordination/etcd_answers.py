"""What etcd's gateway answers, as far as we read it. Numbers come as strings, bytes in base64, zeros not at all."""

import msgspec

from holdfast.ports.coordination import Entry


class Header(msgspec.Struct):
    """Who answered, and when."""

    revision: int = 0
    raft_term: int = 0


class KeyValue(msgspec.Struct):
    """One key."""

    key: bytes
    value: bytes = b""
    mod_revision: int = 0
    create_revision: int = 0
    lease: int = 0

    def entry(self, prefix: str) -> Entry:
        """Return it as the port knows it: the revisions of etcd only grow, and never begin anew."""
        key = self.key.decode().removeprefix(prefix)
        session = str(self.lease) if self.lease else None
        return Entry(key, self.value, self.mod_revision, self.create_revision, session)


class Range(msgspec.Struct):
    """The answer to a read."""

    header: Header
    kvs: list[KeyValue] = []


class Outcome(msgspec.Struct):
    """The answer to one operation of a transaction. Of all kinds, only a read's is of interest."""

    response_range: Range | None = None


class Transaction(msgspec.Struct):
    """The answer to a transaction."""

    header: Header
    succeeded: bool = False
    responses: list[Outcome] = []


class Grant(msgspec.Struct):
    """The answer to a request for a lease."""

    header: Header
    ID: int
    TTL: int = 0


class _Alive(msgspec.Struct):
    header: Header
    TTL: int = 0


class KeptAlive(msgspec.Struct):
    """The answer to a renewal. No TTL: there is no such lease."""

    result: _Alive


class Done(msgspec.Struct):
    """The answer to something that only had to be done."""


class _Event(msgspec.Struct):
    kv: KeyValue
    type: str = "PUT"


class _Watched(msgspec.Struct):
    header: Header
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    events: list[_Event] = []


class WatchLine(msgspec.Struct):
    """One line of a watch."""

    result: _Watched | None = None  # without one, it is an error, and the end
