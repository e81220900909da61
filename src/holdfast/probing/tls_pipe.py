"""TLS without a socket: encrypted bytes on one side, plain ones on the other.

The socket stays in one place (`talking.py`), and a handshake is one more thing that may want to read or
to write first, which a state machine on an edge-triggered epoll does anyway.
"""

import ssl

_PIECE = 16 * 1024


class TlsPipe:
    """One TLS connection."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.is_ended = False  # the other side said that it will say no more

    def take_in(self, data: bytes) -> None:
        """Accept encrypted bytes from the other side."""
        self._incoming.write(data)

    def give_out(self) -> bytes:
        """Return the encrypted bytes that are to be sent."""
        return self._outgoing.read()

    def shake(self) -> bool:
        """Go on with the handshake; return whether it is done. Raises ssl.SSLError."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> None:
        """Accept plain bytes for the other side."""
        self._tls.write(data)

    def decrypt(self) -> bytes:
        """Return the plain bytes that have come. Raises ssl.SSLError."""
        pieces: list[bytes] = []
        while not self.is_ended:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            self.is_ended = not piece
            pieces.append(piece)
        return b"".join(pieces)


def context(*, is_verified: bool) -> ssl.SSLContext:
    """Return how certificates are judged: by this host's trusted ones, or not at all."""
    made = ssl.create_default_context()
    if not is_verified:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
