"""The guard's socket: packets in, packets out, from root or the guard's own user.

Nothing that a client does, or leaves undone, may cost the guard time: packets and clients are bounded, an answer that is
not taken is dropped together with who does not take it. No client is anybody in particular: a new agent simply goes on
where the last one stopped.
"""

import contextlib
import os
import socket
import struct

from holdfast.guard.messages import MESSAGE_MAX, SOCKET

_CLIENTS_MAX = 32
_NON_BLOCKING = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Listening:
    """The socket and who is connected to it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, SOCKET)
        self._listener = self._listen()
        self._clients: dict[int, socket.socket] = {}  # by descriptor; who was heard last is last

    @property
    def descriptors(self) -> list[int]:
        """Return what to wait for."""
        return [self._listener.fileno(), *self._clients]

    def receive(self, descriptor: int) -> bytes | None:
        """Return one packet of a client; None if there is none, because it comes, goes, or is not let in."""
        if descriptor == self._listener.fileno():
            self._accept()
            return None
        client = self._clients.pop(descriptor, None)
        if client is None:
            return None
        try:
            packet = client.recv(MESSAGE_MAX + 1)
        except BlockingIOError:
            self._clients[descriptor] = client
            return None
        except OSError:
            packet = b""
        if not packet:
            client.close()
            return None
        self._clients[descriptor] = client
        return packet

    def answer(self, descriptor: int, packet: bytes) -> None:
        """Send one packet to a client."""
        client = self._clients.get(descriptor)
        if client is None:
            return
        try:
            client.send(packet)
        except OSError:  # it does not read, or is gone
            del self._clients[descriptor]
            client.close()

    def stay(self) -> None:
        """Listen anew if somebody removed the socket: a guard that cannot be reached is as good as none."""
        try:
            if os.stat(self._path).st_ino == self._inode:
                return
        except FileNotFoundError:
            pass
        except OSError:
            return
        try:
            listener = self._listen()
        except OSError:
            return  # the directory is gone too: tried again until it is back
        self._listener.close()
        self._listener = listener

    def close(self) -> None:
        """Stop listening."""
        for each in (self._listener, *self._clients.values()):
            each.close()
        try:
            os.unlink(self._path)
        except OSError:
            return

    def _listen(self) -> socket.socket:
        # The path of a socket has 107 bytes at most; that of a directory that we are in has none.
        os.chdir(self._directory)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        listener = socket.socket(socket.AF_UNIX, _NON_BLOCKING)
        before = os.umask(0o177)
        try:
            listener.bind(SOCKET)
            listener.listen(_CLIENTS_MAX)
            self._inode = os.stat(SOCKET).st_ino
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        return listener

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        client.setblocking(False)
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, user, _ = struct.unpack("3i", credentials)
        if user not in {0, os.geteuid()}:
            client.close()
            return
        if len(self._clients) >= _CLIENTS_MAX:
            silent = next(iter(self._clients))
            self._clients.pop(silent).close()
        self._clients[client.fileno()] = client
