"""What was seen of a server in one look, by the care that its adapter takes of it."""

from typing import Self

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import Epoch
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.time import Instant
from holdfast.model.value import Value, replace


class Sight(Value, frozen=True):
    """What was seen. How it is goes to the host's own loop as a probe's answer; the rest goes to the other hosts."""

    problem: str = ""  # why it does not do what it should; empty: it does
    warning: str = ""  # it serves, and something is wrong that another server would not do better
    is_unknown: bool = False  # it is on its way from one role to another, or comes up: that is no failure
    position: tuple[int, int] = (0, 0)  # while it stands still, or of a primary, coarsely
    position_under: Epoch = 0  # the lease under which that is its last word
    unfit: str = ""  # why it must not be promoted

    def unobserved(self) -> Self:
        """Return it without what a probe's answer tells."""
        return replace(self, problem="", warning="", is_unknown=False)

    def added_to(self, report: MemberReport) -> MemberReport:
        """Return what the host says of its member with what was seen of its data."""
        return replace(
            report,
            position=self.position,
            position_under=self.position_under if report.is_clear else 0,
            unfit=report.unfit or self.unfit,
        )

    def observed(self, asked_at: Instant, at: Instant) -> Observation:
        """Return it as a probe's answer that came at `at`."""
        outcome, failure, text = self.verdict()
        layer = Layer.CONTENT if outcome in (Outcome.PASSED, Outcome.DEGRADED) else Layer.ANSWER
        return Observation(outcome, layer, failure, at - asked_at, at, text)

    def verdict(self) -> tuple[Outcome, Failure, str]:
        """Return how it is, and why, for people."""
        if self.is_unknown:
            return Outcome.UNKNOWN, Failure.NONE, self.unfit or "it changes its role"
        if self.problem:
            return Outcome.FAILED, Failure.STATUS, self.problem
        if self.warning:
            return Outcome.DEGRADED, Failure.NONE, self.warning
        return Outcome.PASSED, Failure.NONE, ""
