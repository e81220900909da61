"""What only the whole file can show: dependencies that go in circles, two things on one port."""

from collections.abc import Iterable, Iterator

from holdfast.config.addresses import LOOPBACK, Address, parse_address
from holdfast.config.circles import circles
from holdfast.config.document import Mapping, Place, nearest
from holdfast.config.hosts import candidates
from holdfast.config.problems import did_you_mean
from holdfast.config.scope import Scope
from holdfast.config.services import ServiceReading
from holdfast.model.ids import ServiceName
from holdfast.model.policy import HostPolicy, Mode, Policy, ServicePolicy
from holdfast.model.value import Value

_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
_ONLY_HOST = HostPolicy("", LOOPBACK)  # of a file that names no hosts


class _Listener(Value, frozen=True):
    """Something that will listen on a port of a host."""

    what: str
    address: Address
    place: Place
    turns: str = ""  # those with the same word never listen at the same time
    is_movable: bool = False  # it may be placed on the host, or on another


def check_dependencies(root: Mapping, services: dict[ServiceName, ServiceReading], scope: Scope) -> None:
    """Note dependencies on what is not there, on itself, twice, and in circles."""
    itself = ("a service cannot depend on itself", "remove it")
    for service in services.values():
        path = ("services", service.name, "depends_on")
        check_names(root, path, service.depends_on, services, scope, itself=itself)
    for circle in circles({name: service.depends_on for name, service in services.items()}):
        place = nearest(root, ("services", circle[0], "depends_on"))
        way = " -> ".join((*circle, circle[0]))
        scope.refuse_at(
            place, f"goes in a circle: {way}", "none of them could ever start; remove one dependency"
        )


def check_names(
    root: Mapping,
    path: tuple[str, ...],
    names: tuple[ServiceName, ...],
    services: Iterable[ServiceName],
    scope: Scope,
    *,
    itself: tuple[str, str],
) -> None:
    """Note services in the list at `path` that are not there, are the list's own (what `itself` says), or there twice."""
    for index, name in enumerate(names):
        place = nearest(root, (*path, f"[{index}]"))
        if name not in services:
            scope.refuse_at(place, f"there is no service {name}", did_you_mean(name, services))
        elif name == path[1]:
            scope.refuse_at(place, *itself)
        elif name in names[:index]:
            scope.refuse_at(place, f"{name} is there twice", "remove one of them")


def in_start_order(services: Iterable[ServicePolicy]) -> dict[ServiceName, ServicePolicy]:
    """Return the services with dependencies first, in the file's order where that leaves a choice."""
    waiting = {service.name: service for service in services}
    ordered: dict[ServiceName, ServicePolicy] = {}
    while waiting:
        ready = next(s for s in waiting.values() if all(name in ordered for name in s.depends_on))
        ordered[ready.name] = waiting.pop(ready.name)
    return ordered


def check_ports(root: Mapping, policy: Policy, scope: Scope) -> None:
    """Note every two things that would listen on one port of one host."""
    told: set[tuple[str, str]] = set()
    for host in policy.hosts.values() or (_ONLY_HOST,):
        seen: dict[int, list[_Listener]] = {}
        for listener in _listeners(root, policy, host):
            others = seen.setdefault(listener.address.port, [])
            first = next((other for other in others if _clash(listener, other)), None)
            if first is not None and (first.what, listener.what) not in told:
                told.add((first.what, listener.what))
                _refuse_port(listener, first, host, scope)
            others.append(listener)


def _refuse_port(listener: _Listener, first: _Listener, host: HostPolicy, scope: Scope) -> None:
    line = f" (line {first.place.line})"
    if listener.is_movable or first.is_movable:
        both = f"would both listen on {listener.address} if the leader placed them on {host.name}"
    else:
        both = f"both listen on {listener.address}"
    is_member = " of " in listener.what
    hint = "for one port after the other write port: 8081+ on the service" if is_member else ""
    message = f"{listener.what} and {first.what}{line} {both}"
    scope.refuse_at(listener.place, message, hint or "give one of them another port")


def _listeners(root: Mapping, policy: Policy, host: HostPolicy) -> Iterator[_Listener]:
    """Return what listens on the host, or may be placed there."""
    if policy.cluster is not None:
        address = Address(host.address, policy.cluster.port)
        yield _Listener("the agent", address, nearest(root, ("cluster", "port")))
    for service in policy.services.values():
        at = ("services", service.name)
        if service.traffic:
            address = Address(service.traffic.listen_host, service.traffic.listen_port)
            yield _Listener(f"traffic of {service.name}", address, nearest(root, (*at, "traffic", "listen")))
            if (reads := service.traffic.read_only) is not None:
                place = nearest(root, (*at, "traffic", "read_only", "listen"))
                address = Address(reads.listen_host, reads.listen_port)
                yield _Listener(f"read_only traffic of {service.name}", address, place)
        turns = service.name if service.mode is Mode.SINGLETON else ""
        for member in service.members:
            if member.port is None or not candidates((host,), member.on, service.placement):
                continue
            place = nearest(root, (*at, "members", member.name, "port"))
            address = Address(member.host or host.address, member.port)
            is_movable = member.on is None and host is not _ONLY_HOST
            yield _Listener(f"member {member.name} of {service.name}", address, place, turns, is_movable)
    if policy.haproxy.stats_listen:
        address = parse_address(policy.haproxy.stats_listen)
        yield _Listener("the page of haproxy", address, nearest(root, ("haproxy", "stats")))


def _clash(one: _Listener, other: _Listener) -> bool:
    if one.turns and one.turns == other.turns:
        return False
    hosts = {_plain(one.address.host), _plain(other.address.host)}
    return len(hosts) == 1 or not hosts.isdisjoint(_ANYWHERE)


def _plain(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
