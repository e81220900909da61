"""Believing: a beat counts only if it was sent a moment ago, by who is alive now.

A seal proves who wrote a packet, not when. Somebody who recorded a host's beats could make it seem alive after its
death, and keep traffic and decisions waiting for it. So each letter echoes the newest beat of ours that its sender had,
and how long before: that dates it by our own clock, because it was sent that long after something that we sent.

- No echo of our present life: it may be a recording from our last one. This is why a new life of a peer is not
  believed before it has heard us once.
- Dated more than `STALE` ago: it was held back, or is a recording.
- A life other than the one that we believe in has to have heard what we sent after that one's last beat: then it
  cannot be an earlier one.
- Within a life the sequence grows.

A link that works only from there to here stays usable: the echo stays the same, and its age grows as time does.
"""

from holdfast.beating.letters import Echo, Letter
from holdfast.beating.refusing import Refusal
from holdfast.model.ids import LifeId
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import Value, replace

STALE: Duration = 2 * SECOND
DRIFT = 1_000  # of two clocks: less than one part in so many


class Sighting(Value, frozen=True):
    """The newest packet of one life of a peer."""

    life: LifeId = ""
    sequence: int = 0
    at: Instant = 0


class Belief(Value, frozen=True):
    """What we believe of one peer."""

    believed: Sighting = Sighting()
    claimed: Sighting = Sighting()  # of a life that has not proven itself
    ours: int = 0  # our newest sequence when the believed beat came
    echoed: int = 0  # our newest sequence that it had
    echoed_sent_at: Instant = 0

    def echoes(self, now: Instant) -> tuple[Echo, ...]:
        """Return what a letter to the peer echoes."""
        return tuple(
            Echo(seen.life, seen.sequence, max(0, now - seen.at))
            for seen in (self.believed, self.claimed)
            if seen.life
        )


class Sent:
    """When we sent what: enough of it to date what is echoed. Kept for the newest beats only."""

    KEPT = 1_024

    def __init__(self) -> None:
        self.newest = 0
        self._at: dict[int, Instant] = {}

    def note(self, sequence: int, now: Instant) -> None:
        """Note that a beat is being sent. One that is sent again keeps its first instant."""
        self._at.setdefault(sequence, now)
        self.newest = max(self.newest, sequence)
        if len(self._at) > self.KEPT:
            del self._at[next(iter(self._at))]

    def at(self, sequence: int) -> Instant | None:
        """Return when the beat was sent; None if that is too long ago, or it never was."""
        return self._at.get(sequence)


def judge(
    belief: Belief, letter: Letter, at: Instant, life: LifeId, sent: Sent
) -> tuple[Belief, Refusal | None]:
    """Return what we believe after a letter of the peer that came at `at`, and why it is not believed, if so.

    `life` is our own.
    """
    beat = letter.beat
    is_new_life = beat.life != belief.believed.life
    seen = Sighting(beat.life, beat.sequence, at)
    before = belief.claimed if is_new_life else belief.believed
    if beat.life == before.life and beat.sequence <= before.sequence:
        return belief, Refusal.REPEATED
    if is_new_life:
        belief = replace(belief, claimed=seen)
    echo = next((echo for echo in letter.echoes if echo.life == life), None)
    if echo is None or (is_new_life and echo.sequence <= belief.ours):
        return belief, Refusal.UNPROVEN
    sent_at = sent.at(echo.sequence)
    if sent_at is None and not is_new_life and echo.sequence == belief.echoed:
        sent_at = belief.echoed_sent_at  # it has not heard us for long
    if sent_at is None or at - (sent_at + echo.ago) > STALE + echo.ago // DRIFT:
        return belief, Refusal.STALE
    claimed = Sighting() if is_new_life else belief.claimed
    return Belief(seen, claimed, sent.newest, echo.sequence, sent_at), None
