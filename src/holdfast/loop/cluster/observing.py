"""What happened goes into the cluster loop's state. Decides nothing but what to believe."""

from typing import assert_never

from holdfast.detect.reach import Peer, excuse, hear
from holdfast.loop.cluster import leading, leasing, promising
from holdfast.loop.cluster.state import ClusterState, Flight, HeldLease, Session
from holdfast.model import cluster_events as events
from holdfast.model.cluster import ClusterView, HostReport
from holdfast.model.cluster_events import AdoptLease, Assign, DropWish, FenceHost, GiveLease, TakeLease
from holdfast.model.events import Ending
from holdfast.model.ids import component_id
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import replace

ANSWER_WITHIN = 5 * SECOND  # an order without an answer is in doubt from then on
TRY_AGAIN = SECOND // 5
LATE_FROM = 20 * MILLISECOND  # an event loop is a little late all the time


def observe(state: ClusterState, event: events.ClusterEvent, now: Instant) -> ClusterState:  # noqa: C901 - a flat table
    """Return the state after the event."""
    match event:
        case events.BeatHeard():  # the first, since most are
            return _heard(state, event, now)
        case events.SessionOpened():
            session = Session(state.session.number + 1, event.until, event.budget)
            return replace(state, session=session).noting(
                now, "info", state.me, "connected", "it has a session"
            )
        case events.SessionRenewed():
            return _renewed(state, event.until)
        case events.SessionEnded():
            return _session_ended(state, event.why, now)
        case events.ViewSeen():
            return _viewed(state, event.view, now)
        case events.MembersReported():
            return _reported(state, event)
        case events.PolicyGiven():
            return _with_revision(replace(state, policy=event.policy))
        case events.Elected():
            return replace(state, leads_under=event.epoch, leads_since=now).noting(
                now, "info", state.me, "leads", f"epoch {event.epoch}"
            )
        case events.Deposed():
            return replace(state, leads_under=0)
        case events.OrderFinished():
            return _finished(state, event, now)
        case events.TimePassed():
            return _passed(state, event.late, now)
        case _:
            assert_never(event)


def _passed(state: ClusterState, late: Duration, now: Instant) -> ClusterState:
    if late < LATE_FROM:
        return state if not state.late else replace(state, late=0)
    return replace(state, late=late, peers=excuse(state.peers, late, now))


def _renewed(state: ClusterState, until: Instant) -> ClusterState:
    if until <= state.session.until or not state.session.until:
        return state
    state = replace(state, session=replace(state.session, until=until))
    for name, held in state.held.items():
        if held.session == state.session.number:
            state = state.with_held(name, replace(held, until=until))
    return state


def _session_ended(state: ClusterState, why: str, now: Instant) -> ClusterState:
    """Hold for a moment what the session held: nobody was seen to take it, and a new session may bind it again."""
    if not state.session.until:
        return state  # it was known: its time had passed
    for name, held in state.held.items():
        until = min(held.until, now + leasing.ADOPT_WITHIN)
        state = state.with_held(name, replace(held, until=until, session=-1))
    state = replace(state, session=replace(state.session, until=0), leads_under=0)
    flights = {subject: flight for subject, flight in state.flights.items() if not flight.is_doubtful}
    return replace(state, flights=flights).noting(now, "warn", state.me, "disconnected", why)


def _viewed(state: ClusterState, view: ClusterView, now: Instant) -> ClusterState:
    before = state
    assigned, placed = dict(state.assigned_under), dict(state.placed)
    for name, assignment in view.assignments.items():
        assigned[name] = max(assigned.get(name, 0), assignment.leader_epoch)
        placed[name] = assignment.placed
    seen = dict(state.leases_seen)
    for name, epoch in view.lease_epochs.items():
        seen[name] = max(seen.get(name, 0), epoch)
    state = replace(state, view=view, assigned_under=assigned, placed=placed, leases_seen=seen)
    state = _cleared_doubts(state, now)
    return leasing.compared(state, before, now)


