"""Where to ask: literal addresses at once, names by the resolver and never on the event loop.

A resolver may hang for half a minute; so each name is resolved on a thread of its own, and its answer is
kept. While an old answer is refreshed it goes on being used: a resolver's outage must not look like the
outage of everything that has a name. A literal address never sees the resolver, and neither does `localhost`,
which is both loopback addresses whatever the resolver thinks (RFC 6761).
"""

import asyncio
import contextlib
import socket
import threading
import time
from typing import NamedTuple, TypeAlias

from holdfast.model.time import SECOND, Duration, Instant

KEEP_FOR = 30 * SECOND  # an answer is refreshed after this
RETRY_AFTER = SECOND  # a name that could not be resolved is tried again after this


class Address(NamedTuple):
    """One place to connect to."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    text: str  # for people: `127.0.0.1:8081`, `[::1]:8081`
    is_loopback: bool


Addresses: TypeAlias = tuple[Address, ...]


def literal(host: str, port: int) -> Addresses:
    """Return the address if `host` is one, nothing if it is a name. Asks nobody."""
    if host.lower().rstrip(".") == "localhost":
        return literal("127.0.0.1", port) + literal("::1", port)
    try:
        return _lookup(host, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ()


class _Name:
    __slots__ = ("addresses", "asked_at", "error", "is_being_asked")

    def __init__(self) -> None:
        self.addresses: Addresses = ()
        self.error = ""
        self.asked_at: Instant | None = None
        self.is_being_asked = False

    def is_stale(self, now: Instant) -> bool:
        if self.asked_at is None:
            return True
        keep: Duration = RETRY_AFTER if self.error else KEEP_FOR
        return now - self.asked_at >= keep


class Names:
    """What the resolver said, by host and port."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names: dict[tuple[str, int], _Name] = {}

    def find(self, host: str, port: int) -> Addresses:
        """Return the addresses of `host`, IPv4 first; empty while nothing is known."""
        name = self._names.setdefault((host, port), _Name())
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if name.is_stale(now) and not name.is_being_asked:
            name.is_being_asked = True
            name.asked_at = now
            threading.Thread(
                target=self._resolve, args=(name, host, port), name=f"resolve {host}", daemon=True
            ).start()
        return name.addresses

    def error(self, host: str, port: int) -> str:
        """Return why `host` is not known, empty if nobody said so."""
        name = self._names.get((host, port))
        return name.error if name is not None else ""

    def _resolve(self, name: _Name, host: str, port: int) -> None:
        addresses: Addresses = ()
        error = ""
        try:
            addresses = _lookup(host, port, 0)
        except (OSError, UnicodeError) as raised:
            error = str(raised.strerror or raised) if isinstance(raised, OSError) else str(raised)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            self._loop.call_soon_threadsafe(self._learn, name, addresses, error)

    @staticmethod
    def _learn(name: _Name, addresses: Addresses, error: str) -> None:
        name.is_being_asked = False
        name.error = error
        if addresses:
            name.addresses = addresses


def _lookup(host: str, port: int, flags: int) -> Addresses:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    addresses = [_address(family, sockaddr) for family, _, _, _, sockaddr in found]
    # IPv4 first: most services that listen on one family only listen on that one.
    return tuple(sorted(addresses, key=lambda address: address.family != socket.AF_INET))


def _address(family: int, sockaddr: tuple[object, ...]) -> Address:
    host, port = str(sockaddr[0]), int(str(sockaddr[1]))
    if family == socket.AF_INET:
        return Address(family, (host, port), f"{host}:{port}", host.startswith("127."))
    flow, scope = int(str(sockaddr[2])), int(str(sockaddr[3]))
    return Address(family, (host, port, flow, scope), f"[{host}]:{port}", host == "::1")
