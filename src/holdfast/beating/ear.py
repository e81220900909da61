"""The ear: one UDP socket, read until it is empty, and the instant at which each packet came.

A loop that was busy for 300 ms finds three beats of each peer in its socket. Read one by one, between other work, and dated
when they are read, they would make the peer look late. So all are read at once, and the kernel is asked when it got them.
It says so by the wall clock, which may jump: it is believed only within what we know ourselves, that a packet cannot have
come before the socket was last seen empty, nor after now.
"""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

from holdfast.model.time import Instant

DATAGRAM_MAX = 65_535  # bytes
ROOM = 4 << 20  # bytes that the kernel keeps for us while our loop is busy, where it is allowed

_SO_RCVBUFFORCE = 33  # these three are missing in `socket`: see asm-generic/socket.h
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)


class Ear:
    """A bound socket, with which one can speak too."""

    def __init__(self, address: str, port: int) -> None:
        """Bind. Raises OSError if the address is not ours or the port is taken."""
        found = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )
        family, kind, protocol, _, where = found[0]
        self.socket = socket.socket(family, kind, protocol)
        try:
            self.socket.setblocking(False)
            self._widen()
            self.socket.bind(where)
        except OSError:
            self.socket.close()
            raise
        self._buffer = bytearray(DATAGRAM_MAX)
        self._empty_at = now()

    def packets(self, most: int) -> Iterator[tuple[memoryview, Instant, str]]:
        """Return what came, up to `most`: its bytes (until the next is read), when it came, and from which address."""
        view = memoryview(self._buffer)
        for _ in range(most):
            before = now()
            try:
                size, ancillary, _, source = self.socket.recvmsg_into([self._buffer], _ANCILLARY)
            except BlockingIOError:
                self._empty_at = before
                return
            except OSError:
                continue  # an ICMP error about something that we sent: the next read tells more
            yield view[:size], self._came_at(ancillary), str(source[0])

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _widen(self) -> None:
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, ROOM)
        except OSError:  # needs CAP_NET_ADMIN
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)

    def _came_at(self, ancillary: list[tuple[int, int, bytes]]) -> Instant:
        wall = time.clock_gettime_ns(
            time.CLOCK_REALTIME
        )  # first: what passes between the two is to our patience
        read_at = now()
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(content)
                came_at: int = read_at - wall + seconds * 1_000_000_000 + nanoseconds
                return max(self._empty_at, min(read_at, came_at))
        return read_at


def now() -> Instant:
    """Return the present instant: CLOCK_BOOTTIME goes on while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
