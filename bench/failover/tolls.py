"""What a fault of a store with standbys cost, counted from what clients and samplers wrote down. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from tests.lab import checking
from tests.lab.database_history import Sample
from tests.lab.history import History, Starved

MEMBERS: Final = ("h2", "h3", "h4")
FOLLOWERS: Final = len(MEMBERS) - 1
UNBROKEN: Final = SECOND // 4  # samples that follow each other so closely are one time of taking writes
EVERY: Final = 10 * MILLISECOND


class Kind(StrEnum):
    """What is done to the host of the primary."""

    KILL = "kill"  # kill -9 of the server
    CRASH = "crash"  # everything on it is killed and its cable pulled; it boots 3 s after the service is back
    CRASH_LEADER = "crash+leader"  # the same, and the coordinator's leader dies along
    HANG = "hang"  # server and manager, with all that belongs to it, stand still for 40 s
    HANG_SERVER = "hang-server"  # the server's main process stands still for 40 s; its manager lives
    MANAGER = "manager"  # kill -9 of the manager's main process for a minute; the server lives
    MANAGER_ALL = "manager-all"  # the same, of all processes of the manager
    COORDINATOR = "coordinator"  # all servers of the coordinator stand still for 45 s
    MOVE = "move"  # a planned switchover


@dataclass(frozen=True, slots=True)
class Toll:
    """What one fault cost."""

    outage: Duration | None  # None: it did not come back
    lost: int
    pinned_lost: int
    two_writable: Duration
    redundant: Duration | None
    starved: Duration  # how late the clients were themselves


def counted(history: History, at: Instant, *, is_back: bool) -> Toll:
    """Return what the history says about a fault at this instant."""
    roaming = sorted(
        append.ended for append in checking.acknowledged_of(history) if append.client == "roaming"
    )
    outages = [later - sooner for sooner, later in pairwise(roaming) if later > at]
    lost = checking.lost_of(history)
    since = redundant_since(history)
    is_served = bool(outages) and (is_back or roaming[-1] > at + SECOND)
    return Toll(
        max(outages) if is_served else None,
        sum(append.client == "roaming" for append in lost),
        sum(append.client == "pinned" for append in lost),
        two_writable(history.of(Sample)),
        None if since is None or not is_back else max(0, since - at),
        sum(record.late for record in history.of(Starved) if record.at >= at),
    )


def redundant_since(history: History) -> Instant | None:
    """Return since when all have followed the last primary, without a break; None: they do not.

    Not the one with the highest number, as the lab's judge has it: reigns of Redis have names, which do not grow.
    """
    asked = [sample for sample in history.of(Sample) if sample.followers >= 0]
    since: Instant | None = None
    for sample in asked:
        is_whole = sample.reign == asked[-1].reign and sample.followers >= FOLLOWERS
        since = (sample.ended if since is None else since) if is_whole else None
    return since


def two_writable(samples: Iterable[Sample]) -> Duration:
    """Return for how long two servers took writes at once."""
    spans: list[tuple[Instant, Instant, str]] = []
    latest: dict[str, int] = {}
    for sample in sorted((each for each in samples if each.is_taken), key=lambda each: each.ended):
        # A server that stood still answers late: what is sure is that it took the write just before its answer.
        begin, end, place = max(sample.at, sample.ended - EVERY), sample.ended, latest.get(sample.host)
        if place is not None and begin - spans[place][1] < UNBROKEN:
            spans[place] = (spans[place][0], end, sample.host)
        else:
            latest[sample.host] = len(spans)
            spans.append((begin, end, sample.host))
    return sum(
        max(0, min(one[1], other[1]) - max(one[0], other[0]))
        for number, one in enumerate(spans)
        for other in spans[number + 1 :]
        if one[2] != other[2]
    )


def row(kind: Kind, name: str, tolls: Sequence[Toll]) -> str:
    """Return one row of the table."""
    outages = [toll.outage / SECOND for toll in tolls if toll.outage is not None]
    never = len(tolls) - len(outages)
    median = f"{statistics.median(outages):.2f}" if outages else "-"
    each = " ".join(f"{value:.2f}" for value in outages) + (f" +{never} never" if never else "")
    whole = [toll.redundant / SECOND for toll in tolls if toll.redundant is not None]
    redundant = f"{statistics.median(whole):.1f}" if len(whole) == len(tolls) else "never"
    lost = "/".join(f"{toll.lost}+{toll.pinned_lost}" for toll in tolls)
    two = max(toll.two_writable for toll in tolls) / SECOND
    starved = max(toll.starved for toll in tolls) / MILLISECOND
    return (
        f"{kind:12} {name:22} outage s {median:>6} ({each})  lost {lost}  two writable s {two:.2f}"
        f"  redundant after s {redundant}  clients late ms {starved:.0f}"
    )
