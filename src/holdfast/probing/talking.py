"""Asking over a connection: connect, shake hands if it is TLS, speak, listen.

A connection that the dialogue allows to go on is kept for the next questions, at a third of the cost of a
new one; but a kept connection no longer shows whether new clients get in, so every few questions a new one
is made. A kept connection that fell proves nothing (servers close idle ones): the question is asked once
more on a new one before it counts.
"""

import ssl
from typing import Any

from holdfast.model.observation import Failure, Layer
from holdfast.model.time import Duration, Instant, show_duration
from holdfast.probing.addresses import Address
from holdfast.probing.dialogue import Dialogue
from holdfast.probing.plug import BROKEN, READABLE, WRITABLE, Plug
from holdfast.probing.silence import Silence
from holdfast.probing.tls_pipe import TlsPipe
from holdfast.probing.verdict import Verdict, failed, of_error

_NEWS = READABLE | BROKEN
_PIECE = 16 * 1024
_READS_MAX = 64  # of one socket in one go: nobody may keep the loop to himself by talking fast


# The stages. Plain numbers: comparing members of an Enum costs ten times as much, and it is done a lot.
_OFF, _CONNECTING, _SHAKING, _TALKING, _TAIL, _KEPT = range(6)
#  |        |          |         |        |      a connection, and no question
#  |        |          |         |        judged; the rest of the answer is heard out
#  |        |          hands     question and answer
#  no connection

_LAYER = {_CONNECTING: Layer.CONNECT, _SHAKING: Layer.TLS}


