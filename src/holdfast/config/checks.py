"""What only the whole file can show: dependencies that go in circles, two things on one port."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from holdfast.config.addresses import Address, parse_address
from holdfast.config.document import Mapping, Place, nearest
from holdfast.config.problems import did_you_mean
from holdfast.config.scope import Scope
from holdfast.config.services import ServiceReading
from holdfast.model.ids import ServiceName
from holdfast.model.policy import HaproxyPolicy, Mode, ServicePolicy
from holdfast.model.value import Value

_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


class _Listener(Value, frozen=True):
    """Something that will listen on a port of this host."""

    what: str
    address: Address
    place: Place
    turns: str = ""  # those with the same word never listen at the same time


def check_dependencies(root: Mapping, services: dict[ServiceName, ServiceReading], scope: Scope) -> None:
    """Note dependencies on what is not there, on itself, twice, and in circles."""
    for service in services.values():
        for index, name in enumerate(service.depends_on):
            place = nearest(root, ("services", service.name, "depends_on", f"[{index}]"))
            if name not in services:
                scope.refuse_at(place, f"there is no service {name}", did_you_mean(name, services))
            elif name == service.name:
                scope.refuse_at(place, "a service cannot depend on itself", "remove it")
            elif name in service.depends_on[:index]:
                scope.refuse_at(place, f"{name} is there twice", "remove one of them")
    for cycle in _cycles(services):
        place = nearest(root, ("services", cycle[0], "depends_on"))
        circle = " -> ".join((*cycle, cycle[0]))
        scope.refuse_at(
            place, f"goes in a circle: {circle}", "none of them could ever start; remove one dependency"
        )


def in_start_order(services: Iterable[ServicePolicy]) -> dict[ServiceName, ServicePolicy]:
    """Return the services with dependencies first, in the file's order where that leaves a choice."""
    waiting = {service.name: service for service in services}
    ordered: dict[ServiceName, ServicePolicy] = {}
    while waiting:
        ready = next(s for s in waiting.values() if all(name in ordered for name in s.depends_on))
        ordered[ready.name] = waiting.pop(ready.name)
    return ordered


def check_ports(
    root: Mapping, services: Iterable[ServicePolicy], haproxy: HaproxyPolicy | None, scope: Scope
) -> None:
    """Note every two things that would listen on one port of one host."""
    seen: dict[int, list[_Listener]] = {}
    for listener in _listeners(root, services, haproxy):
        others = seen.setdefault(listener.address.port, [])
        first = next((other for other in others if _clash(listener, other)), None)
        if first is not None:
            message = f"{listener.what} and {first.what} (line {first.place.line}) both listen on {listener.address}"
            hint = (
                "for one port after the other write port: 8081+ on the service"
                if " of " in listener.what
                else ""
            )
            scope.refuse_at(listener.place, message, hint or "give one of them another port")
        others.append(listener)


def _listeners(
    root: Mapping, services: Iterable[ServicePolicy], haproxy: HaproxyPolicy | None
) -> Iterator[_Listener]:
    for service in services:
        at = ("services", service.name)
        if service.traffic:
            address = Address(service.traffic.listen_host, service.traffic.listen_port)
            yield _Listener(f"traffic of {service.name}", address, nearest(root, (*at, "traffic", "listen")))
        turns = service.name if service.mode is Mode.SINGLETON else ""
        for member in service.members:
            if member.port is None:
                continue
            place = nearest(root, (*at, "members", member.name, "port"))
            what = f"member {member.name} of {service.name}"
            yield _Listener(what, Address(member.host, member.port), place, turns)
    if haproxy is not None and haproxy.stats_listen:
        address = parse_address(haproxy.stats_listen)
        yield _Listener("the page of haproxy", address, nearest(root, ("haproxy", "stats")))


def _clash(one: _Listener, other: _Listener) -> bool:
    if one.turns and one.turns == other.turns:
        return False
    hosts = {_plain(one.address.host), _plain(other.address.host)}
    return len(hosts) == 1 or not hosts.isdisjoint(_ANYWHERE)


def _plain(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _cycles(services: dict[ServiceName, ServiceReading]) -> Iterator[tuple[ServiceName, ...]]:
    """Find circles, each once; take one of its dependencies away and look again for the next."""
    graph = {
        name: [other for other in service.depends_on if other in services and other != name]
        for name, service in services.items()
    }
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # graphlib lists a circle from dependency to dependent, its first name again at the end.
            circle = tuple(reversed(error.args[1][1:]))
            start = min(range(len(circle)), key=lambda i: list(services).index(circle[i]))
            circle = circle[start:] + circle[:start]
            yield circle
            graph[circle[0]].remove(circle[1 % len(circle)])
        else:
            return
