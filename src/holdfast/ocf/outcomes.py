"""What an agent answers: its exit code, in the words of the OCF standard, and the reason that it gives for people."""

from enum import IntEnum

from holdfast.model.time import Duration, show_duration
from holdfast.model.value import Value

_LIMITED = frozenset({"start", "stop", "promote", "demote"})  # each by a key of its own
REASON = "ocf-exit-reason:"  # begins the lines of stderr that are meant for people


class Code(IntEnum):
    """The exit codes of OCF 1.1."""

    SUCCESS = 0
    ERROR = 1
    WRONG_ARGUMENTS = 2  # on this host
    UNIMPLEMENTED = 3
    NOT_PERMITTED = 4
    NOT_INSTALLED = 5
    NOT_CONFIGURED = 6  # on any host
    NOT_RUNNING = 7
    PROMOTED = 8
    FAILED_PROMOTED = 9
    DEGRADED = 190
    DEGRADED_PROMOTED = 191


RUNS = frozenset({Code.SUCCESS, Code.PROMOTED, Code.DEGRADED, Code.DEGRADED_PROMOTED})
SERVES_PROMOTED = frozenset({Code.PROMOTED, Code.DEGRADED_PROMOTED, Code.FAILED_PROMOTED})
CANNOT_SAY = frozenset(  # about a component that we never started: there is nothing here to be asked about
    {Code.WRONG_ARGUMENTS, Code.UNIMPLEMENTED, Code.NOT_PERMITTED, Code.NOT_INSTALLED, Code.NOT_CONFIGURED}
)
_SAID = {
    Code.SUCCESS: "ok",
    Code.ERROR: "failed",
    Code.WRONG_ARGUMENTS: "its parameters do not fit this host",
    Code.UNIMPLEMENTED: "the agent has no such action",
    Code.NOT_PERMITTED: "not permitted",
    Code.NOT_INSTALLED: "something that it needs is not installed",
    Code.NOT_CONFIGURED: "its parameters are wrong",
    Code.NOT_RUNNING: "not running",
    Code.PROMOTED: "running as primary",
    Code.FAILED_PROMOTED: "failed as primary",
    Code.DEGRADED: "running, degraded",
    Code.DEGRADED_PROMOTED: "running as primary, degraded",
}


class Outcome(Value, frozen=True):
    """How one action ended."""

    action: str
    code: int | None  # None: it did not end by itself
    reason: str = ""  # what the agent said
    fault: str = ""  # why there is no code
    is_unbegun: bool = False  # the agent could not be run at all

    @property
    def runs(self) -> bool:
        """Tell whether a monitor found it running."""
        return self.code in RUNS

    @property
    def is_absent(self) -> bool:
        """Tell whether a monitor found it not running."""
        return self.code == Code.NOT_RUNNING

    @property
    def is_promoted(self) -> bool:
        """Tell whether a monitor found that it serves as primary, or may."""
        return self.code in SERVES_PROMOTED

    def __str__(self) -> str:
        """Return it for people."""
        if self.code is None:
            said = self.fault
        elif self.code in _SAID:
            said = f"{_SAID[Code(self.code)]} (exit code {self.code})"
        else:
            said = f"exit code {self.code}, which OCF does not know"
        return f"{self.action}: {said}" + (f"; the agent says: {self.reason}" if self.reason else "")


def late(action: str, timeout: Duration, reason: str = "") -> Outcome:
    """Return the outcome of an action that was killed at its time limit."""
    key = f"timeouts.{action}" if action in _LIMITED else "monitor.timeout"
    return Outcome(
        action, None, reason, f"did not end within {show_duration(timeout)} ({key}), and was killed"
    )


def reason_in(text: str, otherwise: str) -> str:
    """Return what the lines of `text` give as reason, the last few of them; `otherwise` if they give none."""
    lines = [line.partition(REASON)[2].strip() for line in text.splitlines() if line.startswith(REASON)]
    found = "; ".join(dict.fromkeys(line for line in lines[-3:] if line))
    return found or otherwise
