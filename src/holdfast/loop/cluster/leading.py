"""Leading: what the elected agent wants of every host. It wishes only: no wish of it can make two primaries.

Exclusive services: who should hold the lease. Others: where their movable members run. A host without a session is
gone for exclusive services at once, since its lease ends by itself; for members that merely serve beside others it
gets some time to come back.
"""

from collections.abc import Iterator

from holdfast.detect.reach import Reach
from holdfast.failover import holders, hosting
from holdfast.failover.holders import Candidate
from holdfast.loop.cluster import leasing
from holdfast.loop.cluster.state import ClusterState, Fencing, member_report
from holdfast.model.cluster import Assignment, Lease
from holdfast.model.cluster_events import Assign, BreakLease, DropWish, FenceHost, Order
from holdfast.model.decisions import open_words
from holdfast.model.ids import HostName, MemberName, ServiceName, component_id
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Status
from holdfast.model.time import MINUTE, SECOND, Instant
from holdfast.model.value import Value, replace

GATHERS_FOR = 3 * SECOND


class Led(Value, frozen=True):
    """What one look of the leader brought."""

    orders: tuple[Order, ...] = ()
    withheld: dict[str, str] = {}
    wakes: tuple[Instant, ...] = ()
    moves: dict[ServiceName, int] = {}  # members that would be placed elsewhere, by service


def gone_hosts(state: ClusterState, now: Instant) -> ClusterState:
    """Return the leader's state with since when each host has no session."""
    assert state.view is not None
    present = _present(state)
    gone = {host: state.gone_since.get(host, now) for host in state.policy.hosts if host not in present}
    for host in gone.keys() - state.gone_since.keys():
        if host in state.peers:
            state = state.noting(now, "warn", host, "gone", "its session with the coordinator is over")
        else:
            state = state.noting(now, "info", host, "absent", "it has not joined yet")
    for host in state.gone_since.keys() - gone.keys():
        state = state.noting(now, "info", host, "back", "it has a session again")
    fencings = {host: fencing for host, fencing in state.fencings.items() if host in gone}
    return replace(state, gone_since=gone, fencings=fencings)


def _present(state: ClusterState) -> frozenset[HostName]:
    """Return the hosts with a session: what is bound to one says so, whether a report was written yet or not."""
    assert state.view is not None
    holders = {lease.host for lease in state.view.leases.values()}
    return frozenset(state.view.hosts) | holders | {state.me}


def lead(state: ClusterState, now: Instant) -> Led:
    """Return what the leader orders now."""
    assert state.view is not None
    led = Led()
    places = _places(state)
    for name, service in state.policy.services.items():
        if service.is_builtin:
            continue
        placing, wakes = _placing(state, service, places, now, sum(led.moves.values()))
        places[name] = {**_bound(service), **placing.placed}
        one = _of_service(state, service, placing, now)
        led = Led(
            led.orders + one.orders,
            {
                **led.withheld,
                **{f"{name}/{m}": f"not placed: {why}" for m, why in placing.unplaced.items()},
                **one.withheld,
            },
            led.wakes + wakes + one.wakes,
            {**led.moves, name: len(placing.moved)},
        )
    return led


# --- where ----------------------------------------------------------------------------------------------


def _bound(service: ServicePolicy) -> dict[MemberName, HostName]:
    return {member.name: member.on for member in service.members if member.on is not None}


def _places(state: ClusterState) -> dict[ServiceName, dict[MemberName, HostName]]:
    found: dict[ServiceName, dict[MemberName, HostName]] = {}
    for name, service in state.policy.services.items():
        placed = state.placed.get(name, {})
        movable = {m.name for m in service.members if m.on is None}
        kept = {
            member: host
            for member, host in placed.items()
            if member in movable and host in state.policy.hosts
        }
        found[name] = {**_bound(service), **kept}
    return found


