"""What is said on a connection and what the answer means, without a socket in sight.

A dialogue is used for one question after the other: `begin` forgets the last one. A verdict is given as
soon as it is certain; the answer's tail may still be on its way then, and is heard out before the
connection is used again, so that a service is not cut off in the middle of a word.
"""

from typing import Protocol

from holdfast.model.observation import Failure, Layer
from holdfast.model.policy import TcpCheck
from holdfast.probing.verdict import Verdict, failed, passed

HEARD_MAX = 64 * 1024  # of an answer in which something is looked for


class Dialogue(Protocol):
    """One question and its answer."""

    @property
    def has_heard(self) -> bool:
        """Tell whether any of the answer has come."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is to come."""

    @property
    def may_go_on(self) -> bool:
        """Tell whether the connection may serve the next question."""

    def begin(self) -> bytes:
        """Forget the last question; return what to say."""

    def sent(self) -> Verdict | None:
        """Learn that all was said."""

    def heard(self, data: bytes) -> Verdict | None:
        """Learn what came back. Called until `is_over`, after a verdict too."""

    def ended(self, where: str) -> Verdict:
        """Learn that the other side closed before there was a verdict."""


class Banner:
    """Plain TCP: say something, or nothing, and look for something in what comes back, or not."""

    def __init__(self, check: TcpCheck) -> None:
        self._send = check.send.encode()
        self._expect = check.expect.encode()
        self._heard = bytearray()
        self.is_over = False
        self.may_go_on = (
            False  # what a service makes of a second question on one connection is its own affair
        )

    @property
    def has_heard(self) -> bool:
        """Tell whether any of the answer has come."""
        return bool(self._heard)

    def begin(self) -> bytes:
        """Forget the last question; return what to say."""
        self._heard.clear()
        self.is_over = False
        return self._send

    def sent(self) -> Verdict | None:
        """Pass if no answer is asked for: the service may be one that gives none."""
        if self._expect:
            return None
        self.is_over = True
        return passed(Layer.SEND, "connected, and sent what the check sends")

    def heard(self, data: bytes) -> Verdict | None:
        """Look for what is expected."""
        start = max(0, len(self._heard) - len(self._expect) + 1)
        self._heard += data
        if self._heard.find(self._expect, start, HEARD_MAX) >= 0:
            self.is_over = True
            return passed(Layer.CONTENT, "the answer contains what is expected")
        if len(self._heard) >= HEARD_MAX:
            self.is_over = True
            return failed(
                Layer.CONTENT, Failure.BODY, f"the first 64 KiB do not contain {show(self._expect)}"
            )
        return None

    def ended(self, where: str) -> Verdict:
        """Fail, by how far the answer came."""
        self.is_over = True
        if not self._heard:
            return failed(Layer.ANSWER, Failure.RESET, f"{where} closed the connection without an answer")
        answer = f"answered {show(bytes(self._heard))}"
        return failed(Layer.CONTENT, Failure.BODY, f"{answer}, which does not contain {show(self._expect)}")


def show(some: bytes) -> str:
    """Return the beginning of `some` for people, in quotes and without control characters."""
    text = some.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:39] + "…")
