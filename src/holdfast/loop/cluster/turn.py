"""One turn of the cluster loop: what happened goes in, orders come out.

As in the loop beside it: `observe` believes, everything after it reads only the state. What follows from the state without
an order (which leases its own loop has to know of, when the guard has to act, the next beat) is asked for separately, after
each turn; see showing.py.
"""

from holdfast.detect import reach
from holdfast.detect.reach import Reach
from holdfast.loop.cluster import leading, leasing
from holdfast.loop.cluster.observing import ANSWER_WITHIN, expired, observe
from holdfast.loop.cluster.promising import sure_until
from holdfast.loop.cluster.state import ClusterState, Flight
from holdfast.model.beats import Beat
from holdfast.model.cluster_events import (
    Assign,
    BeatHeard,
    ClusterEvent,
    FenceHost,
    Order,
    TakeLease,
    subject_of_order,
)
from holdfast.model.ids import ServiceName
from holdfast.model.time import MINUTE, Duration, Instant
from holdfast.model.value import replace

FENCE_ENDS_WITHIN = 10_000_000_000  # what a fence agent may take to end once its time is over
LOOK_EVERY = 1_000_000_000


def turn(state: ClusterState, event: ClusterEvent, now: Instant) -> tuple[ClusterState, tuple[Order, ...]]:
    """Return the state after `event`, and what is to be ordered now."""
    before = state
    state = observe(expired(state, now), event, now)
    state = _with_reach(state, now)
    if isinstance(event, BeatHeard) and is_mere(event.beat, before, state):
        return state, ()  # most turns are such, and whatever waits for its time wakes by itself
    state = leasing.ended_by_plan(state)
    wished, withheld, wakes = leasing.lease_orders(state, now)
    moves: dict[ServiceName, int] = {}
    if state.view is not None and state.leads(now):
        state = leading.gone_hosts(state, now)
        led = leading.lead(state, now)
        wished += led.orders
        withheld |= led.withheld
        wakes += led.wakes
        moves = led.moves
    state = _withholding(state, withheld, now)
    state, orders = _commit(state, wished, now)
    state = _counting(state, orders, moves, now)
    wake = min((at for at in wakes if at > now), default=None)
    return (state if wake == state.wake_at else replace(state, wake_at=wake)), orders


def is_mere(beat: Beat, before: ClusterState, after: ClusterState) -> bool:
    """Tell whether a beat said nothing but that its sender is there still: nothing else follows from it."""
    known = before.peers.get(beat.host)
    return (
        beat.report is None
        and known is not None
        and known.life == beat.life
        and after.reach is before.reach
        and after.session is before.session
        and after.held is before.held
        and after.recalled is before.recalled
        and after.promises is before.promises
        and after.flights is before.flights
        and after.not_before is before.not_before
    )


def _with_reach(state: ClusterState, now: Instant) -> ClusterState:
    assert state.policy.cluster is not None
    every = state.policy.cluster.heartbeat
    found = reach.reach_of(state.peers, state.others, state.me, now, every, state.late)
    if found == state.reach:
        return state
    for host, how in found.items():
        before = state.reach.get(host)
        if how is not before and Reach.LOST in (how, before):
            level, text = (
                ("warn", "no beat of it comes") if how is Reach.LOST else ("info", "its beats come again")
            )
            state = state.noting(now, level, host, "silent" if how is Reach.LOST else "heard", text)
    return replace(state, reach=found)


def _withholding(state: ClusterState, withheld: dict[str, str], now: Instant) -> ClusterState:
    if withheld == state.withheld:
        return state
    for subject, why in withheld.items():
        if state.withheld.get(subject) != why:
            state = state.noting(now, "warn", subject, "withheld", why)
    return replace(state, withheld=withheld)


def _commit(
    state: ClusterState, wished: tuple[Order, ...], now: Instant
) -> tuple[ClusterState, tuple[Order, ...]]:
    """Number what is ordered; one order about one subject at a time."""
    fresh: list[Order] = []
    for order in wished:
        subject = subject_of_order(order)
        before = state.flights.get(subject)
        if now < state.not_before.get(subject, 0) or not (before is None or _asks_again(order, before, now)):
            continue
        numbered = replace(order, id=state.next_order)
        deadline = now + _time_for(state, order)
        flight = Flight(numbered, deadline, state.session.number, is_doubtful=before is not None)
        state = replace(state, next_order=state.next_order + 1, flights={**state.flights, subject: flight})
        fresh.append(numbered)
    return state, tuple(fresh)


def _asks_again(order: Order, before: Flight, now: Instant) -> bool:
    """Tell whether the order asks for what nobody answered, under the same condition, and its time has come again."""
    if not before.is_doubtful or now < before.deadline:
        return False
    known = before.order
    return isinstance(order, TakeLease) and isinstance(known, TakeLease) and order.after == known.after


def _counting(
    state: ClusterState, orders: tuple[Order, ...], moves: dict[ServiceName, int], now: Instant
) -> ClusterState:
    """Count the members that are placed elsewhere by what was just ordered: as a wish it comes again with each turn."""
    fresh = sum(moves.get(order.assignment.service, 0) for order in orders if isinstance(order, Assign))
    if not fresh:
        return state
    recent = tuple(at for at in state.moved_at if now - at < MINUTE)
    return replace(state, moved_at=(*recent, *[now] * fresh))


def _time_for(state: ClusterState, order: Order) -> Duration:
    if not isinstance(order, FenceHost):
        return ANSWER_WITHIN
    host = state.policy.hosts.get(order.host)
    device = host.fence if host is not None else None
    return ANSWER_WITHIN + (device.timeout + FENCE_ENDS_WITHIN if device is not None else 0)


def next_wake(state: ClusterState, now: Instant) -> Instant:
    """Return when the cluster loop has to be asked again though nothing happens: within a second in any case."""
    wakes = [now + LOOK_EVERY, state.session.until, *state.not_before.values()]
    wakes += [flight.deadline for flight in state.flights.values()]
    for name, held in state.held.items():
        until = sure_until(state, name, held)
        wakes += [until - leasing.acts_before(state), until]
    wakes += [promise.until for promise in state.promises.values()]
    if state.wake_at is not None:
        wakes.append(state.wake_at)
    assert state.policy.cluster is not None
    change = reach.next_change(
        state.peers, state.others, state.me, now, state.policy.cluster.heartbeat, state.late
    )
    if change is not None:
        wakes.append(change)
    return min([at for at in wakes if at > now])
