"""One life of the agent of one host: the cluster loop, and what joins it with the world and with the host's own loop.

What it does is what the real one does (holdfast.agent.cluster.clustering): what follows from a turn is passed on after it, in
the same order, and the two loops speak by events only.
"""

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from holdfast.loop.cluster import leasing, showing, whereabouts
from holdfast.loop.cluster.observing import first_report
from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.cluster.turn import is_mere, next_wake, turn
from holdfast.loop.localizing import localized
from holdfast.loop.reporting import report_members
from holdfast.model.beats import Beat
from holdfast.model.cluster import ClusterView, Entitlement, MemberReport
from holdfast.model.cluster_events import (
    BeatHeard,
    ClusterEvent,
    MembersReported,
    PolicyGiven,
    TimePassed,
    ViewSeen,
)
from holdfast.model.decisions import Decision
from holdfast.model.events import ElsewhereSeen, Ending, Entitled, Event, PolicyChanged
from holdfast.model.ids import ComponentId, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, Instant
from holdfast.sim import policies
from holdfast.sim.cluster.arming import Arming
from holdfast.sim.cluster.asking_store import AskingStore
from holdfast.sim.cluster.judging import Promised
from holdfast.sim.cluster.keeping import Campaigning, KeepingSession
from holdfast.sim.cluster.ordering import Ordering
from holdfast.sim.cluster.sharing import Sharing
from holdfast.sim.cluster.store import Answer

if TYPE_CHECKING:
    from holdfast.sim.cluster.host import Host

_WAKE_MIN = MILLISECOND
_APART_MIN = 10 * MILLISECOND
_REPORT_AGAIN = 200 * MILLISECOND


