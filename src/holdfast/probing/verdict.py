"""What one answer, or its absence, proves.

Every error number is turned into layer and failure here and nowhere else. An error that is our own
fault (no file descriptor left, no local port left) proves nothing about the component: UNKNOWN.
"""

import errno
import os

from holdfast.model.observation import Failure, Layer, Measurement, Outcome
from holdfast.model.time import Duration, show_duration
from holdfast.model.value import Value


class Verdict(Value, frozen=True):
    """An observation before the engine adds when it was made and how long it took."""

    outcome: Outcome
    layer: Layer
    failure: Failure = Failure.NONE
    detail: str = ""
    measurements: tuple[Measurement, ...] = ()


ASKED_TOO_LATE = Verdict(
    Outcome.UNKNOWN, Layer.ANSWER, Failure.TIMED_OUT, "asked too late: this host was busy"
)

_RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN})
_UNREACHABLE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EPERM, errno.EACCES}
)


def passed(layer: Layer, detail: str) -> Verdict:
    """Return that the probe came as far as `layer` and all was well."""
    return Verdict(Outcome.PASSED, layer, Failure.NONE, detail)


def failed(layer: Layer, failure: Failure, detail: str) -> Verdict:
    """Return that `layer` failed."""
    return Verdict(Outcome.FAILED, layer, failure, detail)


def unknown(layer: Layer, failure: Failure, detail: str) -> Verdict:
    """Return that the probe could not tell."""
    return Verdict(Outcome.UNKNOWN, layer, failure, detail)


def of_error(number: int, layer: Layer, where: str) -> Verdict:
    """Return what the error `number` proves when it came up at `layer` while talking to `where`."""
    if number == errno.ECONNREFUSED:
        return failed(layer, Failure.REFUSED, f"connection refused by {where}")
    if number in _RESET:
        return failed(layer, Failure.RESET, f"connection reset by {where}{_STATION.get(layer, '')}")
    if number in _UNREACHABLE:
        return failed(layer, Failure.UNREACHABLE, f"{where} cannot be reached: {os.strerror(number).lower()}")
    if number == errno.ETIMEDOUT:
        return failed(layer, Failure.TIMED_OUT, f"the connection to {where} timed out")
    return unknown(layer, Failure.NOT_RUNNABLE, f"could not ask {where}: {os.strerror(number).lower()}")


_STATION = {
    Layer.TLS: " during the TLS handshake",
    Layer.SEND: " while the request was sent",
    Layer.ANSWER: " before the whole answer came",
}


def no_connection(timeout: Duration, where: str) -> Verdict:
    """Return that nothing came back, not even a refusal."""
    return failed(
        Layer.CONNECT, Failure.TIMED_OUT, f"no connection to {where} within {show_duration(timeout)}"
    )


def is_excusable(verdict: Verdict) -> bool:
    """Tell whether we, being late, may have brought this failure about ourselves.

    A refusal or an answer that says no is a fact whoever was late. Silence, and a connection that the
    other side gave up, may be the echo of our own.
    """
    return verdict.outcome is Outcome.FAILED and verdict.failure in (Failure.TIMED_OUT, Failure.RESET)
