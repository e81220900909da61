"""Health: S(t) = sum w_i S_i(t) / sum w_i over component instances, never over checks.

Counting checks would let one component with many checks drown the others. An instance counts while it is
meant to run: the cold members of a singleton do not. holdfast's own components do not count for the system.
"""

from holdfast.detect.judging import share_of
from holdfast.model.duty import elsewhere, is_wanted
from holdfast.model.ids import ServiceName, component_id
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.standing import Role
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
    if policy.is_leased and policy.mode is Mode.SINGLETON:
        return _shares_of_one(state, policy)
    chosen = None
    if policy.mode is Mode.SINGLETON:
        # While nobody was chosen the first member stands for all, so that S is 0 and not absent.
        chosen = state.services[service].assigned or policy.members[0].name
    share = weight = 0.0
    for component, member in zip(state.members(service), policy.members, strict=True):
        if chosen is None or member.name == chosen:
            weight += member.weight
            share += member.weight * share_of(component)
    for member in policy.elsewhere:
        weight += member.weight
        report = state.elsewhere.get(component_id(service, member.name))
        share += member.weight * report.share if report is not None else 0.0
    return share, weight


def _shares_of_one(state: State, policy: ServicePolicy) -> tuple[float, float]:
    """One instance of it should run, wherever that is."""
    here = [share_of(component) for component in state.members(policy.name) if is_wanted(state, component.id)]
    there = [report.share for report in elsewhere(state, policy) if report.role is Role.PRIMARY]
    return max((*here, *there), default=0.0), 1.0
