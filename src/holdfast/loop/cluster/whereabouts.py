"""Where members run: bound by the file, or placed by the leader."""

from holdfast.loop.cluster.state import ClusterState
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import ServicePolicy


def placed(state: ClusterState) -> dict[ServiceName, dict[MemberName, HostName]]:
    """Return where the leader placed the members that the file binds to no host."""
    if state.view is None:
        return {}
    return {name: assignment.placed for name, assignment in state.view.assignments.items()}


def host_of(state: ClusterState, service: ServicePolicy, member: MemberName) -> HostName | None:
    """Return the host on which the member runs; None if it is placed nowhere yet."""
    policy = service.member(member)
    if policy is None:
        return None
    if policy.on is not None:
        return policy.on
    assignment = state.view.assignments.get(service.name) if state.view is not None else None
    return assignment.placed.get(member) if assignment is not None else None


def eligible_hosts(state: ClusterState, service: ServicePolicy) -> tuple[HostName, ...]:
    """Return the hosts that could come to hold the service's lease: all, if a member of it is bound to none."""
    if any(member.on is None for member in service.members):
        return tuple(state.policy.hosts)
    bound = {member.on for member in service.members}
    return tuple(name for name in state.policy.hosts if name in bound)
