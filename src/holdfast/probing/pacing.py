"""When to ask next.

Three wishes meet here. Many probes set at the same moment must not go on asking at the same moment. A
new component must be asked at once, since start-up waits for it. And an answer that contradicts the
last one must be confirmed or refuted quickly: then the engine hurries by itself, for a while, so that
detection does not wait for anybody's word; whoever keeps the verdict may prolong or end it.
"""

import random

from holdfast.model.observation import Outcome
from holdfast.model.policy import ProbePolicy
from holdfast.model.time import MILLISECOND, Duration

FIRST_WITHIN = 40 * MILLISECOND  # the very first question is asked this soon
HURRIED_FALLS = 3  # by itself the engine hurries for at most this many times `fall` questions

_GOOD = (Outcome.PASSED, Outcome.DEGRADED)


class Pace:
    """The intervals between the questions of one probe."""

    __slots__ = (
        "_chance",
        "_earliest",
        "_hurried_left",
        "_is_first",
        "_is_suspect",
        "_policy",
        "_was_good",
        "_width",
    )

    def __init__(self, policy: ProbePolicy, chance: random.Random) -> None:
        self._policy = policy
        self._chance = chance
        self._earliest = policy.every * (1 - policy.jitter)
        self._width = policy.every * policy.jitter * 2
        self._was_good: bool | None = None
        self._hurried_left = 0
        self._is_suspect = False
        self._is_first = True

    def first(self) -> Duration:
        """Return how long to wait before the very first question."""
        return round(self._chance.random() * FIRST_WITHIN)

    def after(self, outcome: Outcome) -> Duration:
        """Return how long after the last question, which brought `outcome`, the next one is due."""
        is_good = outcome in _GOOD
        if is_good is not self._was_good:
            self._hurried_left = self._hurried_after_change(is_good=is_good)
            self._was_good = is_good
        if self._is_suspect:
            return self._policy.every_suspect
        if self._hurried_left:
            self._hurried_left -= 1
            return self._policy.every_suspect
        if self._is_first:
            # All that were set together drift apart here, over the whole interval.
            self._is_first = False
            return max(round(self._chance.random() * self._policy.every), self._policy.every_suspect)
        return int(self._earliest + self._width * self._chance.random())

    def hurry(self, *, is_suspect: bool) -> None:
        """Take another's word for whether this probe is in doubt; it ends our own hurry too."""
        self._is_suspect = is_suspect
        self._hurried_left = 0

    def _hurried_after_change(self, *, is_good: bool) -> int:
        if is_good:
            # The answer that changed is the first of the `rise` that confirm it. A start is a change too.
            return self._policy.rise - 1
        return HURRIED_FALLS * self._policy.fall