def _placing(
    state: ClusterState,
    service: ServicePolicy,
    places: dict[ServiceName, dict[MemberName, HostName]],
    now: Instant,
    moves: int,
) -> tuple[hosting.Placing, tuple[Instant, ...]]:
    assert state.view is not None
    assert state.policy.cluster is not None
    if all(member.on is not None for member in service.members):
        return hosting.Placing({}), ()
    movable = [member.name for member in service.members if member.on is None]
    if _is_gathering(state, now) and not places[service.name].keys() >= set(movable):
        unplaced = {
            name: "other hosts may still come" for name in movable if name not in places[service.name]
        }
        known = {name: host for name, host in places[service.name].items() if name in movable}
        return hosting.Placing(known, unplaced=unplaced), (state.leads_since + GATHERS_FOR,)
    waits = 0 if service.is_exclusive else service.placement.move_after
    back_by = {host: since + waits for host, since in state.gone_since.items()}
    missing = frozenset(host for host, by in back_by.items() if now < by)
    missing |= _present(state) - state.view.hosts.keys()
    if service.is_exclusive and leasing.waits_for_last(state, service.name, now) is not None:
        missing |= {state.view.last_leases[service.name].lease.host}
    used = sum(now - at < MINUTE for at in state.moved_at) + moves
    budget = 0 if _is_mass_failure(state) else max(0, state.policy.cluster.moves_max - used)
    # Who may come back keeps its members, but is given no new ones.
    able = frozenset(state.view.hosts) & state.policy.hosts.keys()
    staying = {
        member: host
        for member, host in places[service.name].items()
        if host in missing and member not in _bound(service)
    }
    placing = hosting.place(state.policy, service, places, able | frozenset(staying.values()), budget)
    return placing, tuple(by for by in back_by.values() if now < by)


def _is_gathering(state: ClusterState, now: Instant) -> bool:
    """Tell whether hosts may still come, as at the first start: what nobody has yet is not handed out before."""
    return bool(state.gone_since) and now < state.leads_since + GATHERS_FOR


def _is_mass_failure(state: ClusterState) -> bool:
    """Tell whether so many hosts are gone that it speaks against the network, or against us."""
    return len(state.gone_since) * 2 > len(state.policy.hosts)


# --- who ------------------------------------------------------------------------------------------------


def _of_service(state: ClusterState, service: ServicePolicy, placing: hosting.Placing, now: Instant) -> Led:
    assert state.view is not None
    before = state.view.assignments.get(service.name)
    if not service.is_exclusive:
        after = Assignment(service.name, state.leads_under, placing.placed)
        return _assigned(before, after, placing.moved)
    lease = state.view.leases.get(service.name)
    if (fencing := _fencing(state, service, lease, now)) is not None:
        return fencing
    wish = state.view.wishes.get(service.name)
    candidates = tuple(_candidates(state, service, placing))
    if service.with_primary_of is not None:
        beside = state.view.leases.get(service.with_primary_of)
        candidates = holders.beside(
            candidates, service.with_primary_of, beside.host if beside is not None else None
        )
    holder = lease.member if lease is not None else None
    if lease is not None and all(c.member != holder for c in candidates):
        return Led()  # its agent has not told yet how it is
    if (waiting := _first_choice(state, service, lease, candidates, now)) is not None:
        return waiting
    if (last := leasing.waits_for_last(state, service.name, now)) is not None:
        return Led(withheld={service.name: last[0]}, wakes=(last[1],) if last[1] is not None else ())
    chosen = holders.choose(
        candidates,
        holder,
        before.holder if before is not None else None,
        wish.to if wish is not None else None,
        service.members[0].name if service.failback else None,
    )
    withheld = {service.name: chosen.why} if chosen.is_withheld else {}
    orders: tuple[Order, ...] = ()
    if wish is not None and (done := _wish_is_over(service, wish.to, lease, candidates)):
        orders = (DropWish(service.name, wish.id, done),)
    why = chosen.why or (before.why if before is not None else "")
    after = Assignment(service.name, state.leads_under, placing.placed, chosen.member, chosen.host, why)
    if wish is not None and wish.open_within is not None and wish.to == chosen.member != holder:
        told = f"{why}; {open_words(wish.open_within)}"
        after = replace(after, open_within=wish.open_within, why=told)
    if chosen.is_withheld and chosen.host is None and before is not None:
        after = replace(
            before, leader_epoch=state.leads_under, placed=placing.placed
        )  # until somebody is fit
    led = _assigned(before, after, placing.moved)
    return Led(orders + led.orders, withheld)


