"""The judge: what a recorded history says about the promises. Pure: it reads the history, never the world.

Verdicts are three. A history with holes in it, in which nothing wrong was seen, is no proof of anything: `unknown`. But
what was seen was seen: a violation beside a hole is still one.

The judge says by how much a promise was kept, not only that it was: the smallest handover gap of many runs tells how
near they came to two primaries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from holdfast.model.time import MILLISECOND, Duration, Instant
from tests.lab.history import Asked, Beat, Fault, Healed, History, Mark, Served, Starved

# A primary marks every 5 ms. One that is silent for longer than this was frozen or starved: it served before and
# after, and nobody knows that it did between.
SILENCE = 250 * MILLISECOND
# A recorder that is late loses nothing: marks wait for it in the kernel, stamped by who sent them. But the queue has an end,
# and who finds it full may die before he can say so.
HOLE = 5000 * MILLISECOND


class Verdict(StrEnum):
    """What the judge found."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class BrokenPromiseError(AssertionError):
    """A promise of safety was seen broken. No test that ends so gets a second attempt."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one promise."""

    verdict: Verdict
    why: str = ""
    measured: Duration | None = None  # by how much: the smallest gap, the longest outage

    def __str__(self) -> str:
        measured = "" if self.measured is None else f" ({self.measured / MILLISECOND:.1f} ms)"
        return f"{self.verdict}{measured} {self.why}".rstrip()


@dataclass(frozen=True, slots=True)
class Span:
    """One primary, serving without a pause: from the first sign of it to the last."""

    begin: Instant
    end: Instant
    host: str
    pid: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.host} (pid {self.pid}, epoch {self.epoch})"


# --- never two primaries ------------------------------------------------------------------------------


def never_two(history: History, service: str, *, accepted_only: bool = False) -> Judgement:
    """Judge whether two processes ever served at the same time. `measured` is the smallest handover gap.

    With `accepted_only` only what the store took counts: what is left of the promise after a whole host was paused, when
    the store's epochs have to close the gap.
    """
    spans = spans_of(history, service, accepted_only=accepted_only)
    gaps = list(_handovers(spans))
    smallest = min(gaps, key=lambda gap: gap[0], default=None)
    if smallest is not None and smallest[0] <= 0:
        gap, old, new = smallest
        return Judgement(Verdict.BROKEN, f"{old} still served when {new} began", gap)
    measured = None if smallest is None else smallest[0]
    return _unless_holed(history, service, measured, "" if gaps else "there was no handover")


def spans_of(history: History, service: str, *, accepted_only: bool = False) -> list[Span]:
    """Return when who served, by the instant at which each began."""
    signs: dict[tuple[str, int, int], list[Instant]] = {}
    served: list[Served | Mark] = [] if accepted_only else [*history.of(Served)]
    served += [mark for mark in history.of(Mark) if mark.accepted or not accepted_only]
    for sign in served:
        if sign.service == service:
            signs.setdefault((sign.host, sign.pid, sign.epoch), []).append(sign.at)
    found = [
        Span(instants[0], instants[-1], *who)
        for who, all_instants in signs.items()
        for instants in _unbroken(sorted(all_instants))
    ]
    return sorted(found, key=lambda span: span.begin)


def _unbroken(instants: Sequence[Instant]) -> Iterable[Sequence[Instant]]:
    begin = 0
    for number, (one, other) in enumerate(pairwise(instants), 1):
        if other - one > SILENCE:
            yield instants[begin:number]
            begin = number
    yield instants[begin:]


def _handovers(spans: Sequence[Span]) -> Iterable[tuple[Duration, Span, Span]]:
    """Yield each change of who serves, with the time between; negative: they served at once."""
    last: dict[tuple[str, int], Span] = {}  # of each process, the span that ended last
    for span in spans:
        others = [old for process, old in last.items() if process != (span.host, span.pid)]
        if others:
            latest = max(others, key=lambda old: old.end)
            yield span.begin - latest.end, latest, span
        before = last.get((span.host, span.pid))
        if before is None or span.end >= before.end:
            last[span.host, span.pid] = span


# --- epochs only grow ---------------------------------------------------------------------------------