class ClusterAgent:
    """The cluster's side of one agent, from its start to its end."""

    def __init__(self, host: "Host", life: str) -> None:
        self.host = host
        self.clock = clock = host.agent_clock
        self._chance = host.chance
        cluster = host.policy.cluster
        assert cluster is not None
        self.state = ClusterState(
            host.name,
            life,
            host.policy,
            clock.now,
            report=first_report(life),
            assigned_under=dict(host.assigned_under),
        )
        self.is_over = False
        self.turns = 0
        self._events: deque[ClusterEvent] = deque()
        self._is_turning = False
        self._is_due = False
        self._alarm_at: Instant = 0
        self._hurries = False
        self._beaten_at: Instant = 0
        self._entitlements: dict[ServiceName, Entitlement] | None = None
        self._elsewhere: dict[ComponentId, MemberReport] = {}
        self._reported: tuple[object, ...] | None = None
        self._written = (0, 0)
        self._is_writing = False
        self._in_force: Policy = host.shell.state.policy
        self._placed_for: tuple[Policy, dict[ServiceName, dict[str, str]]] | None = None
        self.asking = AskingStore(host.name, host.network, host.store, clock, self._chance)
        self.keeping = KeepingSession(
            host.name, host.store, self.asking, clock, self._chance, cluster.lease, self.put, self._is_well
        )
        self.campaigning = Campaigning(host.store, self.asking, clock, self.keeping, self.put)
        self.arming = Arming(host.guard, clock, lambda: self.state)
        self._ordering = Ordering(self)
        self.sharing = Sharing(self)

    def begin(self) -> None:
        """Join the cluster."""
        self.keeping.open()
        self._beat_on()
        self._set_alarm()

    def end(self) -> None:
        """Be over: nothing that was meant for this life reaches it any more."""
        self.is_over = True
        self.asking.close()

    # --- turning --------------------------------------------------------------------------------------

    def put(self, event: ClusterEvent) -> None:
        """Turn this event, after what is being turned."""
        self._events.append(event)
        if not self._is_turning:
            self._drain()

    def put_soon(self, event: ClusterEvent) -> None:
        """Turn this event once this host's own loop is done with what it is doing."""
        self._events.append(event)
        if not self._is_due:
            self._is_due = True
            self.clock.after(self._chance.between(0, MILLISECOND), self._drain)

    def _drain(self) -> None:
        self._is_due = False
        if self.is_over:
            return
        if self._alarm_at and (late := self.clock.now - self._alarm_at) > 0:
            self._events.appendleft(TimePassed(late))
        self._is_turning = True
        needs_alarm = not self._alarm_at
        while self._events:
            needs_alarm |= self._turn(self._events.popleft())
        self._is_turning = False
        if needs_alarm:
            self._set_alarm()

    def _turn(self, event: ClusterEvent) -> bool:
        """Turn one event; tell whether the next deadline may be an earlier one by that. A mere beat puts it off."""
        now, before = self.clock.now, self.state
        after, orders = turn(before, event, now)
        self.turns += 1
        self.state = after
        if self.host.tell is not None:
            self.host.tell_turn(event, before, after, orders)
        is_mere_beat = isinstance(event, BeatHeard) and is_mere(event.beat, before, after)
        if not is_mere_beat:
            self._pass_on(before, after, now)
        if after.held is not before.held or after.report is not before.report:
            self.arming.follow_up()
        if after.report.number != before.report.number or after.promises != before.promises:
            self._note_promises(before, after)
            self._hurry()
        if orders:
            self._ordering.begin(orders, after.session.number)
        if not is_mere_beat:
            self._write_report()
        return not is_mere_beat

    def _set_alarm(self) -> None:
        now = self.clock.now
        due = max(next_wake(self.state, now), now + _WAKE_MIN)
        if due != self._alarm_at:
            self._alarm_at = due
            self.clock.at(due, partial(self._ring, due))

    def _ring(self, due: Instant) -> None:
        if not self.is_over and due == self._alarm_at:
            self._alarm_at = 0
            self.put(TimePassed(self.clock.now - due))

    def _pass_on(self, before: ClusterState, state: ClusterState, now: Instant) -> None:
        shell = self.host.shell
        if leasing.is_told(state, now):
            entitlements = leasing.entitlements(state, now)
            if entitlements != self._entitlements:
                self._entitlements = entitlements
                shell.put(Entitled(entitlements))
        if (
            state.view is not before.view
            or state.peers is not before.peers
            or state.reach is not before.reach
            or state.policy is not before.policy
        ):
            members = showing.elsewhere(state)
            if members != self._elsewhere:
                self._elsewhere = members
                shell.put(ElsewhereSeen(members))
        if state.policy is not before.policy or state.view is not before.view:
            self._localize(state)
        self.host.assigned_under = state.assigned_under
        if state.view is not before.view:
            leader = state.view.leader if state.view is not None else None
            if leader is not None and leader.host != state.me:
                self.campaigning.lost()
            self.campaigning.look(is_free=leader is None or leader.host == state.me)

    def _note_promises(self, before: ClusterState, after: ClusterState) -> None:
        for service, promise in after.promises.items():
            if promise != before.promises.get(service):
                until = self.clock.true(promise.until)
                self.host.judging.promised(service, Promised(after.me, promise.to, promise.epoch, until))

    def _is_well(self) -> bool:
        return not (self.arming.has_problem and self.state.held)

    # --- this host's own loop -------------------------------------------------------------------------

    def follow_local(
        self, _event: Event, before: State, after: State, _decisions: tuple[Decision, ...]
    ) -> None:
        """Tell the cluster loop how the members here are, when that changed."""
        if self.is_over or not after.surveyed_at:
            return
        if self._reported is not None and (
            after.components is before.components
            and after.services is before.services
            and after.entitlements is before.entitlements
            and after.is_going_down == before.is_going_down
            and after.pause is before.pause
            and after.looked_at == before.looked_at
        ):
            return
        members = report_members(after, self.clock.now)
        said = (members, after.entitlements, after.is_going_down)
        if said != self._reported:
            self._reported = said
            self.put_soon(MembersReported(members, after.entitlements, "", is_leaving=after.is_going_down))

    def _localize(self, state: ClusterState) -> None:
        placed = whereabouts.placed(state)
        if self._placed_for is not None and (state.policy, placed) == self._placed_for:
            return
        self._placed_for = (state.policy, placed)
        self.clock.after(self._chance.between(MILLISECOND, 20 * MILLISECOND), self._put_in_force)

    def _put_in_force(self) -> None:
        if self.is_over:
            return
        wanted = localized(self.state.policy, self.state.me, whereabouts.placed(self.state))
        if wanted != self._in_force:
            self.take_part(wanted)

    def take_part(self, part: Policy) -> None:
        """Have this host's own loop carry out `part`."""
        self._in_force = part
        digests = policies.digests(part)
        self.host.truth.learn(part)
        self.host.acting.set_digests(digests)
        self.host.shell.turn(PolicyChanged(part, digests))

    def give_policy(self, policy: Policy) -> None:
        """Take a new file over, as a whole."""
        self.host.policy = policy
        self.take_part(localized(policy, self.state.me, whereabouts.placed(self.state)))
        self.put(PolicyGiven(policy))

    # --- the coordinator, and the others ----------------------------------------------------------------

    def see(self, view: ClusterView, policy_number: int) -> None:
        """See what stands in the coordinator."""
        if self.is_over:
            return
        self.put(ViewSeen(view))
        self.sharing.see(policy_number)

    def _write_report(self) -> None:
        wanted = (self.keeping.number, self.state.report.number)
        session = self.keeping.id
        if self._is_writing or not session or wanted == self._written or not self.state.is_looked_at:
            return
        self._is_writing = True
        write = partial(self.host.store.report, self.state.me, self.state.report, session)
        self.asking.ask(write, partial(self._report_written, wanted))

    def _report_written(self, wanted: tuple[int, int], answer: Answer) -> None:
        if answer.ending is Ending.DONE:
            self._written = wanted
            self._write_again()
        else:
            self.clock.after(_REPORT_AGAIN, self._write_again)

    def _write_again(self) -> None:
        self._is_writing = False
        if not self.is_over:
            self._write_report()

    def _beat_on(self) -> None:
        if self.is_over:
            return
        cluster = self.state.policy.cluster
        assert cluster is not None
        if self.clock.now - self._beaten_at >= cluster.heartbeat:
            self._beat()
        self.clock.at(self._beaten_at + cluster.heartbeat, self._beat_on)

    def _hurry(self) -> None:
        if not self._hurries:
            self._hurries = True
            self.clock.at(max(self._beaten_at + _APART_MIN, self.clock.now), self._beat_early)

    def _beat_early(self) -> None:
        if not self.is_over and self._hurries:
            self._beat()

    def _beat(self) -> None:
        self._hurries = False
        self._beaten_at = self.clock.now
        self.state, beat = showing.next_beat(self.state, self.clock.now)
        self.host.send_beat(beat)

    def hear(self, beat: Beat, at: Instant) -> None:
        """Hear a beat that came at `at`."""
        if not self.is_over:
            self.put(BeatHeard(beat, at))
