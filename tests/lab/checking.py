"""The checkers of databases: what a history says about the promises of a service that holds data. Pure, as `judging.py` is.

Only what is certain counts as broken. A write was taken at some instant between question and answer, so of two that overlap nobody
knows which came first; a request that never got its answer may have been done or not. What is wrong after all such doubts is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise

from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from tests.lab.database_history import Append, Listed, Outcome, Sample, Touch
from tests.lab.history import Fault, Healed, History
from tests.lab.judging import Judgement, Verdict
from tests.lab.linearizing import ANY, linearizable

Reign = tuple[int, str]  # its number, and whose it is
SILENT = 3 * SECOND  # a primary that took no sample for so long is none any more: it takes a hundred a second

# --- nothing is lost ----------------------------------------------------------------------------------


def none_lost(history: History) -> Judgement:
    """Judge whether every acknowledged append is in the primary's list in the end."""
    kept, acknowledged = _kept(history), acknowledged_of(history)
    if kept is None or not acknowledged:
        return Judgement(Verdict.UNKNOWN, "nothing was acknowledged, or nobody read the list")
    lost = lost_of(history)
    if lost:
        return Judgement(Verdict.BROKEN, f"{len(lost)} of {len(acknowledged)} are lost: {_named(lost)}")
    return Judgement(Verdict.KEPT, f"{len(acknowledged)} appends")


def only_a_tail_lost(history: History, bound: Duration) -> Judgement:
    """Judge what asynchronous commit may lose: the last that a deposed primary acknowledged, for as long as `bound`, without a hole.

    `measured` is for how long a primary acknowledged what is lost, without the time for which its whole host stood still: what was
    on its way to it then is answered when it wakes, in the milliseconds that its guard needs.
    """
    kept, acknowledged = _kept(history), acknowledged_of(history)
    if kept is None or not acknowledged:
        return Judgement(Verdict.UNKNOWN, "nothing was acknowledged, or nobody read the list")
    newest = max(*(append.reign for append in acknowledged), *(listed.reign for listed in history.of(Listed)))
    longest: Duration | None = None
    for reign, of_reign in groupby(sorted(acknowledged, key=_by_reign), key=lambda append: append.reign):
        appends = list(of_reign)
        lost = [append for append in appends if append.entry not in kept]
        if not lost:
            continue
        if reign == newest:
            return Judgement(Verdict.BROKEN, f"lost under a primary that serves on: {_named(lost)}")
        first_lost = min(lost, key=lambda append: append.ended)
        later = [append for append in appends if append.entry in kept and append.at > first_lost.ended]
        if later:
            why = f"{_named([first_lost])} is lost, and {_named(later)} came after it and is kept"
            return Judgement(Verdict.BROKEN, why)
        last = max(append.ended for append in appends)
        lasted = last - first_lost.ended - _stood_still(history, first_lost.host, first_lost.ended, last)
        longest = max(lasted, longest or 0)
    if longest is not None and longest > bound:
        return Judgement(Verdict.BROKEN, f"more than the last {bound / MILLISECOND:.0f} ms are lost", longest)
    return Judgement(Verdict.KEPT, f"{len(lost_of(history))} of {len(acknowledged)} are lost", longest)


def _stood_still(history: History, host: str, since: Instant, until: Instant) -> Duration:
    """Return for how much of the time a whole host was paused."""
    resumed = {f"resume {host}", "all"}
    ends = [healed.at for healed in history.of(Healed) if healed.what in resumed]
    stood = 0
    for began in (fault.at for fault in history.of(Fault) if fault.what == f"pause {host}"):
        ended = min((end for end in ends if end >= began), default=until)
        stood += max(0, min(ended, until) - max(began, since))
    return stood


def lost_of(history: History) -> list[Append]:
    """Return the acknowledged appends that are not in the primary's list."""
    kept = _kept(history) or frozenset()
    return [append for append in acknowledged_of(history) if append.entry not in kept]


def acknowledged_of(history: History) -> list[Append]:
    return [append for append in history.of(Append) if append.outcome is Outcome.ACKNOWLEDGED]


# --- the list is what clients made it -----------------------------------------------------------------


def no_duplicates(history: History) -> Judgement:
    """Judge whether an entry stands in any server's list twice."""
    for listed in history.of(Listed):
        doubled = [entry for entry, count in Counter(listed.entries).items() if count > 1]
        if doubled:
            return Judgement(Verdict.BROKEN, f"{listed.host} has {len(doubled)} twice: {doubled[:3]}")
    return _if_listed(history)


def nothing_from_nowhere(history: History) -> Judgement:
    """Judge whether anything stands there that nobody appended, or whose client was told that it failed."""
    possible = {append.entry for append in history.of(Append) if append.outcome is not Outcome.FAILED}
    for listed in history.of(Listed):
        strange = [entry for entry in listed.entries if entry not in possible]
        if strange:
            return Judgement(
                Verdict.BROKEN, f"{listed.host} has {len(strange)} that nobody made: {strange[:3]}"
            )
    return _if_listed(history)


