"""Chance, all of it from one seed; or none at all, for stories and what-if, where every latency is its shortest."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from holdfast.model.time import Duration

T = TypeVar("T")


class Chance:
    """What is drawn while a schedule is played."""

    def __init__(self, random: Random | None) -> None:
        self._random = random

    @property
    def is_steady(self) -> bool:
        """Tell whether nothing is left to chance."""
        return self._random is None

    def between(self, low: Duration, high: Duration) -> Duration:
        """Return a duration; the shortest one without chance."""
        return low if self._random is None else low + int((high - low) * self._random.random())

    def often(self, share: float) -> bool:
        """Tell whether what happens in `share` of all cases happens now; without chance: whether it is likely."""
        return share >= 0.5 if self._random is None else self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of `choices`; the first without chance."""
        return choices[0] if self._random is None else self._random.choice(choices)

    def salt(self) -> int:
        """Return the salt of an agent's start."""
        return 0 if self._random is None else self._random.getrandbits(32)
