"""When the next heartbeat of a host is due, and how suspicious its absence is.

Two windows watch the times between beats. The short one notices within a second or two that the network became
slower; the long one does not forget it as quickly. Each expectation is the more patient of the two (Chen's estimator
with two windows). Suspicion is not yes or no but phi, the accrual detector's number: with phi 3 a beat that still
comes would be one in a thousand, with phi 5 one in a hundred thousand. So each reader picks its own limit.

Both windows are exponential, so a value stays small however long a host is watched.
"""

import math
from functools import cache
from statistics import NormalDist

from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.model.value import Value, replace

# On a calm network the deviation measured is microseconds. A busy scheduler alone is good for more than that.
DEVIATION_MIN = 100 * MILLISECOND
SHORT_BEATS, LONG_BEATS = 16, 256
USUAL: Duration = 100 * MILLISECOND  # between beats, until the first was measured

# A gap of minutes was a failure, not a slow network: it counts as one that was just short of it. Otherwise the next
# failure would be found only after minutes as well.
PHI_FAILURE = 5.0

_PHI_MAX = 300.0  # what is beyond does not differ any more, and a float's smallest number is not far


class Window(Value, frozen=True):
    """Mean and variance of the times between the latest beats."""

    mean: float = float(USUAL)
    variance: float = 0.0


class Arrivals(Value, frozen=True):
    """What the beats of one host, so far, let us expect of the next."""

    at: Instant = 0  # of the newest beat
    count: int = 0  # of beats
    short: Window = Window()
    long: Window = Window()
    expected: Duration = USUAL  # from one beat to the next
    deviation: Duration = DEVIATION_MIN
    excused: Duration = 0  # how much of the silence since then was our own


def arrived(arrivals: Arrivals, at: Instant) -> Arrivals:
    """Return the successor after a beat that came at `at`. An earlier instant than the last counts as the last."""
    at = max(at, arrivals.at)
    intervals = arrivals.count  # including the one that ends here
    if not intervals:
        return replace(arrivals, at=at, count=1, excused=0)
    silence = max(0, min(at - arrivals.at - arrivals.excused, patience(arrivals, PHI_FAILURE)))
    short = _slid(arrivals.short, silence, min(intervals, SHORT_BEATS))
    long = _slid(arrivals.long, silence, min(intervals, LONG_BEATS))
    expected = max(short.mean, long.mean)
    # One lost beat is no news, whatever the pace: so never less than the time between two.
    deviation = max(math.sqrt(max(short.variance, long.variance)), DEVIATION_MIN, expected)
    return Arrivals(at, intervals + 1, short, long, round(expected), round(deviation))


def excused(arrivals: Arrivals, late: Duration, now: Instant) -> Arrivals:
    """Return the successor after we ourselves stood still for `late` until `now`: that silence does not count."""
    return replace(arrivals, excused=max(0, min(arrivals.excused + late, now - arrivals.at)))


def phi(arrivals: Arrivals, now: Instant) -> float:
    """Return how suspicious the silence is: -log10 of the chance that a beat comes later than this."""
    silence = now - arrivals.at - arrivals.excused
    z = (silence - arrivals.expected) / arrivals.deviation
    if z > 30:  # the chance itself is too small for a float; its logarithm is not
        return min(_PHI_MAX, (z * z / 2 + math.log(z * math.sqrt(math.tau))) / math.log(10))
    return -math.log10(math.erfc(z / math.sqrt(2)) / 2)


def patience(arrivals: Arrivals, phi_limit: float) -> Duration:
    """Return how much silence it takes to bring phi to the limit, which is above 0 and at most 300."""
    return arrivals.expected + math.ceil(_deviations(phi_limit) * arrivals.deviation)


def overdue_at(arrivals: Arrivals, phi_limit: float) -> Instant:
    """Return when phi will reach the limit, if nothing comes and we stay awake."""
    return arrivals.at + arrivals.excused + patience(arrivals, phi_limit)


def _slid(window: Window, interval: Duration, beats: int) -> Window:
    off = interval - window.mean
    # The first interval of all replaces what was only assumed.
    variance = 0.0 if beats == 1 else (1 - 1 / beats) * (window.variance + off * off / beats)
    return Window(window.mean + off / beats, variance)


@cache  # of the few limits that there are
def _deviations(phi_limit: float) -> float:
    assert 0.0 < phi_limit <= _PHI_MAX
    return -NormalDist().inv_cdf(10.0**-phi_limit)
