"""Until when a session is surely alive: the arithmetic that all drivers share.

The engine counts a session's time to live from the moment it *received* the last renewal. The owner does not know that
moment, only an earlier one: when it *sent* the renewal. Counting from there, less a margin for clocks that do not run
equally fast, the owner stops no later than the engine may give its keys away. Nothing that somebody else has to
tell, and might tell late, is needed for that.
"""

import math

from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.model.value import Value, replace

RENEWALS_PER_BUDGET = 4  # so that three attempts may fail, each given its full time, before the deadline
RETRY_MIN: Duration = 10 * MILLISECOND


class SessionDeadline(Value, frozen=True):
    """What an owner knows of its session's life."""

    ttl: Duration
    margin: float  # share of the ttl that is given up
    sent_at: Instant  # of the latest renewal (or opening) that the engine acknowledged
    is_lost: bool = False

    def __post_init__(self) -> None:
        """A margin of everything would make a deadline that has always passed."""
        assert self.ttl > 0
        assert 0.0 <= self.margin < 1.0

    @property
    def budget(self) -> Duration:
        """Return how long one acknowledged renewal carries."""
        return self.ttl - math.ceil(self.ttl * self.margin)

    @property
    def deadline(self) -> Instant:
        """Return until when the session is surely alive; 0 once it is known to be lost."""
        return 0 if self.is_lost else self.sent_at + self.budget

    def is_sure(self, now: Instant) -> bool:
        """Return whether the session is surely alive. At its deadline it no longer is."""
        return now < self.deadline

    def renewed(self, sent_at: Instant) -> "SessionDeadline":
        """Return the successor after an acknowledgement of what was sent at `sent_at`.

        Answers may overtake each other: an older one takes nothing back. What is lost stays lost.
        """
        if self.is_lost or sent_at <= self.sent_at:
            return self
        return replace(self, sent_at=sent_at)

    def lost(self) -> "SessionDeadline":
        """Return the successor once the session is known to be gone."""
        return replace(self, is_lost=True)


def renew_every(budget: Duration) -> Duration:
    """Return how long after one renewal the next should be sent."""
    return max(1, budget // RENEWALS_PER_BUDGET)


def attempt_limit(budget: Duration) -> Duration:
    """Return how long one renewal may take: far less than the budget, or one lost packet costs the session."""
    return max(1, budget // RENEWALS_PER_BUDGET)


def retry_after(budget: Duration, failures: int, share: float) -> Duration:
    """Return how long to wait after a renewal failed `failures` times in a row; `share` in 0..1 is chance.

    Doubling from a 64th of the budget to an 8th of it: an engine that comes back is found in time, and one that is
    overloaded is not asked by everybody at once.
    """
    assert failures > 0
    assert 0.0 <= share <= 1.0
    longest = min(budget // 8, (budget // 64) << min(failures - 1, 3))
    return max(RETRY_MIN, round(longest * (0.5 + share / 2)))
