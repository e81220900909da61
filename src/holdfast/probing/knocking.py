"""The cheapest question: whether anybody listens.

SYN, SYN/ACK, RST. The last ACK of the handshake is held back (TCP_QUICKACK off), so the connection is never
established on the other side and the service never sees it: no accept, no log line, no thread woken. What
this proves is as little: a hung service's kernel answers too, until its accept queue is full.
"""

from typing import Any

from holdfast.model.observation import Layer
from holdfast.model.time import Duration, Instant
from holdfast.probing.addresses import Address
from holdfast.probing.plug import BROKEN, WRITABLE, Plug
from holdfast.probing.silence import Silence
from holdfast.probing.verdict import Verdict, of_error, passed

_ANSWERED = passed(Layer.CONNECT, "accepts connections")


class Knock:
    """Connects to one target again and again."""

    __slots__ = ("_address", "_is_asking", "_plug", "_silence", "_timeout")

    def __init__(self, plug: Plug[Any], silence: Silence, timeout: Duration) -> None:
        self._plug = plug
        self._silence = silence
        self._timeout = timeout
        self._address: Address | None = None
        self._is_asking = False

    def ask(self, address: Address) -> Verdict | None:
        """Begin; return a verdict if there is one already."""
        self._address = address
        number = self._plug.connect(address)
        if number:
            return self._give_up(of_error(number, Layer.CONNECT, address.text))
        self._is_asking = True
        return None

    def ready(self, events: int) -> Verdict | None:
        """Look at what the epoll said."""
        if not self._is_asking:
            return None  # the echo of our own unplugging
        if events & BROKEN:
            assert self._address is not None
            return self._give_up(of_error(self._plug.error(), Layer.CONNECT, self._address.text))
        if events & WRITABLE:
            self._is_asking = False
            self._plug.unplug()
            return _ANSWERED
        return None

    def expire(self, now: Instant) -> Verdict:
        """Return what it means that there was no answer in time."""
        assert self._address is not None
        return self._give_up(self._silence.before_connection(self._plug, self._address, self._timeout, now))

    def close(self) -> None:
        """Let go of the socket."""
        self._is_asking = False
        self._plug.close()

    def _give_up(self, verdict: Verdict) -> Verdict:
        self.close()
        return verdict
