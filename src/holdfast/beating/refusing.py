"""Packets that are not believed: counted by reason, and said now and then.

Whoever can send packets decides how many come, so a line of the log per packet would be a weapon.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from holdfast.model.time import SECOND, Duration, Instant, show_duration


class Refusal(StrEnum):
    """Why a packet is not believed."""

    FOREIGN = "foreign"  # no heartbeat of our version
    BAD_SEAL = "bad seal"  # made without the cluster's key, or changed on its way
    MALFORMED = "malformed"
    OTHER_SYSTEM = "other system"
    MISDIRECTED = "misdirected"  # written to another host
    STRANGER = "stranger"  # from a host that is not in the file
    REPEATED = "repeated"  # not newer than what came before
    UNPROVEN = "unproven"  # nothing shows that its sender has heard us in this life of ours
    STALE = "stale"  # sent long ago


SAY_EVERY: Duration = 10 * SECOND

# Some are normal when a host starts, or when the network swaps two packets: only many are worth a line.
_NORMAL = {Refusal.UNPROVEN: 30, Refusal.REPEATED: 30, Refusal.STALE: 5}


class Complaints:
    """Counts what went wrong, and says it at most once per reason in ten seconds."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self.counts: Counter[str] = Counter()
        self._say = say
        self._said: dict[str, tuple[Instant, int]] = {}  # when, and how many it was then

    def refused(self, why: Refusal, sender: str, now: Instant) -> None:
        """Count a packet that was not believed."""
        self.add(why, f"heartbeats from {sender} are refused: {why}", now, normal=_NORMAL.get(why, 0))

    def add(self, reason: str, text: str, now: Instant, normal: int = 0) -> None:
        """Count what happened for a reason out of a small fixed set; up to `normal` in ten seconds is no news."""
        self.counts[reason] += 1
        at, count = self._said.setdefault(reason, (now - SAY_EVERY, 0) if not normal else (now, 0))
        fresh = self.counts[reason] - count
        if now - at < SAY_EVERY:
            return
        self._said[reason] = (now, self.counts[reason])
        if fresh > normal and self._say is not None:
            times = f" ({fresh} times in {show_duration(now - at)})" if fresh > 1 else ""
            self._say(text + times)
