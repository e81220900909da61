"""Where a file for several hosts still hangs on one of them, or on one server of the coordinator."""

from collections.abc import Iterator

from holdfast.config.coordinator import servers_of
from holdfast.config.hosts import left_for
from holdfast.config.weaknesses import Weakness, WeaknessCode
from holdfast.model.ids import HostName
from holdfast.model.policy import ClusterPolicy, HostPolicy, Policy, ServicePolicy

_QUORUM = 3  # servers of an ensemble that may lose one


def host_weaknesses(policy: Policy) -> tuple[Weakness, ...]:
    """Return what `policy` leaves weak between its hosts; nothing if it is for one."""
    if policy.cluster is None:
        return ()
    return (
        *_coordinator(policy.cluster),
        *_lone_hosts(policy),
        *_room(policy),
        *(weak for service in policy.services.values() for weak in _loopback(policy, service)),
    )


def _coordinator(cluster: ClusterPolicy) -> Iterator[Weakness]:
    servers = servers_of(cluster.coordinator)
    if len(servers) >= _QUORUM:
        return
    advice = "run three servers of it, on three machines, and name them all"
    if not servers:
        text = "the coordinator is a folder: all hosts have to be one machine, which is for tests only"
        advice = "run ZooKeeper or etcd on three machines"
    elif len(servers) == 1:
        text = f"the coordinator is one server, {servers[0]}: while it is away, nobody can take over"
    else:
        text = f"the coordinator's two servers need each other: while {' or '.join(servers)} is away, nobody can take over"
    yield Weakness(WeaknessCode.LONE_COORDINATOR, "cluster", text, advice)


def _lone_hosts(policy: Policy) -> Iterator[Weakness]:
    for host in policy.hosts:
        lost = [service.name for service in policy.services.values() if _runs_only_on(policy, service, host)]
        if lost:
            text = f"{host} is a single point of failure: {' and '.join(lost)} can run nowhere else"
            yield Weakness(WeaknessCode.LONE_HOST, host, text, "bind a member to another host, or to none")


def _runs_only_on(policy: Policy, service: ServicePolicy, host: HostName) -> bool:
    if service.is_builtin:
        return False
    bound = {other.name: tuple(member.on for member in other.members) for other in policy.services.values()}
    movable = {one.name for one in left_for(policy.hosts.values(), service.placement, bound)}
    return all(({member.on} if member.on else movable) == {host} for member in service.members)


def _room(policy: Policy) -> Iterator[Weakness]:
    """Find the host whose loss leaves too little room for what the leader places."""
    services = [service for service in policy.services.values() if not service.is_builtin]
    placed = sum(member.on is None for service in services for member in service.members)
    left = {host.name: _room_without(policy, host) for host in policy.hosts.values()}
    tight = {name: room for name, room in left.items() if room is not None and room < placed}
    if not tight:
        return
    worst = min(tight, key=lambda name: tight[name])
    text = f"when {worst} is lost, the other hosts have room for {tight[worst]} of the {placed} members that the leader places"
    yield Weakness(WeaknessCode.NO_ROOM, worst, text, "raise capacity of the other hosts, or add a host")


def _room_without(policy: Policy, lost: HostPolicy) -> int | None:
    """Return how many members the other hosts take; None if that has no bound."""
    capacities = [host.capacity for host in policy.hosts.values() if host is not lost]
    return sum(capacities) if all(capacities) else None


def _loopback(policy: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    if service.traffic is None:
        return
    addresses = {host.address for host in policy.hosts.values()}
    members = [
        member.name
        for member in service.members
        if _is_loopback(member.host) and member.host not in addresses
    ]
    if members:
        text = f"{', '.join(members)} of {service.name}: reached at a loopback address, where each host's HAProxy finds itself"
        yield Weakness(
            WeaknessCode.LOOPBACK, service.name, text, "remove host: the host's address is the default"
        )


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host in {"localhost", "::1"}