def _cleared_doubts(state: ClusterState, now: Instant) -> ClusterState:
    """Believe the view about orders that had no answer."""
    view = state.view
    assert view is not None
    for subject, flight in state.flights.items():
        if not flight.is_doubtful:
            continue
        order = flight.order
        if not isinstance(order, TakeLease):
            state = _landed(state, subject)
            continue
        lease = view.leases.get(order.service)
        if view.lease_epochs.get(order.service, 0) <= order.after:
            continue  # it may still take effect
        state = _landed(state, subject)
        if lease is not None and (lease.host, lease.life) == (state.me, state.life):
            state = _took(state, order, lease.epoch, flight, now)
    return state


def _heard(state: ClusterState, event: events.BeatHeard, now: Instant) -> ClusterState:
    beat = event.beat
    if beat.host not in state.policy.hosts or beat.host == state.me:
        return state
    peer = state.peers.get(beat.host) or Peer(beat.host)
    assert state.policy.cluster is not None
    after = hear(peer, beat, min(event.at, now), state.policy.cluster.heartbeat)
    if after is peer:
        return state  # it came late or twice
    state = replace(state, peers={**state.peers, beat.host: after})
    if beat.holds:
        state = promising.promised(state, beat, now)
    return promising.accepted(state, beat) if state.me in beat.promises else state


def _reported(state: ClusterState, event: events.MembersReported) -> ClusterState:
    report = state.report
    if (event.members, event.problem) != (report.members, report.problem) or not report.life:
        report = replace(
            report, life=state.life, number=report.number + 1, members=event.members, problem=event.problem
        )
    state = replace(
        state, report=report, known=event.entitlements, is_leaving=event.is_leaving, is_looked_at=True
    )
    return _with_revision(_recalling(state))


def _with_revision(state: ClusterState) -> ClusterState:
    if state.report.revision == state.policy.revision:
        return state
    report = replace(state.report, revision=state.policy.revision, number=state.report.number + 1)
    return replace(state, report=report)


def _recalling(state: ClusterState) -> ClusterState:
    """Note what our last life held and still serves, while no session of ours can bind it."""
    if state.session.number:
        return replace(state, recalled={}) if state.recalled else state
    recalled: dict[str, HeldLease] = {}
    for name, policy in state.policy.services.items():
        if not promising.holds_on(state, name) or name in state.held:
            continue
        for member in policy.members:
            report = state.report.members.get(component_id(name, member.name))
            if report is not None and (epoch := leasing.lease_it_serves(report)):
                known = state.recalled.get(name)
                recalled[name] = (
                    known
                    if known is not None and known.epoch == epoch
                    else HeldLease(member.name, epoch, -1, 0)
                )
    return state if recalled == state.recalled else replace(state, recalled=recalled)


# --- orders -------------------------------------------------------------------------------------------


def _finished(state: ClusterState, event: events.OrderFinished, now: Instant) -> ClusterState:
    found = next(((s, f) for s, f in state.flights.items() if f.order.id == event.order), None)
    if found is None:
        return state
    subject, flight = found
    if event.ending is Ending.UNKNOWN:
        return _in_doubt(state, subject, flight, now)
    is_done = event.ending is Ending.DONE
    if flight.is_doubtful and not is_done:
        # That one was refused; an equal one before it, which nobody answered, may be on its way still.
        return _in_doubt(state, subject, flight, now)
    state = _landed(state, subject)
    if isinstance(flight.order, FenceHost):
        return leading.fenced(state, flight.order.host, is_off=is_done, text=event.text, now=now)
    if not is_done:
        return _refused(state, subject, flight, event.text, now)
    return _done(state, subject, flight, event, now)


