"""Health: S(t) = sum w_i S_i(t) / sum w_i over component instances, never over checks.

Counting checks would let one component with many checks drown the others. An instance counts while it is
meant to run: the cold members of a singleton do not. holdfast's own components do not count for the system.
"""

from holdfast.detect.judging import share_of
from holdfast.model.duty import is_wanted, member_policy
from holdfast.model.ids import ServiceName
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
    share = weight = 0.0
    for component in state.members(service):
        policy = member_policy(state, component.id)
        if policy is None or not _counts(state, component.id):
            continue
        weight += policy.weight
        share += policy.weight * share_of(component)
    return share, weight


def _counts(state: State, component: str) -> bool:
    service = component.partition("/")[0]
    if state.services[service].assigned is None and not state.is_going_down:
        # A singleton that nobody was chosen for yet: its first member stands for it, so that S is 0, not absent.
        return component == state.policy.services[service].components[0] or is_wanted(state, component)
    return is_wanted(state, component)
