"""Leases from the side of who holds them: when to take one, when to take it over from our own last life, when to give it up.

Holding ends in one of three ways: given up, after the member proved that it does not serve; seen in another's hands; or run
out. In between lies a short doubt: our session is over before its time, and nobody was seen to take the lease. Then it is
bound to a new session if that comes off quickly; the member serves on meanwhile, for a moment.
"""

from holdfast.detect.reach import Peer, Reach
from holdfast.loop.cluster import promising
from holdfast.loop.cluster.state import ClusterState, HeldLease, LastHeld, member_report
from holdfast.loop.cluster.whereabouts import host_of
from holdfast.model.cluster import Assignment, Entitlement, Lease, MemberReport, lease_of
from holdfast.model.cluster_events import AdoptLease, GiveLease, Order, TakeLease
from holdfast.model.ids import Epoch, ServiceName, component_id
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Role
from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.model.value import replace

# How long a member serves on after its host's session was ended before its time, while a new one is made.
ADOPT_WITHIN = 500 * MILLISECOND
ACTS_BEFORE_MAX = 300 * MILLISECOND


def acts_before(state: ClusterState) -> Duration:
    """Return how long before its last instant a lease counts as over: the agent stops its member before the guard has to."""
    assert state.policy.cluster is not None
    return min(state.policy.cluster.lease // 10, ACTS_BEFORE_MAX)


def entitlements(state: ClusterState, now: Instant) -> dict[ServiceName, Entitlement]:
    """Return what this host's own loop has to know of leases."""
    return {
        name: Entitlement(held.member, held.epoch, held.is_ending, held.open_within)
        for name, held in state.held.items()
        if now < promising.sure_until(state, name, held) - acts_before(state)
    }


def is_told(state: ClusterState, now: Instant) -> bool:
    """Tell whether it is known which leases this host holds, so that its own loop may be told.

    An agent that has just started does not know yet what its last life held. Until it does, its loop leaves alone
    what serves, and the guard ends it at the last deadline that it was given.
    """
    if state.view is None or not state.session.number or not state.is_looked_at:
        return False
    return not (
        state.session.is_sure(now) and any(_is_undecided(state, name) for name in state.policy.services)
    )


def _is_undecided(state: ClusterState, service: ServiceName) -> bool:
    """Tell whether a lease of our last life may still become ours again."""
    if service in state.held:
        return False
    flight = state.flights.get(f"lease {service}")
    if flight is not None and isinstance(flight.order, AdoptLease):
        return True  # the view may show it done before the answer comes
    return _own_from_before(state, service) is not None


def deadlines(state: ClusterState) -> dict[ServiceName, Instant]:
    """Return when the guard has to end the member that holds each lease."""
    return {name: promising.sure_until(state, name, held) for name, held in state.held.items()}


# --- what to order --------------------------------------------------------------------------------------


def lease_orders(
    state: ClusterState, now: Instant
) -> tuple[tuple[Order, ...], dict[str, str], tuple[Instant, ...]]:
    """Return what to do about leases, what is withheld and why, and when to ask again."""
    orders: list[Order] = []
    withheld: dict[str, str] = {}
    wakes: list[Instant] = []
    if not state.session.is_sure(now) or state.view is None:
        return (), {}, ()
    for name, policy in state.policy.services.items():
        if not policy.is_exclusive:
            continue
        held = state.held.get(name)
        if held is not None:
            order = _keep(state, name, held)
        elif (own := _own_from_before(state, name)) is not None:
            order = AdoptLease(name, own[0], own[1], "it was taken by the last life of this agent")
        elif (ours := _unheld(state, name)) is not None:
            order = AdoptLease(name, ours.member, ours.epoch, "it is ours, though nobody said so")
        else:
            order, why, until = _take(state, policy, now)
            if why:
                withheld[f"lease {name}"] = why
            if until is not None:
                wakes.append(until)
        if order is not None:
            orders.append(order)
    orders += _without_use(state)
    return tuple(orders), withheld, tuple(wakes)


def _without_use(state: ClusterState) -> list[Order]:
    """Return the leases to give up because the file has no use for them any more, once nothing can come of it.

    While another host still has the earlier file, an active-standby service of it would be promoted there at once.
    """
    assert state.view is not None
    is_rolled_out = all(report.revision == state.policy.revision for report in state.view.hosts.values())
    orders: list[Order] = []
    for name, held in state.held.items():
        policy = state.policy.services.get(name)
        report = state.report.members.get(component_id(name, held.member))
        if policy is None and (report is None or report.is_clear):
            orders.append(GiveLease(name, held.epoch, "the file no longer names it"))
        elif policy is not None and not policy.is_exclusive and is_rolled_out:
            orders.append(GiveLease(name, held.epoch, "all its members serve now"))
    return orders


def _keep(state: ClusterState, name: ServiceName, held: HeldLease) -> Order | None:
    if held.is_ending:
        is_acknowledged = state.known is not None and (name not in state.known or state.known[name].is_ending)
        report = state.report.members.get(component_id(name, held.member))
        if is_acknowledged and (report is None or report.is_clear):
            return GiveLease(name, held.epoch, f"{held.member} does not serve any more: {held.why_ending}")
        return None
    if held.session != state.session.number:
        return AdoptLease(name, held.member, held.epoch, "this host has a new session")
    return None


def _take(
    state: ClusterState, policy: ServicePolicy, now: Instant
) -> tuple[Order | None, str, Instant | None]:
    assert state.view is not None
    wanted = state.view.assignments.get(policy.name)
    if wanted is not None and wanted.leader_epoch < state.leader_epoch_of(policy.name):
        obeyed = state.leader_epoch_of(policy.name)
        return (
            None,
            f"it was assigned by a leader of epoch {wanted.leader_epoch}, after one of {obeyed}",
            None,
        )
    if wanted is None or not _is_for_us(state, policy, wanted) or state.is_leaving:
        return None, "", None
    assert wanted.holder is not None
    if policy.name in state.view.leases:
        holder = state.view.leases[policy.name].host
        return None, f"{holder} still holds it" if holder != state.me else "", None
    report = state.report.members.get(component_id(policy.name, wanted.holder))
    if report is None or report.unfit:
        return None, f"{wanted.holder} cannot serve: {report.unfit if report else 'not looked at yet'}", None
    if (bound := promising.why_bound(state, policy.name, now)) is not None:
        return None, *bound
    if (waiting := waits_for_last(state, policy.name, now)) is not None:
        return None, *waiting
    if policy.needs_fencing and (last := unproven(state, policy.name)) is not None and last.host != state.me:
        return None, f"{last.host} held it and may serve still: that has to be proven first", None
    epoch = state.view.lease_epochs.get(policy.name, 0)
    above = state.leases_seen.get(policy.name, 0)
    return TakeLease(policy.name, wanted.holder, epoch, wanted.why, above=above), "", None


def _is_for_us(state: ClusterState, policy: ServicePolicy, wanted: Assignment) -> bool:
    if wanted.leader_epoch < state.leader_epoch_of(policy.name) or wanted.holder is None:
        return False
    return wanted.host == state.me and host_of(state, policy, wanted.holder) == state.me


def waits_for_last(
    state: ClusterState, service: ServiceName, now: Instant
) -> tuple[str, Instant | None] | None:
    """Return why the last holder goes first, and until when: its lease vanished under it, and it still serves as far as we hear.

    A lease may be lost though it was renewed (an etcd leader that was frozen and thawed), or while the coordinator was away
    and the others promised. Its holder takes it again.
    """
    assert state.view is not None
    assert state.policy.cluster is not None
    last, lasts = state.view.last_leases.get(service), state.policy.cluster.lease
    if last is None or last.is_settled or service in state.view.leases or last.lease.host == state.me:
        return None
    host, seen = last.lease.host, state.last_held.get(service)
    is_seen = seen is not None and seen.lease.epoch == last.lease.epoch
    if is_seen and seen is not None and seen.was_given:
        return None
    peer = state.peers.get(host)
    if peer is None or not peer.life:
        until = state.started_at + lasts
        return (f"{host} held it last, and could not be heard yet", until) if now < until else None
    if state.reach.get(host) not in (Reach.HEARD, Reach.SUSPECT) or not _serves_on(peer, last.lease):
        return None
    why = f"{host} lost it without giving it up, was just heard, and serves: it may take it again"
    if promising.holds_on(state, service):
        return why, None  # for as long as that is so: the word of all others carries it
    until = (seen.free_since if is_seen and seen is not None else state.started_at) + lasts
    return (why, until) if now < until else None


def _serves_on(peer: Peer, lease: Lease) -> bool:
    """Tell whether a host goes on serving under a lease that it held, as far as it told."""
    member = component_id(lease.service, lease.member)
    report = peer.report.members.get(member) if peer.report is not None else None
    if peer.life == lease.life:
        return peer.report is None or (report is not None and not report.is_clear)
    return report is not None and lease_it_serves(report) == lease.epoch


def unproven(state: ClusterState, service: ServiceName) -> Lease | None:
    """Return the newest lease, if nothing proves that its holder serves no more: neither its own word nor a fence device's."""
    assert state.view is not None
    last = state.view.last_leases.get(service)
    if last is None or last.is_settled:
        return None
    host = state.view.hosts.get(last.lease.host)  # what it told under the session that it has now
    report = host.members.get(component_id(service, last.lease.member)) if host is not None else None
    is_proven = host is not None and (report is None or report.is_clear)
    return None if is_proven else last.lease


def _unheld(state: ClusterState, service: ServiceName) -> Lease | None:
    """Return the lease that stands in the name of this life of the agent without being held: nobody answered when it was taken."""
    assert state.view is not None
    lease = state.view.leases.get(service)
    if lease is None or (lease.host, lease.life) != (state.me, state.life):
        return None
    return lease if lease.epoch > state.given_up.get(service, 0) else None


def _own_from_before(state: ClusterState, service: ServiceName) -> tuple[str, Epoch] | None:
    """Return the member and epoch of a lease that the last life of this agent took, and that nobody has had since."""
    assert state.view is not None
    lease = state.view.leases.get(service)
    if lease is not None and (lease.host != state.me or lease.life == state.life):
        return None
    last = state.view.lease_epochs.get(service, 0)
    if not last:
        return None
    # A member that serves under it is the proof: another machine that calls itself by our name has none.
    for component, report in state.report.members.items():
        name, _, member = component.partition("/")
        if name == service and lease_it_serves(report) == last:
            return member, last  # the number was given to one holder only, so it was us
    return None


def lease_it_serves(report: MemberReport) -> Epoch:
    """Return the epoch of the lease under which the member serves; 0 if it does not."""
    is_serving = report.role in (Role.PRIMARY, Role.PROMOTING) and not report.is_clear
    return lease_of(report.epoch) if is_serving else 0


# --- what becomes of what is held -----------------------------------------------------------------------


def ended_by_plan(state: ClusterState) -> ClusterState:
    """Return the state in which leases that should be another's are being given up."""
    if state.view is None:
        return state
    for name, held in state.held.items():
        why = _why_end(state, name, held)
        if why and not held.is_ending:
            within = _open_within(state, name)
            state = state.with_held(name, replace(held, is_ending=True, why_ending=why, open_within=within))
        elif held.is_ending and not why and f"lease {name}" not in state.flights:
            state = state.with_held(name, replace(held, is_ending=False, why_ending="", open_within=None))
    return state


def _open_within(state: ClusterState, name: ServiceName) -> Duration | None:
    """Return how long open transactions may take, where an operator who has it moved to another member said so."""
    assert state.view is not None
    wanted = state.view.assignments.get(name)
    held = state.held[name]
    # One that names us was written for a move that is over: what it says is not about who leaves now.
    return None if wanted is None or wanted.holder == held.member else wanted.open_within


def _why_end(state: ClusterState, name: ServiceName, held: HeldLease) -> str:
    assert state.view is not None
    policy = state.policy.services.get(name)
    if policy is None or policy.member(held.member) is None or not policy.is_exclusive:
        return "the file no longer names it"
    if state.is_leaving:
        return "everything on this host is being stopped"
    if host_of(state, policy, held.member) != state.me:
        return f"{held.member} was placed on another host"
    wanted = state.view.assignments.get(name)
    if wanted is None or wanted.holder is None or wanted.leader_epoch < state.leader_epoch_of(name):
        return ""
    is_ours = (wanted.host, wanted.holder) == (state.me, held.member)
    return "" if is_ours else f"{wanted.holder} on {wanted.host} takes over: {wanted.why}"


def ran_out(state: ClusterState, now: Instant) -> ClusterState:
    """Return the state without leases and promises that time has ended."""
    for name, held in state.held.items():
        if now >= promising.sure_until(state, name, held):
            text = f"the lease of {held.member} could not be renewed in time"
            state = state.with_held(name, None).noting(now, "error", name, "lost", text)
    if state.promises and any(now >= promise.until for promise in state.promises.values()):
        kept = {name: promise for name, promise in state.promises.items() if now < promise.until}
        state = replace(state, promises=kept)
    return state


def compared(state: ClusterState, before: ClusterState, now: Instant) -> ClusterState:
    """Return the state after a new view: what it shows of our leases is believed, and what became free is remembered."""
    assert state.view is not None
    for name, held in state.held.items():
        lease, last = state.view.leases.get(name), state.view.lease_epochs.get(name, 0)
        if last < held.epoch:
            if before.view is not None and before.view.lease_epochs.get(name, 0) >= held.epoch:
                text = f"the coordinator has gone back from epoch {held.epoch} to {last}: who holds it is not known"
                state = state.with_held(name, None).noting(now, "error", name, "lost", text)
            continue  # otherwise the view is older than our taking it
        if last > held.epoch or (lease is not None and lease.host != state.me):
            by = f"{lease.host}, epoch {lease.epoch}" if lease is not None else f"somebody, epoch {last}"
            state = state.with_held(name, None)
            if not held.is_ending:  # otherwise it was given up, and the answer is on its way
                state = state.noting(now, "error", name, "lost", f"the lease is with {by}")
        elif lease is None and _was_seen(before, name, held) and not _is_moving(state, name):
            # It vanished though our session lives. (One that was just taken may come into sight key by key.)
            until = min(held.until, now + ADOPT_WITHIN)
            state = state.with_held(name, replace(held, session=-1, until=until))
    return _with_last_held(state, before, now)


def _was_seen(before: ClusterState, name: ServiceName, held: HeldLease) -> bool:
    lease = before.view.leases.get(name) if before.view is not None else None
    is_ours = lease is not None and (lease.host, lease.epoch) == (before.me, held.epoch)
    return is_ours and held.session == before.session.number


def _is_moving(state: ClusterState, name: ServiceName) -> bool:
    return f"lease {name}" in state.flights


def _with_last_held(state: ClusterState, before: ClusterState, now: Instant) -> ClusterState:
    assert state.view is not None
    leases = before.view.leases if before.view is not None else {}
    last_held = {name: last for name, last in state.last_held.items() if name not in state.view.leases}
    for name, lease in leases.items():
        if name not in state.view.leases:
            last_held[name] = LastHeld(lease, now, was_given=_is_clear(state, lease.host, name, lease.member))
    return state if last_held == state.last_held else replace(state, last_held=last_held)


def _is_clear(state: ClusterState, host: str, service: ServiceName, member: str) -> bool:
    report = member_report(state, host, component_id(service, member))
    return report is not None and report.is_clear
