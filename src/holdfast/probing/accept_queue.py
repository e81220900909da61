"""How full the accept queues of this host's listeners are, asked of the kernel once, when it matters.

A SYN that nobody answers on the own host has one usual reason: the listener's accept queue is full, the
service hangs. The kernel's socket diagnostics show that as evidence, "129 of 128", for every listener in
one answer and without special rights. /proc/net/tcp has the queue but not its limit.
"""

import ipaddress
import socket
import struct
from typing import NamedTuple

from holdfast.model.time import MILLISECOND, Instant
from holdfast.probing.addresses import Address

_KEPT_FOR = 20 * MILLISECOND  # many targets may time out together: one look serves them all

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST_DUMP = 0x301
_LISTENING = 1 << 10
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, pid
_QUESTION = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, ext, states, socket id
_PORT = struct.Struct("!H")
_QUEUE = struct.Struct("=II")
_PORT_AT, _HOST_AT, _QUEUE_AT = 16 + 4, 16 + 8, 16 + 56  # in a message: inet_diag_msg follows the header
_ANSWER_MAX = 1 << 18
_WAIT_SECONDS = 0.1


class AcceptQueue(NamedTuple):
    """Connections that wait to be accepted by one listener."""

    waiting: int
    limit: int

    @property
    def is_full(self) -> bool:
        """Tell whether the kernel drops further SYNs. The limit itself still fits."""
        return self.waiting > self.limit


class AcceptQueues:
    """The listeners of this host, looked at when asked and at most every few milliseconds."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], AcceptQueue] = {}
        self._looked_at: Instant | None = None

    def find(self, address: Address, now: Instant) -> AcceptQueue | None:
        """Return the queue of the listener that serves `address`, None if none is seen."""
        if self._looked_at is None or now - self._looked_at > _KEPT_FOR:
            self._queues = look()
            self._looked_at = now
        host, port = address.sockaddr[0].partition("%")[0], address.sockaddr[1]
        for candidate in (host, "0.0.0.0" if address.family == socket.AF_INET else "::", "::"):  # noqa: S104 - compared, not bound
            if (candidate, port) in self._queues:
                return self._queues[candidate, port]
        return None


def look() -> dict[tuple[str, int], AcceptQueue]:
    """Return every listener of this host (of this network namespace); empty if the kernel does not tell."""
    queues: dict[tuple[str, int], AcceptQueue] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
            kernel.settimeout(_WAIT_SECONDS)
            for family in (socket.AF_INET, socket.AF_INET6):
                question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _LISTENING)
                length = _HEADER.size + len(question)
                kernel.send(_HEADER.pack(length, _BY_FAMILY, _REQUEST_DUMP, 1, 0) + question)
                while not _read(kernel.recv(_ANSWER_MAX), family, queues):
                    pass
    except OSError:
        return queues  # evidence is welcome, not needed
    return queues


def _read(data: bytes, family: int, queues: dict[tuple[str, int], AcceptQueue]) -> bool:
    """Add the listeners in `data`; return whether it was the last of them."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if kind in (_DONE, _ERROR) or length < _HEADER.size:
            return True
        packed = data[at + _HOST_AT : at + _HOST_AT + (4 if family == socket.AF_INET else 16)]
        (port,) = _PORT.unpack_from(data, at + _PORT_AT)
        queue = AcceptQueue(*_QUEUE.unpack_from(data, at + _QUEUE_AT))
        key = (str(ipaddress.ip_address(packed)), port)
        # Several listeners may share an address (SO_REUSEPORT): the fullest one is the evidence.
        queues[key] = max(queue, queues.get(key, queue))
        at += (length + 3) & ~3
    return not data
