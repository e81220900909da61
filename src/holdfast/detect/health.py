"""Health: S(t) = sum w_i S_i(t) / sum w_i over component instances, never over checks.

Counting checks would let one component with many checks drown the others. An instance counts while it is
meant to run: the cold members of a singleton do not. holdfast's own components do not count for the system.
"""

from holdfast.detect.judging import share_of
from holdfast.model.ids import ServiceName
from holdfast.model.policy import Mode
from holdfast.model.state import State


def service_health(state: State, service: ServiceName) -> float:
    """Return S(t) of one service, 0..1; 0 when nothing of it is meant to run."""
    share, weight = _sums(state, service)
    return share / weight if weight else 0.0


def system_health(state: State) -> float:
    """Return S(t) of the whole system, 0..1; 1 when it has no services."""
    total_share = total_weight = 0.0
    for name, policy in state.policy.services.items():
        if policy.is_builtin:
            continue
        share, weight = _sums(state, name)
        total_share += share * policy.weight
        total_weight += weight * policy.weight
    return total_share / total_weight if total_weight else 1.0


def _sums(state: State, service: ServiceName) -> tuple[float, float]:
    """Return the weighted sum of S_i and the sum of weights, over the instances that are meant to run."""
    if state.is_going_down:
        return 0.0, 0.0
    policy = state.policy.services[service]
    chosen = None
    if policy.mode is Mode.SINGLETON:
        # While nobody was chosen the first member stands for all, so that S is 0 and not absent.
        chosen = state.services[service].assigned or policy.members[0].name
    share = weight = 0.0
    for component, member in zip(state.members(service), policy.members, strict=True):
        if chosen is None or member.name == chosen:
            weight += member.weight
            share += member.weight * share_of(component)
    return share, weight
