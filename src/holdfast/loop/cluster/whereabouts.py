"""Where members run: bound by the file, or placed by the leader.

What the leader said last goes on counting while nothing is known of the coordinator, by the next life of the agent too, and when
the coordinator comes back empty: what runs beside others is not stopped because nobody can be asked about it.
"""

from holdfast.loop.cluster.state import ClusterState
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import ServicePolicy


def placed(state: ClusterState) -> dict[ServiceName, dict[MemberName, HostName]]:
    """Return where the leader last placed the members that the file binds to no host."""
    return state.placed


def host_of(state: ClusterState, service: ServicePolicy, member: MemberName) -> HostName | None:
    """Return the host on which the member runs; None if it is placed nowhere yet."""
    policy = service.member(member)
    if policy is None:
        return None
    if policy.on is not None:
        return policy.on
    return state.placed.get(service.name, {}).get(member)


def eligible_hosts(state: ClusterState, service: ServicePolicy) -> tuple[HostName, ...]:
    """Return the hosts that could come to hold the service's lease: all, if a member of it is bound to none."""
    if any(member.on is None for member in service.members):
        return tuple(state.policy.hosts)
    bound = {member.on for member in service.members}
    return tuple(name for name in state.policy.hosts if name in bound)
