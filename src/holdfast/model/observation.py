"""What one active question, a probe, brought back: the outcome, and which layer gave it."""

from enum import StrEnum

from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value


class Outcome(StrEnum):
    """What an observation says of its component. UNKNOWN is no opinion and never causes a failover."""

    PASSED = "passed"
    DEGRADED = "degraded"  # works, with a warning
    FAILED = "failed"
    UNKNOWN = "unknown"  # the probe itself could not tell (Nagios 3, probe program missing, we were late)


class Layer(StrEnum):
    """How far a probe came; for a failure, the layer that failed."""

    PROCESS = "process"  # the process itself: gone, stopped by a signal
    CONNECT = "connect"  # TCP: refused, unreachable, no answer to SYN (accept queue full)
    TLS = "tls"  # the handshake or the certificate
    SEND = "send"  # connected, the request could not be sent
    ANSWER = "answer"  # connected, but no (whole) answer came in time
    CONTENT = "content"  # an answer came, and it says no: HTTP status, body, banner
    PROGRAM = "program"  # an exec probe: its exit code, its time limit


class Failure(StrEnum):
    """How a layer failed; NONE for a passed observation."""

    NONE = "none"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    RESET = "reset"
    UNREACHABLE = "unreachable"
    QUEUE_FULL = "queue_full"  # SYN unanswered while the listener's accept queue is full
    CERTIFICATE = "certificate"
    STATUS = "status"  # HTTP status outside what is expected
    BODY = "body"  # HTTP body or TCP banner lacks what is expected
    EXIT_CODE = "exit_code"
    MALFORMED = "malformed"
    NOT_RUNNABLE = "not_runnable"  # the probe's own program is missing or not executable
    UNOPENED = "unopened"  # it has the role, and was not promoted for it; with UNKNOWN
    STARTING = "starting"  # it comes up and makes progress, which takes as long as it takes; with UNKNOWN


class Measurement(Value, frozen=True):
    """One number that a probe measured (Nagios perfdata)."""

    label: str
    value: float
    unit: str = ""  # "", s, ms, us, %, B, KB, MB, GB, TB, c


class Observation(Value, frozen=True):
    """What one probe of one component brought back."""

    outcome: Outcome
    layer: Layer
    failure: Failure
    latency: Duration  # from asking to the verdict
    at: Instant  # when the verdict was there
    detail: str = ""  # for people: "HTTP 503 Service Unavailable", "connection refused"
    measurements: tuple[Measurement, ...] = ()
