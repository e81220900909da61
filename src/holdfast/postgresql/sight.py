"""What was seen of a PostgreSQL server in one look."""

from typing import Self

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import Epoch
from holdfast.model.observation import Failure, Outcome
from holdfast.model.sight import Sight as AnySight
from holdfast.model.value import replace


class Sight(AnySight, frozen=True):
    """What was seen of a server in one look."""

    is_unopened: bool = False  # it stood in for a server outside, and is to be primary now
    starting: str = ""  # it comes up, and this is how far it is
    # Of a standby that feeds another one: the lease of the primary that it streams from.
    streams_under: Epoch = 0
    commits: str = ""  # of a primary: for whom its commits wait
    note: str = ""  # what an operator should know of its parameters

    def unobserved(self) -> Self:
        """Return it without what a probe's answer tells."""
        return replace(super().unobserved(), is_unopened=False, starting="")

    def added_to(self, report: MemberReport) -> MemberReport:
        """Return what the host says of its member with what was seen of its data."""
        more = {"streams_under": self.streams_under, "commits": self.commits, "note": self.note}
        return replace(super().added_to(report), **more)

    def verdict(self) -> tuple[Outcome, Failure, str]:
        """Return how it is, and why, for people."""
        if self.is_unopened:
            return Outcome.UNKNOWN, Failure.UNOPENED, "it is to be promoted"
        if self.starting and not self.is_unknown:
            return Outcome.UNKNOWN, Failure.STARTING, self.starting
        return super().verdict()
