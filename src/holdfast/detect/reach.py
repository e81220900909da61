"""How well the other hosts are heard, as seen from here.

Silence has four explanations, and only one of them is the other host's death. So a host is LOST only when nothing
else explains it:

- the network was slow: `arrivals.py` knows how slow it usually is;
- only the way between us is broken: a third host that heard it since says so (indirect confirmation);
- we ourselves stood still: our own lateness extends every expectation (local health);
- our own link is broken: more than half of the hosts do not fall silent at once by chance, so then we doubt
  ourselves and give them all a longer grace (many at once).

Who was lost is not trusted at its first beat: after a failure the next one is likelier than ever, so it has to beat
some times in a row (probation).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from holdfast.detect.arrivals import DEVIATION_MIN, Arrivals, arrived, excused, overdue_at, patience
from holdfast.model.beats import Beat, Heard
from holdfast.model.cluster import HostReport
from holdfast.model.ids import Epoch, HostName, LifeId, ServiceName
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import Value, replace

# With a beat each 100 ms on a calm network: quiet after 229 ms, suspect after 333, lost after 527 ms of silence. So
# four beats in a row may get lost, and a sender may stand still for 400 ms.
PHI_QUIET = 1.0
PHI_SUSPECT = 2.0
PHI_LOST = 5.0

AT_ONCE_BEATS = 2  # hosts fell silent at once if their last beats came within so many beats' time
GRACE: Duration = SECOND  # for those that did
PROBATION_BEATS = 5
SETTLED_BEATS = 5  # before that many came we do not know its pace: no gap between them was a failure


class Reach(StrEnum):
    """How well a host is heard."""

    HEARD = "heard"
    SUSPECT = "suspect"  # silent, with an explanation that is still possible; or heard again, on probation
    LOST = "lost"
    UNKNOWN = "unknown"  # never heard since we started


class Peer(Value, frozen=True):
    """Another host, as its beats tell. Before the first has come it is only a name."""

    host: HostName
    life: LifeId = ""
    sequence: int = 0  # of its newest beat
    arrivals: Arrivals = Arrivals()
    report_number: int = 0  # of the newest report that came; 0: none of this life has
    report: HostReport | None = None
    heard: dict[HostName, Heard] = {}  # what it last heard of the others
    is_connected: bool = True
    heard_at: Instant = 0  # when its newest beat came
    holds: dict[ServiceName, Epoch] = {}
    promises: dict[HostName, dict[ServiceName, Epoch]] = {}
    probation: int = 0  # beats that it still owes after a failure


def hear(peer: Peer, beat: Beat, now: Instant, beat_every: Duration) -> Peer:
    """Return the successor after a beat; the same object if it is no news: older than the newest, or repeated.

    That a new life is one, and not an old recording, the transport has made sure of.
    """
    assert beat.host == peer.host
    is_same_life = beat.life == peer.life
    if is_same_life and beat.sequence <= peer.sequence:
        return peer
    number, report = (peer.report_number, peer.report) if is_same_life else (0, None)
    if beat.report is not None:
        number, report = beat.report_number, beat.report
    return Peer(
        peer.host,
        beat.life,
        beat.sequence,
        arrived(peer.arrivals if is_same_life else Arrivals(), now),
        number,
        report,
        beat.heard,
        beat.is_connected,
        max(now, peer.heard_at),
        beat.holds,
        beat.promises,
        _probation(peer, now, _steady(beat_every)),
    )


def _probation(peer: Peer, now: Instant, steady: "_Steady") -> int:
    """Return how many beats the host owes after one at `now`. A new life does not clear the old one's record.

    As with silence, nobody is given less patience than the file's own pace takes: beats that came early, since there was something
    to tell, make none of those late that come in time.
    """
    silent_since = peer.arrivals.at + peer.arrivals.excused
    if now < silent_since + steady.quiet:
        return max(0, peer.probation - 1)
    is_settled = peer.arrivals.count >= SETTLED_BEATS
    if is_settled and now >= max(silent_since + steady.lost, overdue_at(peer.arrivals, PHI_LOST)):
        return PROBATION_BEATS
    if peer.probation and now >= overdue_at(peer.arrivals, PHI_QUIET):
        return PROBATION_BEATS  # not in a row
    return max(0, peer.probation - 1)


def excuse(peers: Mapping[HostName, Peer], late: Duration, now: Instant) -> dict[HostName, Peer]:
    """Return the peers after our own loop came `late` to its tick at `now`: none of them is to blame for that silence.

    Excuse first, then hear what came meanwhile, then judge: else the first beat after it looks like a recovery.
    """
    return {
        host: replace(peer, arrivals=excused(peer.arrivals, late, now)) if peer.life else peer
        for host, peer in peers.items()
    }


def reach_of(  # noqa: PLR0917 - what there is to know about one moment
    peers: Mapping[HostName, Peer],
    hosts: Iterable[HostName],
    me: HostName,
    now: Instant,
    beat_every: Duration,
    loop_late: Duration,
) -> dict[HostName, Reach]:
    """Return how well each of the hosts is heard. `loop_late` is how late our own loop was at its last tick.

    That covers this moment only; `excuse` makes it last until the next beats.
    """
    steady, view = _steady(beat_every), None
    found: dict[HostName, Reach] = {}
    for host in hosts:
        peer = peers.get(host)
        if host == me:
            found[host] = Reach.HEARD
        elif peer is None or not peer.life:
            found[host] = Reach.UNKNOWN
        elif (
            now < peer.heard_at + steady.suspect
        ):  # nobody is given less patience: most hosts, most of the time
            found[host] = Reach.SUSPECT if peer.probation else Reach.HEARD
        else:
            view = view or _View(peers, me, now, beat_every, loop_late)
            found[host] = view.reach(peer)
    return found


def next_change(  # noqa: PLR0917 - the same
    peers: Mapping[HostName, Peer],
    hosts: Iterable[HostName],
    me: HostName,
    now: Instant,
    beat_every: Duration,
    loop_late: Duration,
) -> Instant | None:
    """Return when `reach_of` may answer something else though nothing is heard; None: never. Early, but not late."""
    steady = _steady(beat_every)
    known = [peer for host in hosts if host != me and (peer := peers.get(host)) is not None and peer.life]
    suspect = [_overdue_at(peer, PHI_SUSPECT, steady.suspect, loop_late) for peer in known]
    soonest = min(suspect, default=None)
    if soonest is None or soonest > now:
        return soonest
    view = _View(peers, me, now, beat_every, loop_late)
    return min((at for at in [*suspect, *view.changes(known, suspect)] if at > now), default=None)


class _View:
    """The peers at one moment. What only matters once somebody is silent is worked out then."""

    def __init__(
        self,
        peers: Mapping[HostName, Peer],
        me: HostName,
        now: Instant,
        beat_every: Duration,
        late: Duration,
    ) -> None:
        self._peers = {host: peer for host, peer in peers.items() if host != me and peer.life}
        self._me = me
        self._now = now
        self._late = late
        self._at_once = AT_ONCE_BEATS * beat_every
        self._steady = _steady(beat_every)
        self._silent_at_once: frozenset[HostName] | None = None

    def reach(self, peer: Peer) -> Reach:
        if self._now < _overdue_at(peer, PHI_SUSPECT, self._steady.suspect, self._late):
            return Reach.SUSPECT if peer.probation else Reach.HEARD
        return Reach.SUSPECT if self._now < self.lost_at(peer) else Reach.LOST

    def changes(self, peers: Iterable[Peer], suspect: Iterable[Instant]) -> list[Instant]:
        """Return when the suspects among these are lost, and when who may have fallen silent with them turns quiet."""
        lost = [self.lost_at(peer) for peer, at in zip(peers, suspect, strict=True) if self._now >= at]
        return lost + [self._quiet_at(peer) for peer in self._peers.values()]

    def lost_at(self, peer: Peer) -> Instant:
        patient = max(patience(peer.arrivals, PHI_LOST), self._steady.lost)
        witnessed = self._witnessed_at(peer.host) + patient + self._late
        at = max(_overdue_at(peer, PHI_LOST, self._steady.lost, self._late), witnessed)
        return at + GRACE if peer.host in self._fallen_silent_at_once() else at

    def _quiet_at(self, peer: Peer) -> Instant:
        return _overdue_at(peer, PHI_QUIET, self._steady.quiet, self._late)

    def _witnessed_at(self, host: HostName) -> Instant:
        """Return when somebody else last heard the host, as far as we were told.

        It stays true whatever became of the witness since. What its own beat took to come makes it look later than
        it was: an error to the side of patience.
        """
        return max(
            (
                witness.heard_at - heard.ago
                for witness in self._peers.values()
                if witness.host != host and (heard := witness.heard.get(host)) is not None
            ),
            default=0,
        )

    def _fallen_silent_at_once(self) -> frozenset[HostName]:
        if self._silent_at_once is None:
            self._silent_at_once = self._find_silent_at_once()
        return self._silent_at_once

    def _find_silent_at_once(self) -> frozenset[HostName]:
        """Return the hosts that fell silent together with more others than are heard still.

        Who fell silent earlier was counted then: of those that were left, these are more than half.
        """
        quiet = [peer for peer in self._peers.values() if self._now >= self._quiet_at(peer)]
        enough = max(2, len(self._peers) - len(quiet) + 1)
        if len(quiet) < enough:
            return frozenset()
        return frozenset(
            peer.host
            for peer in quiet
            if sum(abs(peer.heard_at - other.heard_at) <= self._at_once for other in quiet) >= enough
        )


def _overdue_at(peer: Peer, phi_limit: float, at_least: Duration, late: Duration) -> Instant:
    arrivals = peer.arrivals
    return peer.heard_at + arrivals.excused + max(patience(arrivals, phi_limit), at_least) + late


class _Steady(NamedTuple):
    """For how long a host may be silent that keeps its pace exactly: nobody is given less patience than that."""

    quiet: Duration
    suspect: Duration
    lost: Duration


@lru_cache(maxsize=16)
def _steady(beat_every: Duration) -> _Steady:
    arrivals = Arrivals(expected=beat_every, deviation=max(beat_every, DEVIATION_MIN))
    return _Steady(*(patience(arrivals, limit) for limit in (PHI_QUIET, PHI_SUSPECT, PHI_LOST)))