class Talk:
    """Holds one dialogue with one target again and again."""

    def __init__(self, plug: Plug[Any], dialogue: Dialogue, silence: Silence, timeout: Duration) -> None:
        self._plug = plug
        self._dialogue = dialogue
        self._silence = silence
        self._timeout = timeout
        self._tls_context: ssl.SSLContext | None = None
        self._tls_host = ""
        self._tls: TlsPipe | None = None
        self._fresh_every = 1
        self._stage = _OFF
        self._address: Address | None = None
        self._unsent = b""
        self._asked = 0  # questions on the present connection
        self._is_reused = False  # the present question is not the connection's first

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS on every connection from now on."""
        self._tls_context, self._tls_host = context, host

    def keep(self, fresh_every: int) -> None:
        """Keep connections, and make a new one for every `fresh_every`-th question."""
        self._fresh_every = fresh_every

    def ask(self, address: Address) -> Verdict | None:
        """Begin; return a verdict if there is one already."""
        if self._stage == _KEPT and self._asked < self._fresh_every and address == self._address:
            self._is_reused = True
            return self._speak()
        self._address = address
        return self._dial()

    def ready(self, events: int) -> Verdict | None:
        """Look at what the epoll said."""
        stage = self._stage
        if stage == _OFF:
            return None  # the echo of our own unplugging
        if stage == _CONNECTING:
            return self._connected(events)
        if stage == _KEPT:
            if events & _NEWS:
                self._hang_up()  # nobody is to speak now: it was closed
            return None
        if self._unsent and events & WRITABLE and (verdict := self._flush()) is not None:
            return verdict
        return self._listen() if events & _NEWS else None

    def expire(self, now: Instant) -> Verdict:
        """Return what it means that there was no verdict in time."""
        assert self._address is not None
        stage, within = self._stage, show_duration(self._timeout)
        if stage == _CONNECTING:
            verdict = self._silence.before_connection(self._plug, self._address, self._timeout, now)
        elif stage == _SHAKING:
            verdict = failed(Layer.TLS, Failure.TIMED_OUT, f"no TLS handshake within {within} (connected)")
        elif self._unsent:
            verdict = failed(
                Layer.SEND, Failure.TIMED_OUT, f"the request was not taken within {within} (connected)"
            )
        elif self._dialogue.has_heard:
            verdict = failed(Layer.ANSWER, Failure.TIMED_OUT, f"the answer was not complete within {within}")
        else:
            verdict = self._silence.after_connection(self._plug, self._address, self._timeout, now)
        self.close()
        return verdict

    def close(self) -> None:
        """Let go of connection and socket."""
        self._forget()
        self._plug.close()

    # --- the way to the answer ------------------------------------------------------------------------

    def _dial(self) -> Verdict | None:
        assert self._address is not None
        self._hang_up()
        self._is_reused = False
        self._stage = _CONNECTING
        number = self._plug.connect(self._address)
        return self._broke(number) if number else None

    def _connected(self, events: int) -> Verdict | None:
        if events & BROKEN:
            return self._broke(self._plug.error())
        if not events & WRITABLE:
            return None
        self._asked = 0
        if self._tls_context is None:
            verdict = self._speak()
        else:
            self._stage = _SHAKING
            self._tls = TlsPipe(self._tls_context, self._tls_host)
            verdict = self._shake()
        if verdict is None and events & READABLE:
            return self._listen()
        return verdict

    def _shake(self) -> Verdict | None:
        assert self._tls is not None
        try:
            is_done = self._tls.shake()
        except ssl.SSLError as error:
            self._unsent = self._tls.give_out()
            self._flush()  # the alert: tells the other side's log why
            return self._refuse_tls(error)
        self._unsent += self._tls.give_out()
        return self._speak() if is_done else self._flush()

    def _speak(self) -> Verdict | None:
        self._stage = _TALKING
        self._asked += 1
        words = self._dialogue.begin()
        if self._tls is not None:
            self._tls.encrypt(words)
            words = self._tls.give_out()
        self._unsent += words
        return self._flush()

    def _flush(self) -> Verdict | None:
        assert self._plug.sock is not None
        while self._unsent:
            try:
                count = self._plug.sock.send(self._unsent)
            except BlockingIOError:
                return None
            except OSError as error:
                return self._fell(of_error(error.errno or 0, self._layer(Layer.SEND), self._where()))
            self._unsent = self._unsent[count:]
        return self._judged(self._dialogue.sent()) if self._stage == _TALKING else None

    def _listen(self) -> Verdict | None:
        """Read all that has come, for the epoll tells only once; return the verdict if there is one now."""
        sock = self._plug.sock
        assert sock is not None
        found: Verdict | None = None
        for _ in range(_READS_MAX):
            try:
                data = sock.recv(_PIECE)
            except BlockingIOError:
                return found
            except OSError as error:
                return (
                    self._fell(of_error(error.errno or 0, self._layer(Layer.ANSWER), self._where())) or found
                )
            verdict = self._hear(data) if data else self._ended()
            if found is None:
                found = verdict
            if self._stage in (_OFF, _CONNECTING, _KEPT):
                return found
        # Whoever says a megabyte in one breath is not worth the connection.
        return (
            self._fell(failed(Layer.CONTENT, Failure.MALFORMED, f"{self._where()} does not stop talking"))
            or found
        )

    def _hear(self, data: bytes) -> Verdict | None:
        tls = self._tls
        if tls is None:
            return self._judged(self._dialogue.heard(data))
        tls.take_in(data)
        if self._stage == _SHAKING:
            verdict = self._shake()
            if verdict is not None or self._stage not in (_TALKING, _TAIL):
                return verdict
        try:
            words = tls.decrypt()
        except ssl.SSLError as error:
            return self._refuse_tls(error)
        verdict = self._judged(self._dialogue.heard(words)) if words else None
        return self._ended() if verdict is None and tls.is_ended else verdict

    # --- how it ends ----------------------------------------------------------------------------------

    def _judged(self, verdict: Verdict | None) -> Verdict | None:
        """Decide what becomes of the connection now that the dialogue has said `verdict`, or not."""
        if self._stage == _TALKING and verdict is not None:
            self._stage = _TAIL
        if self._stage == _TAIL and self._dialogue.is_over:
            if self._dialogue.may_go_on:
                self._stage = _KEPT
            else:
                self._hang_up()
        return verdict

    def _ended(self) -> Verdict | None:
        """The other side closed in good order."""
        if self._stage == _SHAKING:
            return self._broke_off(
                failed(
                    Layer.TLS,
                    Failure.RESET,
                    f"{self._where()} closed the connection during the TLS handshake",
                )
            )
        if self._stage == _TALKING:
            return self._fell(self._dialogue.ended(self._where()))
        self._hang_up()
        return None

    def _fell(self, verdict: Verdict) -> Verdict | None:
        """The connection is gone: try a new one if this was a kept one, else `verdict` holds."""
        if self._stage == _TAIL:
            self._hang_up()
            return None
        if self._is_reused and not self._dialogue.has_heard:
            return self._dial()
        return self._broke_off(verdict)

    def _broke(self, number: int) -> Verdict:
        return self._broke_off(of_error(number, self._layer(Layer.ANSWER), self._where()))

    def _refuse_tls(self, error: ssl.SSLError) -> Verdict:
        if isinstance(error, ssl.SSLCertVerificationError):
            detail = f"the certificate of {self._where()} is not trusted: {error.verify_message}"
            return self._broke_off(failed(Layer.TLS, Failure.CERTIFICATE, detail))
        reason = (error.reason or "no TLS").lower().replace("_", " ")
        return self._broke_off(failed(Layer.TLS, Failure.MALFORMED, f"no TLS with {self._where()}: {reason}"))

    def _broke_off(self, verdict: Verdict) -> Verdict:
        self.close()
        return verdict

    def _hang_up(self) -> None:
        self._forget()
        self._plug.unplug()

    def _forget(self) -> None:
        self._stage = _OFF
        self._tls = None
        self._unsent = b""
        self._asked = 0

    def _layer(self, otherwise: Layer) -> Layer:
        return _LAYER.get(self._stage, otherwise)

    def _where(self) -> str:
        return self._address.text if self._address is not None else "the target"
