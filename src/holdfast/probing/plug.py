"""A socket that is plugged in and out again and again, and the epoll that watches all of them.

A check per second and target means a socket per second and target; making, registering and closing it
costs more than the check. Linux lets go of a connection with connect(AF_UNSPEC) and keeps the socket
and its place in the epoll, so one socket serves all checks of one target. Python's socket module cannot
say AF_UNSPEC, hence ctypes. Where the kernel or the C library refuses, the socket is closed and a new
one made: slower, not wrong. The same is done after every failure, so that no old fault clings to a socket.

Connections are given up with a reset (SO_LINGER 1,0): no TIME_WAIT is left, which at thousands of checks
a second would eat up the local ports within a minute.
"""

import ctypes
import errno
import select
import socket
import struct
from collections.abc import Callable
from typing import Generic, TypeVar

from holdfast.probing.addresses import Address

T = TypeVar("T")

EVENTS_MAX = 1024  # taken from the epoll at a time
READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP

_EVENTS = READABLE | WRITABLE | select.EPOLLRDHUP | select.EPOLLET
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TCP, _QUICKACK = socket.IPPROTO_TCP, socket.TCP_QUICKACK
_UNSPEC = bytes(16)  # a sockaddr of family AF_UNSPEC
_UNDER_WAY = (0, errno.EINPROGRESS)


def _find_connect() -> Callable[[int, bytes, int], int] | None:
    try:
        connect = ctypes.CDLL(None).connect
    except (OSError, AttributeError):
        return None
    connect.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    connect.restype = ctypes.c_int
    found: Callable[[int, bytes, int], int] = connect
    return found


_connect = _find_connect()


class Poller(Generic[T]):
    """One epoll for all sockets. Edge-triggered: a socket is registered once in its life."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._owners: dict[int, T] = {}

    def fileno(self) -> int:
        """Return the epoll's own descriptor: readable when any socket has news."""
        return self._epoll.fileno()

    def add(self, fd: int, owner: T) -> None:
        """Watch `fd` for `owner`."""
        self._epoll.register(fd, _EVENTS)
        self._owners[fd] = owner

    def remove(self, fd: int) -> None:
        """Watch `fd` no more. Called before it is closed: the number may be another socket's next."""
        self._epoll.unregister(fd)
        del self._owners[fd]

    def take(self) -> list[tuple[T, int]]:
        """Return who has news now.

        Owners are looked up before any of them acts: what one does may close and reopen descriptors,
        and a number from this batch must not reach the new owner.
        """
        owners = self._owners
        return [(owners[fd], events) for fd, events in self._epoll.poll(0, EVENTS_MAX)]

    def close(self) -> None:
        """Let go of the epoll."""
        self._epoll.close()


class Plug(Generic[T]):
    """One target's socket."""

    __slots__ = ("_family", "_fd", "_is_quiet", "_owner", "_poller", "sock")

    def __init__(self, poller: Poller[T], owner: T, *, is_quiet: bool) -> None:
        self._poller = poller
        self._owner = owner
        self._is_quiet = is_quiet  # hold back the last ACK of the handshake
        self._family = 0
        self._fd = -1
        self.sock: socket.socket | None = None

    def connect(self, address: Address) -> int:
        """Begin to connect; return 0 when that is under way, else the error's number."""
        if self.sock is None or self._family != address.family:
            self.close()
            try:
                self.sock = self._open(address.family)
            except OSError as error:
                return error.errno or errno.EIO
        if self._is_quiet:
            # The kernel forgets this with every connection.
            self.sock.setsockopt(_TCP, _QUICKACK, 0)
        number = self.sock.connect_ex(address.sockaddr)
        return 0 if number in _UNDER_WAY else number

    def error(self) -> int:
        """Return the number of the error that broke the connection."""
        assert self.sock is not None
        # A connection that is gone without an error was given up by the other side.
        return self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET

    def is_local(self, address: Address) -> bool:
        """Tell whether `address` is this host's own."""
        if self.sock is None:
            return False
        try:
            source = self.sock.getsockname()[0]
        except OSError:
            return False
        return address.is_loopback or source == address.sockaddr[0]

    def unplug(self) -> None:
        """Give the connection up and keep the socket, if that works here."""
        if self.sock is not None and (_connect is None or _connect(self._fd, _UNSPEC, len(_UNSPEC)) != 0):
            self.close()

    def close(self) -> None:
        """Give connection and socket up."""
        if self.sock is not None:
            self._poller.remove(self._fd)
            self.sock.close()
            self.sock = None

    def _open(self, family: int) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poller.add(sock.fileno(), self._owner)
        except OSError:
            sock.close()
            raise
        self._family = family
        self._fd = sock.fileno()
        return sock