def _first_choice(
    state: ClusterState,
    service: ServicePolicy,
    lease: Lease | None,
    candidates: tuple[Candidate, ...],
    now: Instant,
) -> Led | None:
    """Give the members listed first a moment to come up, when nobody has ever held the lease."""
    assert state.view is not None
    until = state.leads_since + GATHERS_FOR
    if lease is not None or state.view.lease_epochs.get(service.name, 0) or now >= until:
        return None
    first = service.members[0].name
    standing = next((c.report for c in candidates if c.member == first), None)
    is_coming = standing is None or (bool(standing.unfit) and standing.status is Status.UNKNOWN)
    if not is_coming:
        return None
    return Led(withheld={service.name: f"{first} is listed first and may still come up"}, wakes=(until,))


def _assigned(before: Assignment | None, after: Assignment, moved: tuple[str, ...]) -> Led:
    is_same = before is not None and (before.placed, before.holder, before.host) == (
        after.placed,
        after.holder,
        after.host,
    )
    # Once the wish is fulfilled and gone, that it is not asked for any more is no reason to write.
    is_told = after.open_within is None or (before is not None and before.open_within == after.open_within)
    if (is_same and is_told) or (before is None and not after.placed and after.holder is None):
        return Led()
    what = [f"{after.holder} on {after.host}"] if after.holder is not None else []
    why = "; ".join([*what, *moved, *([after.why] if after.why else [])])
    return Led((Assign(after, why or "its members are placed"),))


def _candidates(state: ClusterState, service: ServicePolicy, placing: hosting.Placing) -> Iterator[Candidate]:
    assert state.view is not None
    for member in service.members:
        host = member.on or placing.placed.get(member.name)
        if host is None or host not in state.view.hosts:
            continue
        report = member_report(state, host, component_id(service.name, member.name))
        if report is None:
            continue
        is_heard = host == state.me or state.reach.get(host) is not Reach.LOST
        burden = sum(lease.host == host for name, lease in state.view.leases.items() if name != service.name)
        labels = state.policy.hosts[host].labels if host in state.policy.hosts else {}
        favour = sum(labels.get(name) == value for name, value in service.placement.prefer.items())
        yield Candidate(member.name, host, report, is_heard, burden, favour, member.tags)


def _wish_is_over(
    service: ServicePolicy,
    to: MemberName,
    lease: Lease | None,
    candidates: tuple[Candidate, ...],
) -> str:
    """Return why the operator's wish is to be dropped; empty while it is being fulfilled."""
    if lease is None:
        return ""
    if service.member(to) is None:
        return f"there is no member {to}"
    if lease.member == to:
        return f"{to} holds the lease"
    target = next((candidate for candidate in candidates if candidate.member == to), None)
    if target is None or not holders.is_fit(target):
        return f"{to} cannot take over: {target.report.unfit if target else 'its host is not there'}"
    return ""


# --- fencing --------------------------------------------------------------------------------------------


def _fencing(state: ClusterState, service: ServicePolicy, lease: Lease | None, now: Instant) -> Led | None:
    """Return the fencing that has to come before anybody else may hold the lease; None if none has to."""
    if not service.needs_fencing:
        return None
    suspect = leasing.unproven(state, service.name)
    if lease is not None or suspect is None or suspect.host not in state.gone_since:
        return None  # while its host is there, it tells itself how its member is
    fencing = state.fencings.get(suspect.host)
    if fencing is not None and fencing.confirmed_at and fencing.life == suspect.life:
        return Led((BreakLease(service.name, suspect.epoch, f"{suspect.host} is proven to be off"),))
    held = {service.name: f"{suspect.host} held its lease and did not give it up: it is fenced first"}
    if fencing is not None and now < fencing.not_before:
        return Led(withheld=held, wakes=(fencing.not_before,))
    return Led((FenceHost(suspect.host, f"it held the lease of {service.name} and is gone"),), held)


def fenced(state: ClusterState, host: HostName, *, is_off: bool, text: str, now: Instant) -> ClusterState:
    """Return the state after a fencing ended."""
    newest = state.view.last_leases.values() if state.view is not None else ()
    lives = [last.lease.life for last in newest if last.lease.host == host and not last.is_settled]
    fencing = Fencing(lives[0] if lives else "", now if is_off else 0, 0 if is_off else now + _FENCE_AGAIN)
    state = replace(state, fencings={**state.fencings, host: fencing})
    word = "fenced" if is_off else "not fenced"
    return state.noting(now, "warn" if is_off else "error", host, word, text)


_FENCE_AGAIN = MINUTE // 6