def _done(
    state: ClusterState, subject: str, flight: Flight, event: events.OrderFinished, now: Instant
) -> ClusterState:
    match flight.order:
        case TakeLease() as order:
            return _took(state, order, event.epoch, flight, now)
        case AdoptLease() as order:
            return _adopted(state, order, flight, now)
        case GiveLease() as order:
            state = replace(state, given_up={**state.given_up, order.service: order.epoch})
            return state.with_held(order.service, None).noting(now, "info", order.service, "gave", order.why)
        case Assign() as order:
            # The view that shows it is on its way; until it comes the same is not ordered again.
            state = replace(state, not_before={**state.not_before, subject: now + TRY_AGAIN})
            return state.noting(now, "info", order.assignment.service, "assigned", order.why)
        case DropWish() as order:
            state = replace(state, not_before={**state.not_before, subject: now + TRY_AGAIN})  # as above
            return state.noting(now, "info", order.service, "switchover", order.why)
        case _:
            return state


def _took(state: ClusterState, order: TakeLease, epoch: int, flight: Flight, now: Instant) -> ClusterState:
    if flight.session != state.session.number or not state.session.is_sure(now):
        return state  # bound to a session that is over, and so over with it
    held = HeldLease(order.member, epoch, flight.session, state.session.until)
    text = f"{order.member} holds the lease, epoch {epoch}: {order.why}"
    return state.with_held(order.service, held).noting(now, "info", order.service, "took", text)


def _adopted(state: ClusterState, order: AdoptLease, flight: Flight, now: Instant) -> ClusterState:
    if flight.session != state.session.number or not state.session.is_sure(now):
        return state
    before = state.held.get(order.service)
    promised = before.promised if before is not None else {}
    held = HeldLease(order.member, order.epoch, flight.session, state.session.until, promised)
    return state.with_held(order.service, held).noting(now, "info", order.service, "kept", order.why)


def _refused(state: ClusterState, subject: str, flight: Flight, text: str, now: Instant) -> ClusterState:
    state = replace(state, not_before={**state.not_before, subject: now + TRY_AGAIN})
    order = flight.order
    if isinstance(order, AdoptLease) and order.service in state.held:
        state = state.with_held(order.service, None).noting(now, "error", order.service, "lost", text)
    if isinstance(order, Assign):
        state = state.noting(now, "warn", order.assignment.service, "refused", text)
    return state


def _in_doubt(state: ClusterState, subject: str, flight: Flight, now: Instant) -> ClusterState:
    is_bound = flight.session == state.session.number and state.session.is_sure(now)
    if isinstance(flight.order, TakeLease) and is_bound:
        # It may take effect as long as the session lasts, so nothing is promised meanwhile. To ask for the same again is
        # harmless: only one of the two can take effect.
        doubtful = replace(flight, is_doubtful=True, deadline=now + TRY_AGAIN)
        state = replace(state, flights={**state.flights, subject: doubtful})
        return _cleared_doubts(state, now) if state.view is not None else state  # it may have shown it before
    state = _landed(state, subject)
    return replace(state, not_before={**state.not_before, subject: now + TRY_AGAIN})


def _landed(state: ClusterState, subject: str) -> ClusterState:
    return replace(state, flights={name: flight for name, flight in state.flights.items() if name != subject})


def expired(state: ClusterState, now: Instant) -> ClusterState:
    """Return the state in which orders that had no answer in time are in doubt, and what time ended is gone."""
    for subject, flight in state.flights.items():
        if not flight.is_doubtful and now >= flight.deadline:
            state = _in_doubt(state, subject, flight, now)
    if state.not_before and now >= min(state.not_before.values()):
        waits = {subject: until for subject, until in state.not_before.items() if now < until}
        state = replace(state, not_before=waits)
    if state.session.until and not state.session.is_sure(now):
        state = _session_ended(state, "it could not be renewed before its deadline", now)
    return leasing.ran_out(state, now)


def first_report(life: str, version: str = "") -> HostReport:
    """Return the report of an agent that has not looked at anything yet."""
    return HostReport(life, version=version)