def in_order(history: History) -> Judgement:
    """Judge whether what began after another was acknowledged stands after it: for each client, and between them."""
    known = {append.entry: append for append in history.of(Append)}
    for listed in history.of(Listed):
        latest_begin: Append | None = None
        for entry in listed.entries:
            append = known.get(entry)
            if append is None or append.outcome is not Outcome.ACKNOWLEDGED:
                continue
            if latest_begin is not None and append.ended < latest_begin.at:
                why = f"on {listed.host} {_named([append])} stands after {_named([latest_begin])}, and ended before that began"
                return Judgement(Verdict.BROKEN, why)
            if latest_begin is None or append.at > latest_begin.at:
                latest_begin = append
    return _if_listed(history)


def standbys_equal(history: History) -> Judgement:
    """Judge whether all servers hold the same list in the end."""
    listings = {listed.host: listed for listed in history.of(Listed)}
    primary = next((listed for listed in listings.values() if listed.is_primary), None)
    if primary is None or len(listings) < 2:
        return Judgement(Verdict.UNKNOWN, "the lists were not read")
    for host, listed in listings.items():
        if listed.entries != primary.entries:
            differing = set(listed.entries) ^ set(primary.entries)
            return Judgement(
                Verdict.BROKEN,
                f"{host} and {primary.host} differ in {len(differing)}: {sorted(differing)[:3]}",
            )
    return Judgement(Verdict.KEPT, f"{len(primary.entries)} entries on {len(listings)} servers")


# --- one primary --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    """A write that somebody took, at some instant from `at` to `ended`."""

    reign: Reign
    at: Instant
    ended: Instant


def one_writable(history: History, excused: Duration = 0) -> Judgement:
    """Judge whether two servers ever took writes at once, asked over their own sockets. `measured`: the smallest gap between two reigns.

    A host that stood still as a whole, its guard too, is excused for so long after it went on: until its guard has ended what it has to.
    """
    return _never_two(_unexcused(history, _samples(history), excused))


def none_acknowledged_by_the_deposed(history: History, excused: Duration = 0) -> Judgement:
    """Judge whether a client's append was acknowledged under a reign after a later one had begun; excused as above.

    When it had begun is known from whoever had a write taken under it, client or sampler.
    """
    acknowledged = _unexcused(history, _acknowledged(history), excused)
    if not acknowledged:
        return Judgement(Verdict.UNKNOWN, "nothing was acknowledged")
    began: dict[Reign, Instant] = {}
    for taken in (*acknowledged, *_samples(history)):
        began[taken.reign] = min(taken.ended, began.get(taken.reign, taken.ended))
    for taken in acknowledged:
        later = [reign for reign, at in began.items() if reign[0] > taken.reign[0] and at < taken.at]
        if later:
            late = (taken.at - min(began[reign] for reign in later)) / MILLISECOND
            why = f"{_of(taken.reign)} acknowledged {late:.1f} ms after {_of(min(later))} served"
            return Judgement(Verdict.BROKEN, why)
    return Judgement(Verdict.KEPT, f"{len(began)} reigns")


def a_reign_has_one_host(history: History) -> Judgement:
    """Judge whether two servers ever took writes under one number: their histories part, and nobody could tell by the number."""
    owners: dict[int, str] = {}
    for number, host in sorted({taken.reign for taken in (*_samples(history), *_acknowledged(history))}):
        if owners.setdefault(number, host) != host:
            return Judgement(Verdict.BROKEN, f"reign {number} was {owners[number]}'s and {host}'s")
    if not owners:
        return Judgement(Verdict.UNKNOWN, "nobody ever served")
    return Judgement(Verdict.KEPT, f"{len(owners)} reigns")


def _samples(history: History) -> list[_Taken]:
    return [
        _Taken((sample.reign, sample.host), sample.at, sample.ended)
        for sample in history.of(Sample)
        if sample.is_taken
    ]


def _acknowledged(history: History) -> list[_Taken]:
    return [
        _Taken((append.reign, append.host), append.at, append.ended) for append in acknowledged_of(history)
    ]


def _unexcused(history: History, all_taken: Iterable[_Taken], excused: Duration) -> list[_Taken]:
    resumed = [
        (healed.what.removeprefix("resume "), healed.at)
        for healed in history.of(Healed)
        if healed.what.startswith("resume ")
    ]
    return [
        taken
        for taken in all_taken
        if not any(taken.reign[1] == host and 0 <= taken.at - at < excused for host, at in resumed)
    ]


def _never_two(all_taken: Iterable[_Taken]) -> Judgement:
    # A reign that was interrupted was a reign all the same: nobody gets a number back that he lost.
    first: dict[Reign, Instant] = {}
    last: dict[Reign, Instant] = {}
    for taken in all_taken:
        first[taken.reign] = min(taken.ended, first.get(taken.reign, taken.ended))
        last[taken.reign] = max(taken.at, last.get(taken.reign, taken.at))
    if not first:
        return Judgement(Verdict.UNKNOWN, "nobody ever served")
    gaps = []
    for old, new in pairwise(sorted(first, key=lambda reign: first[reign])):
        latest = max((other for other in first if first[other] <= first[old]), key=lambda other: last[other])
        gaps.append((first[new] - last[latest], latest, new))
    smallest = min(gaps, default=None)
    if smallest is not None and smallest[0] < 0:
        gap, old, new = smallest
        return Judgement(Verdict.BROKEN, f"{_of(old)} still took writes when {_of(new)} did", gap)
    return Judgement(Verdict.KEPT, f"{len(first)} reigns", None if smallest is None else smallest[0])


