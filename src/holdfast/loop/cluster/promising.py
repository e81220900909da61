"""Promises: how a primary goes on while the coordinator is away, and why that is safe.

The holder of a lease that cannot be renewed asks on its beats: "do not take this over". Each host that could, promises on
its own beats, naming the beat that asked. A promise lasts for one lease time. Who gave it counts from the moment the question
*came*; who got it counts from the moment the question was *sent*, less a margin for clocks that do not run equally fast. So it ends
for the holder first. All have to promise, not a majority: whoever does not might be the one that can reach the coordinator.
"""

from holdfast.loop.cluster.state import ClusterState, HeldLease, Promise, SentBeat
from holdfast.loop.cluster.whereabouts import eligible_hosts
from holdfast.model.beats import Beat
from holdfast.model.cluster_events import AdoptLease, TakeLease
from holdfast.model.ids import Epoch, HostName, ServiceName
from holdfast.model.policy import CoordinatorLoss
from holdfast.model.time import Duration, Instant
from holdfast.model.value import replace

MARGIN = 6  # a sixth of a promise is given up for drift: clocks may differ in rate by far more than any does


def holds_on(state: ClusterState, service: ServiceName) -> bool:
    """Tell whether the file wants this service's primary to go on without the coordinator."""
    policy = state.policy.services.get(service)
    return policy is not None and policy.on_coordinator_loss is CoordinatorLoss.HOLD


def promise_lasts(state: ClusterState) -> Duration:
    """Return for how long a promise is given."""
    assert state.policy.cluster is not None
    return state.policy.cluster.lease


def sure_until(state: ClusterState, service: ServiceName, held: HeldLease) -> Instant:
    """Return until when nobody else can hold the lease: by our session, or by the word of all others."""
    policy = state.policy.services.get(service)
    if policy is None or not holds_on(state, service):
        return held.until
    needed = [host for host in eligible_hosts(state, policy) if host != state.me]
    if not needed:
        return held.until
    return max(held.until, min(held.promised.get(host, 0) for host in needed))


def asked(state: ClusterState, now: Instant) -> dict[ServiceName, Epoch]:
    """Return the leases that this host asks the others not to take over: only while its session is in doubt."""
    if not state.session.is_strained(now):
        return {}
    leases = {**state.recalled, **state.held}
    return {name: held.epoch for name, held in leases.items() if holds_on(state, name) and not held.is_ending}


def granted(state: ClusterState) -> dict[HostName, dict[ServiceName, Epoch]]:
    """Return the promises to repeat on our next beat."""
    by_host: dict[HostName, dict[ServiceName, Epoch]] = {}
    for service, promise in state.promises.items():
        peer = state.peers.get(promise.to)
        if peer is not None and peer.holds.get(service) == promise.epoch:
            by_host.setdefault(promise.to, {})[service] = promise.epoch
    return by_host


def promised(state: ClusterState, beat: Beat, now: Instant) -> ClusterState:
    """Give our word for what the beat asks, where we can."""
    for service, epoch in beat.holds.items():
        if _may_promise(state, service, epoch, beat.host, now):
            promise = Promise(beat.host, epoch, now + promise_lasts(state))
            state = replace(state, promises={**state.promises, service: promise})
    return state


def _may_promise(state: ClusterState, service: ServiceName, epoch: Epoch, to: HostName, now: Instant) -> bool:
    if service in state.held or is_taking(state, service):
        return False  # what is on its way cannot be called back
    if state.view is not None and state.view.lease_epochs.get(service, 0) > epoch:
        return False  # somebody has had it since
    given = state.promises.get(service)
    return given is None or given.to == to or now >= given.until


def is_taking(state: ClusterState, service: ServiceName) -> bool:
    """Tell whether an order of ours that may get us the lease is on its way, or may still take effect."""
    flight = state.flights.get(f"lease {service}")
    return flight is not None and isinstance(flight.order, TakeLease | AdoptLease)


def accepted(state: ClusterState, beat: Beat) -> ClusterState:
    """Count the promises in the beat, each from the moment that the beat it answers was sent."""
    echo = beat.heard.get(state.me)
    if echo is None or echo.life != state.life:
        return state
    asking = state.sent.get(echo.sequence)
    if asking is None or beat.promises_last < promise_lasts(state):
        return state  # a host whose file has a shorter lease does not promise what we would count on
    for service, epoch in beat.promises.get(state.me, {}).items():
        held = state.held.get(service) or state.recalled.get(service)
        if held is not None and held.epoch == epoch and asking.holds.get(service) == epoch:
            until = max(asking.at + _counts_for(state), held.promised.get(beat.host, 0))
            held = replace(held, promised={**held.promised, beat.host: until})
            if service in state.held:
                state = state.with_held(service, held)
            else:
                state = _recalled(state, service, held)
    return state


def _recalled(state: ClusterState, service: ServiceName, held: HeldLease) -> ClusterState:
    """Hold again what our last life held, once everybody gave their word."""
    if sure_until(state, service, held) <= 0:
        return replace(state, recalled={**state.recalled, service: held})
    rest = {name: other for name, other in state.recalled.items() if name != service}
    return replace(state, recalled=rest).with_held(service, held)


def _counts_for(state: ClusterState) -> Duration:
    lasts = promise_lasts(state)
    return lasts - lasts // MARGIN


def why_bound(state: ClusterState, service: ServiceName, now: Instant) -> tuple[str, Instant] | None:
    """Return why we may not take the lease because of our word, and until when; None if we may."""
    given = state.promises.get(service)
    if given is not None and now < given.until:
        return f"promised to {given.to} not to take it over", given.until
    # Our last life may have promised, and remembers nothing.
    free_at = state.started_at + promise_lasts(state)
    if holds_on(state, service) and now < free_at:
        return (
            "this agent has just started, and may have promised in its last life not to take it over",
            free_at,
        )
    return None


def remembered(state: ClusterState, sequence: int, sent: SentBeat, now: Instant) -> dict[int, SentBeat]:
    """Return the beats whose answers still count, with this one."""
    lasts = promise_lasts(state)
    return {number: old for number, old in state.sent.items() if now - old.at < lasts} | {sequence: sent}
