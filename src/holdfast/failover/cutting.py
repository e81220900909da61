"""Cutting first: whoever is promoted waits until the balancer has confirmed that nobody reaches who was primary before.

The lease, or proof that the old primary ended, makes a promotion safe against whoever looks at a clock. A primary that slept through its
lease, its guard with it, may still answer sessions that are open when it wakes; through this host's balancer it has none by then. The
wait is for one answer of the balancer. One that does not run, is silent or failed to do it is not waited for: it would turn the
second line of defence into an outage.
"""

from holdfast.failover.routing import wanted_routing, with_readers
from holdfast.model.duty import balancer_runs
from holdfast.model.ids import MemberName
from holdfast.model.policy import ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.state import State
from holdfast.model.time import Instant

_CUT = (Lane.OUT, Lane.DOWN)


def uncut(state: State, policy: ServicePolicy, target: MemberName, now: Instant) -> tuple[MemberName, ...]:
    """Return the members other than `target` whose sessions are not confirmed to be over, and are about to be."""
    service = state.services[policy.name]
    has_roles = any(member.run.has_roles for member in policy.everywhere)
    if policy.traffic is None or not has_roles or service.route_failures:
        return ()
    if not balancer_runs(state) or state.balancer_silence is not None:
        return ()
    wanted = with_readers(wanted_routing(state, policy, now)[0], state, policy, now)
    told = service.routed
    others = [name for name in wanted.lanes if name != target]
    if told is None:
        return tuple(others)
    return tuple(name for name in others if _is_open(name, wanted, told))


def why_wait(others: tuple[MemberName, ...]) -> str:
    """Return for people what is waited for."""
    return f"the balancer has not confirmed yet that nobody reaches {', '.join(others)}"


def _is_open(name: MemberName, wanted: Routing, told: Routing) -> bool:
    if wanted.lanes[name] in _CUT and told.lanes.get(name, Lane.OUT) not in _CUT:
        return True
    return wanted.readers.get(name) is Lane.OUT and told.readers.get(name, Lane.OUT) is not Lane.OUT