def epochs_only_grow(history: History, service: str) -> Judgement:
    """Judge whether the store ever took a write under an epoch lower than one it had taken before.

    Two processes with one epoch are as wrong as a lower one: the store cannot tell them apart.
    """
    highest: Mark | None = None
    owners: dict[int, tuple[str, int]] = {}
    # In the order in which the store took them: that is what a stale write would have destroyed.
    for mark in sorted(history.of(Mark), key=lambda mark: mark.received):
        if mark.service != service or not mark.accepted:
            continue
        owner = owners.setdefault(mark.epoch, (mark.host, mark.pid))
        if owner != (mark.host, mark.pid):
            return Judgement(Verdict.BROKEN, f"epoch {mark.epoch} was given to {owner[0]} and to {mark.host}")
        if highest is not None and mark.epoch < highest.epoch:
            why = (
                f"{mark.host} wrote under epoch {mark.epoch} after {highest.host} under epoch {highest.epoch}"
            )
            return Judgement(Verdict.BROKEN, why, mark.received - highest.received)
        highest = mark
    return _unless_holed(history, service, None, "")


# --- service comes back -------------------------------------------------------------------------------


def back_within(history: History, bound: Duration) -> Judgement:
    """Judge whether all clients were served from `bound` after the last fault ended on, up to the end of the history.

    `measured` is when the last failure ended, or the first answer came if none failed.
    """
    # A kill has no end: it is over when it has happened.
    # A kill has no end: it is over when it has happened.
    ends = [*(record.at for record in history.of(Fault)), *(record.at for record in history.of(Healed))]
    if not ends:
        return Judgement(Verdict.UNKNOWN, "there was no fault")
    ended = max(ends)
    after = [asked for asked in history.of(Asked) if asked.at >= ended]
    late = [asked for asked in after if asked.at > ended + bound]
    if not late:
        return Judgement(Verdict.UNKNOWN, "clients stopped asking before the bound was over")
    failed = [asked for asked in after if not asked.is_ok]
    measured = (failed[-1] if failed else after[0]).ended - ended
    wrong = [asked for asked in late if not asked.is_ok]
    if not wrong:
        return Judgement(Verdict.KEPT, measured=measured)
    if starved := sum(record.late for record in history.of(Starved) if record.at >= ended):
        return Judgement(
            Verdict.UNKNOWN, f"clients were {starved / MILLISECOND:.0f} ms late themselves", measured
        )
    return Judgement(
        Verdict.BROKEN, f"{len(wrong)} of {len(late)} requests failed: {wrong[-1].error}", measured
    )


def outage(asked: Iterable[Asked], since: Instant) -> Duration | None:
    """Return the longest time between two answers that follow each other, from the last one before `since` on.

    None if nothing was answered before it or nothing after it: then the outage has no begin or no end.
    """
    answered = sorted(request.ended for request in asked if request.is_ok)
    before = [at for at in answered if at <= since]
    after = [at for at in answered if at > since]
    if not before or not after:
        return None
    return max(other - one for one, other in pairwise([before[-1], *after]))


# --- what is not known --------------------------------------------------------------------------------


def holes(history: History, service: str) -> list[str]:
    """Return what is missing in the record of who served."""
    found = []
    beats = history.of(Beat)
    if not beats:
        found.append("the recorder never ran")
    found += [
        f"the recorder was silent for {(other.at - one.at) / MILLISECOND:.0f} ms"
        for one, other in pairwise(beats)
        if other.at - one.at > HOLE
    ]
    marks = [mark for mark in history.of(Mark) if mark.service == service]
    if not marks:
        found.append("nobody ever served")
    if marks and beats and marks[-1].at - beats[-1].at > HOLE:
        found.append("the recorder ended before the primary")
    lost = {(mark.host, mark.pid): mark.lost for mark in marks}
    found += [f"{count} marks of {host} were lost" for (host, _), count in lost.items() if count]
    return found


def longest_stall(history: History) -> Duration:
    """Return how long the recorder was silent at most: it was frozen out by a busy machine, and so was all else.

    A deadline that was missed meanwhile is the machine's fault, not the program's.
    """
    return max((other.at - one.at for one, other in pairwise(history.of(Beat))), default=0)


def _unless_holed(history: History, service: str, measured: Duration | None, why: str) -> Judgement:
    missing = holes(history, service)
    if missing:
        return Judgement(Verdict.UNKNOWN, "; ".join(missing), measured)
    return Judgement(Verdict.KEPT, why, measured)
