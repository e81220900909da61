"""Keeping the session and the leader's seat, for one life of one agent: as holdfast.agent.cluster does it."""

from collections.abc import Callable
from functools import partial

from holdfast.coordination.session_deadline import SessionDeadline, attempt_limit, renew_every, retry_after
from holdfast.model.cluster_events import (
    ClusterEvent,
    Deposed,
    Elected,
    SessionEnded,
    SessionOpened,
    SessionRenewed,
)
from holdfast.model.events import Ending
from holdfast.model.ids import Epoch, HostName
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.sim.chance import Chance
from holdfast.sim.cluster.asking_store import AskingStore
from holdfast.sim.cluster.clocks import HostClock
from holdfast.sim.cluster.store import Answer, Store

MARGIN = 0.1
_CAMPAIGN_AGAIN = 200 * MILLISECOND
_UNWELL_FOR = 50 * MILLISECOND


class KeepingSession:
    """One session after the other, renewed only by the live loop."""

    def __init__(  # noqa: PLR0917, PLR0913 - the parts of one life, joined in one place
        self,
        me: HostName,
        store: Store,
        asking: AskingStore,
        clock: HostClock,
        chance: Chance,
        ttl: Duration,
        put: Callable[[ClusterEvent], None],
        is_well: Callable[[], bool],
    ) -> None:
        self.me = me
        self._store = store
        self._asking = asking
        self._clock = clock
        self._chance = chance
        self._ttl = ttl
        self._put = put
        self._is_well = is_well
        self.id = 0  # as the store names it; 0: there is none
        self.number = 0  # as the cluster loop counts them
        self._deadline = SessionDeadline(ttl, MARGIN, 0)
        self._failures = 0
        self.followers: list[Callable[[], None]] = []

    def open(self) -> None:
        """Open a session, however often that has to be tried."""
        sent_at = self._clock.now
        self._asking.ask(
            partial(self._store.open, self.me), lambda answer: self._opened(sent_at, answer), SECOND
        )

    def _opened(self, sent_at: Instant, answer: Answer) -> None:
        deadline = SessionDeadline(self._ttl, MARGIN, self.counts_from(sent_at))
        if answer.ending is not Ending.DONE or not deadline.is_sure(self._clock.now):
            self._failures += 1
            pause = min(SECOND // 2, (50 * MILLISECOND) << min(self._failures, 10))
            self._clock.after(self._chance.between(pause // 2, pause), self.open)
            return
        self._failures, self._deadline, self.id = 0, deadline, answer.number
        self.number += 1
        self._put(SessionOpened(deadline.deadline, deadline.budget))
        self._tell()
        self._plan(sent_at + renew_every(deadline.budget))

    def counts_from(self, sent_at: Instant) -> Instant:
        """Return from when a renewal counts that was sent at `sent_at` and has just been answered."""
        return sent_at

    def _plan(self, at: Instant) -> None:
        self._clock.at(min(at, self._deadline.deadline), partial(self._renew, self.id))

    def _renew(self, session: int) -> None:
        if session != self.id:
            return
        now = self._clock.now
        if not self._deadline.is_sure(now):
            self._lose("it could not be renewed before its deadline")
        elif not self._is_well():
            self._plan(now + _UNWELL_FOR)
        else:
            limit = min(self._deadline.deadline - now, attempt_limit(self._deadline.budget))
            self._asking.ask(partial(self._store.renew, session), partial(self._renewed, session, now), limit)

    def _renewed(self, session: int, sent_at: Instant, answer: Answer) -> None:
        if session != self.id:
            return
        now, budget = self._clock.now, self._deadline.budget
        match answer.ending:
            case Ending.FAILED:
                self._lose(answer.text)
            case Ending.UNKNOWN:
                self._failures += 1
                self._plan(now + retry_after(budget, self._failures, self._chance.between(0, 100) / 100))
            case Ending.DONE if not self._deadline.is_sure(now):
                self._lose("it could not be renewed before its deadline")
            case Ending.DONE:
                self._failures = 0
                self._deadline = self._deadline.renewed(self.counts_from(sent_at))
                self._put(SessionRenewed(self._deadline.deadline))
                self._plan(max(now, sent_at + renew_every(budget)))

    def _lose(self, why: str) -> None:
        self.id = 0
        self._put(SessionEnded(why))
        self._tell()
        self.open()

    def _tell(self) -> None:
        for follower in self.followers:
            follower()


class Campaigning:
    """Standing for leader whenever there is a session."""

    def __init__(
        self,
        store: Store,
        asking: AskingStore,
        clock: HostClock,
        keeping: KeepingSession,
        put: Callable[[ClusterEvent], None],
    ) -> None:
        self._store = store
        self._asking = asking
        self._clock = clock
        self._keeping = keeping
        self._put = put
        self._me = keeping.me
        self.leads_under: Epoch = 0
        self._is_asking = False
        keeping.followers.append(self._session_changed)

    def _session_changed(self) -> None:
        self._depose()
        self.look(is_free=True)

    def look(self, *, is_free: bool) -> None:
        """Take the seat if it may be free, or ours without our knowing it."""
        session = self._keeping.id
        if not session or self.leads_under or self._is_asking or not is_free:
            return
        self._is_asking = True
        self._asking.ask(partial(self._store.campaign, self._me, session), partial(self._answered, session))

    def lost(self) -> None:
        """Learn that the seat is another's."""
        self._depose()

    def _answered(self, session: int, answer: Answer) -> None:
        self._is_asking = False
        if session != self._keeping.id:
            self.look(is_free=True)
        elif answer.ending is Ending.DONE:
            self.leads_under = answer.number
            self._put(Elected(answer.number))
        elif answer.ending is Ending.UNKNOWN:
            self._clock.after(_CAMPAIGN_AGAIN, lambda: self.look(is_free=True))

    def _depose(self) -> None:
        if self.leads_under:
            self.leads_under = 0
            self._put(Deposed())