# --- registers ----------------------------------------------------------------------------------------


def registers_linearizable(history: History, *, is_lossless: bool) -> Judgement:
    """Judge each register. Where a reign may lose its tail, each is judged by itself, and begins with any value."""
    touches = history.of(Touch)
    answered = sorted({touch.reign for touch in touches if touch.outcome is Outcome.ACKNOWLEDGED})
    judged = 0
    for key in sorted({touch.key for touch in touches}):
        of_key = [touch for touch in touches if touch.key == key]
        for reign in [None] if is_lossless else answered:
            counted = [touch for touch in of_key if reign is None or _may_be_of(touch, reign)]
            told = linearizable(counted, ANY)
            if told.verdict is Verdict.BROKEN:
                return told
            judged += told.verdict is Verdict.KEPT
    if not judged:
        return Judgement(Verdict.UNKNOWN, "no register could be judged")
    return Judgement(Verdict.KEPT, f"{judged} histories of {len(touches)} operations")


def _may_be_of(touch: Touch, reign: int) -> bool:
    return touch.outcome is Outcome.UNKNOWN or touch.reign == reign


# --- all comes back -----------------------------------------------------------------------------------


def served_again(history: History, bound: Duration) -> Judgement:
    """Judge whether each client had an append acknowledged within `bound` of the last fault's end. `measured`: how long the last one waited."""
    ended = faults_ended(history)
    clients = {append.client for append in history.of(Append)}
    if ended is None or not clients:
        return Judgement(Verdict.UNKNOWN, "there was no fault, or nobody asked")
    waited: dict[str, Duration] = {}
    for append in acknowledged_of(history):
        if append.at >= ended:
            waited.setdefault(append.client, append.ended - ended)
    if missing := clients - waited.keys():
        return Judgement(Verdict.BROKEN, f"never served again: {', '.join(sorted(missing))}")
    longest = max(waited.values())
    return Judgement(Verdict.KEPT if longest <= bound else Verdict.BROKEN, "", longest)


def redundant_again(history: History, followers: int, bound: Duration) -> Judgement:
    """Judge whether so many followed the newest primary within `bound` of the last fault's end, and to the end of the history."""
    ended, counted = faults_ended(history), _counted(history)
    if ended is None or not counted:
        return Judgement(Verdict.UNKNOWN, "there was no fault, or nobody counted")
    since = redundant_since(history, followers)
    if since is None:
        told = f"{counted[-1].followers} follow {counted[-1].host} in the end, as far as was seen"
        return Judgement(Verdict.BROKEN, told)
    waited = max(0, since - ended)
    return Judgement(Verdict.KEPT if waited <= bound else Verdict.BROKEN, "", waited)


def redundant_since(history: History, followers: int) -> Instant | None:
    """Return since when so many have followed the newest primary, without a break; None: they do not, or nothing is heard of it."""
    counted = _counted(history)
    if counted and max(record.at for record in history.records) - counted[-1].ended > SILENT:
        return None
    newest = max((sample.reign for sample in counted), default=0)
    since: Instant | None = None
    for sample in counted:
        is_whole = sample.reign == newest and sample.followers >= followers
        since = (sample.ended if since is None else since) if is_whole else None
    return since


def _counted(history: History) -> list[Sample]:
    return [sample for sample in history.of(Sample) if sample.followers >= 0]


def faults_ended(history: History) -> Instant | None:
    """Return when the last fault ended. A kill has no end: it is over when it has happened."""
    ends = [*(record.at for record in history.of(Fault)), *(record.at for record in history.of(Healed))]
    return max(ends, default=None)


def outage_of(history: History) -> Duration:
    """Return the longest time in which no append was acknowledged, to anybody."""
    ends = sorted(append.ended for append in acknowledged_of(history))
    return max((later - sooner for sooner, later in pairwise(ends)), default=0)


# --- what they share ----------------------------------------------------------------------------------


def _kept(history: History) -> frozenset[tuple[str, int]] | None:
    listings = [listed for listed in history.of(Listed) if listed.is_primary]
    return frozenset(listings[-1].entries) if listings else None


def _if_listed(history: History) -> Judgement:
    listings: Mapping[str, int] = {listed.host: len(listed.entries) for listed in history.of(Listed)}
    if not any(listings.values()):
        return Judgement(Verdict.UNKNOWN, "the lists were not read")
    return Judgement(Verdict.KEPT, f"{sum(listings.values())} entries")


def _by_reign(append: Append) -> int:
    return append.reign


def _named(appends: Iterable[Append]) -> str:
    some = list(appends)
    names = ", ".join(f"{append.client}'s {append.number}" for append in some[:3])
    return names if len(some) <= 3 else f"{names}, ..."


def _of(reign: Reign) -> str:
    number, host = reign
    return f"{host} (reign {number})"
