"""What services say of several hosts: whether it fits their mode, the hosts that there are, and each other."""

from collections.abc import Iterable, Iterator, Mapping

from holdfast.config.addresses import parse_address
from holdfast.config.checks import check_names
from holdfast.config.circles import circles, way
from holdfast.config.cluster import CLUSTER
from holdfast.config.document import Mapping as Entries
from holdfast.config.document import Place, nearest
from holdfast.config.hosts import BY_HOST, HOST, Hosts, candidates, has_labels, left_for
from holdfast.config.keys import Reading
from holdfast.config.problems import did_you_mean, quote
from holdfast.config.scope import Scope
from holdfast.config.services import ServiceReading
from holdfast.model.ids import ServiceName
from holdfast.model.policy import HostPolicy, PlacementPolicy, Policy


def check_pairing(root: Reading, scope: Scope) -> None:
    """Note hosts without what holds them together, and the other way round."""
    written = root.key_places
    if "hosts" in written and "cluster" not in written:
        scope.refuse_at(
            written["hosts"], "needs the key cluster: how the hosts hold together", CLUSTER.example
        )
    if "cluster" in written and "hosts" not in written:
        scope.refuse_at(written["cluster"], "needs the key hosts: the hosts by name", HOST.example)


def check_listens(root: Entries, policy: Policy, scope: Scope) -> None:
    """Note addresses that one host has and every host's HAProxy would have to listen on."""
    owners = {host.address: host.name for host in policy.hosts.values()}
    for address, place in _listens(root, policy):
        if address in owners and not address.startswith("127."):
            message = f"is an address of {owners[address]} alone, and the HAProxy of every host listens"
            scope.refuse_at(place, message, "write 0.0.0.0:PORT for all addresses, or PORT for 127.0.0.1")


def _listens(root: Entries, policy: Policy) -> Iterator[tuple[str, Place]]:
    for service in policy.services.values():
        if service.traffic is not None:
            place = nearest(root, ("services", service.name, "traffic", "listen"))
            yield service.traffic.listen_host, place
            if (reads := service.traffic.read_only) is not None:
                yield (
                    reads.listen_host,
                    nearest(root, ("services", service.name, "traffic", "read_only", "listen")),
                )
    if policy.haproxy.stats_listen:
        yield parse_address(policy.haproxy.stats_listen).host, nearest(root, ("haproxy", "stats"))


# --- fencing ------------------------------------------------------------------------------------------


def check_fences(
    root: Entries, services: Iterable[ServiceReading], hosts: Hosts | None, scope: Scope
) -> None:
    """Note services whose takeover waits for a fence that some of their hosts do not have."""
    known = [host for host in (hosts or {}).values() if host is not None]
    for service in services:
        if not service.needs_fencing:
            continue
        placement = service.placement or PlacementPolicy()
        mine = {host.name: host for on in service.bound for host in candidates(known, on, placement)}
        bare = [host.name for host in known if host.name in mine and host.fence is None]
        if bare:
            message = (
                f"needs a fence for every host that its members may run on: {' and '.join(bare)} "
                f"{'has' if len(bare) == 1 else 'have'} none"
            )
            hint = f"write hosts.{bare[0]}.fence, or remove needs_fencing"
            scope.refuse_at(nearest(root, ("services", service.name, "needs_fencing")), message, hint)


# --- beside a primary -----------------------------------------------------------------------------------


def check_companions(root: Entries, services: Mapping[ServiceName, ServiceReading], scope: Scope) -> None:
    """Note services that are to live with the primary of one that has none, or of each other, or that could not follow."""
    follows = {name: service.with_primary_of for name, service in services.items() if service.with_primary_of}
    for name, other in follows.items():
        place = nearest(root, ("services", name, "with_primary_of"))
        if other not in services:
            hint = did_you_mean(other, services)
            scope.refuse_at(place, "there is no such service", hint, seen=quote(other))
        elif other == name:
            scope.refuse_at(place, "a service cannot live with its own primary", "remove it")
        elif not services[other].is_exclusive:
            scope.refuse_at(place, "has no primary: all of its members serve", "remove it", seen=quote(other))
        if None in services[name].bound:
            hint = "give each member its host: members: { a: { on: h1 }, b: { on: h2 } }"
            scope.refuse_at(place, "needs members that are bound to hosts: it follows by its lease", hint)
    for circle in circles({name: (other,) for name, other in follows.items() if other != name}):
        message = f"goes in a circle: {' -> '.join((*circle, circle[0]))}"
        place = nearest(root, ("services", circle[0], "with_primary_of"))
        scope.refuse_at(place, message, "none of them could be first; leave it to one of them")


