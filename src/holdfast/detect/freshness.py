"""How old a standby's data is, as it knows itself: pure.

A standby learns with each message where its primary's log ends. Once it has replayed up to there, it is as new as that message. So
its age is counted from the newest message whose end it has replayed: a stream that is stuck, a replay that is paused and one that is
slow all make it older, in one figure. Only this host's clock is asked, and a message counts from the look *before* it was
first seen: no clock of another host and no step of the wall clock makes it look younger than it is.
"""

from holdfast.model.reading import ReadPolicy
from holdfast.model.time import Instant, show_duration
from holdfast.model.value import Value

_SAMPLES_MAX = 64


class Heard(Value, frozen=True):
    """What one look at a standby brought."""

    message: str = ""  # tells the last message of its primary from the one before; empty: it receives nothing
    end: int = 0  # where the primary's log, or stream of writes, ended as that message was sent
    replayed: int = 0  # how far it has come itself
    is_paused: bool = False


class Sample(Value, frozen=True):
    """A message that came no sooner than `at`."""

    at: Instant
    end: int


class Freshness(Value, frozen=True):
    """What was learnt in all looks at one life of a standby."""

    looked_at: Instant = 0  # 0: there was none yet
    heard: Heard = Heard()
    fresh_at: Instant = 0  # it has all that its primary had then; 0: not known
    heard_at: Instant = 0
    pending: tuple[Sample, ...] = ()  # messages whose end it has not replayed, oldest first

    def after(self, heard: Heard, now: Instant) -> "Freshness":
        """Return what is known after one more look, which began at `now`."""
        pending, heard_at = self.pending, self.heard_at
        if self.looked_at and heard.message and heard.message != self.heard.message:
            heard_at = self.looked_at
            pending = _with(pending, Sample(heard_at, heard.end))
        reached = [sample.at for sample in pending if sample.end <= heard.replayed]
        fresh_at = max(reached, default=self.fresh_at)
        return Freshness(
            now,
            heard,
            fresh_at,
            heard_at,
            tuple(s for s in pending if s.end > heard.replayed and s.at > fresh_at),
        )

    @property
    def lacks(self) -> int:
        """Return how many bytes of the log it is known to lack."""
        ends = (self.heard.end, *(sample.end for sample in self.pending))
        return max(0, max(ends) - self.heard.replayed)

    def why_stale(self, rules: ReadPolicy, now: Instant, *, was_fine: bool) -> str:
        """Return why nobody should read from it; empty if they may.

        Who was found too old comes back at half of what is allowed. The words are few: they go to other hosts on change.
        """
        share = 1 if was_fine else 2
        allowed = show_duration(rules.delay_max)
        if now - self.heard_at > rules.delay_max // share:
            return f"its primary has told it nothing for {allowed}"
        if now - self.fresh_at > rules.delay_max // share:
            how = "its replay is paused" if self.heard.is_paused else "it has not replayed what it knows of"
            return f"{how} for {allowed}"
        if self.lacks > rules.lag_max // share:
            return f"it lacks more than {rules.lag_max} bytes of its primary's log"
        return ""


def _with(pending: tuple[Sample, ...], sample: Sample) -> tuple[Sample, ...]:
    """Return the samples with one more, at most so many: of old ones every second is enough."""
    if pending and pending[-1].end == sample.end:
        return (*pending[:-1], sample)
    if len(pending) >= _SAMPLES_MAX:
        pending = pending[::2]
    return (*pending, sample)