# --- placement ----------------------------------------------------------------------------------------


def check_placements(
    root: Entries, services: Mapping[ServiceName, ServiceReading], hosts: Hosts | None, scope: Scope
) -> None:
    """Note placements that refer to what is not there, that contradict each other, or that no host fits."""
    before = len(scope.problems)
    known = [host for host in (hosts or {}).values() if host is not None]
    are_known = bool(known) and len(known) == len(hosts or {})  # of a host with mistakes nothing is known
    placements = {
        name: service.placement for name, service in services.items() if service.placement is not None
    }
    itself = ("a service cannot be placed by itself", "remove it; to spread its members use spread_by")
    for name, placement in placements.items():
        for key, names in (
            ("apart_from", placement.apart_from),
            ("together_with", placement.together_with),
        ):
            path = (*_path(name), key)
            check_names(root, path, names, services, scope, itself=itself)
        if are_known:
            _check_labels(root, _path(name), placement, known, scope)
    _check_together(root, placements, services, scope)
    bound = {name: service.bound for name, service in services.items()}
    for name, placement in placements.items():
        if len(scope.problems) == before and are_known and not left_for(known, placement, bound):
            message = "leaves no host: apart_from and together_with rule each of them out"
            scope.refuse_at(nearest(root, _path(name)), message, "leave one of them out")


def _path(service: ServiceName) -> tuple[str, ...]:
    return ("services", service, "placement")


def _check_together(
    root: Entries,
    placements: Mapping[ServiceName, PlacementPolicy],
    services: Iterable[ServiceName],
    scope: Scope,
) -> None:
    """Note services that wait for each other to be placed, and those that are both to meet and not to."""
    together = {name: (p.together_with if (p := placements.get(name)) else ()) for name in services}
    for circle in circles(together):
        message = f"goes in a circle: {' -> '.join((*circle, circle[0]))}"
        place = nearest(root, (*_path(circle[0]), "together_with"))
        scope.refuse_at(place, message, "none of them could be placed first; leave it to one of them")
    for name, placement in placements.items():
        for index, other in enumerate(placement.apart_from):
            road = way(together, name, other) or way(together, other, name)
            if road and other != name:
                place = nearest(root, (*_path(name), "apart_from", f"[{index}]"))
                message = f"contradicts together_with, which brings them to one host: {' -> '.join(road)}"
                scope.refuse_at(place, message, "remove one of the two", seen=quote(other))


def _check_labels(
    root: Entries, path: tuple[str, ...], placement: PlacementPolicy, hosts: list[HostPolicy], scope: Scope
) -> None:
    known = list(dict.fromkeys(label for host in hosts for label in host.labels))
    spread_by = placement.spread_by
    if spread_by != BY_HOST and spread_by not in known:
        place = nearest(root, (*path, "spread_by"))
        hint = did_you_mean(spread_by, [BY_HOST, *known])
        scope.refuse_at(place, "no host has this label", hint, seen=quote(spread_by))
    for label in placement.prefer:
        if label not in known:
            hint = did_you_mean(label, known) or "give hosts labels: { ... }"
            scope.refuse_at(nearest(root, (*path, "prefer", label)), "no host has this label", hint)
    fits = True
    for label, value in placement.require.items():
        values = list(dict.fromkeys(host.labels[label] for host in hosts if label in host.labels))
        if value not in values:
            fits = False
            place = nearest(root, (*path, "require", label))
            hint = did_you_mean(value, values) or did_you_mean(label, known) or "give hosts labels: { ... }"
            scope.refuse_at(place, "no host has this label so", hint, seen=quote(value))
    if fits and not any(has_labels(host, placement.require) for host in hosts):
        scope.refuse_at(nearest(root, (*path, "require")), "no host has all of these labels")
