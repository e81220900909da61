"""Which commands bring one service's servers from how they stand to how they should.

Level-triggered: compared is what HAProxy just said, not what we remember having told it. Facts of
HAProxy 2.6 that shape this:
- `state ready` after maintenance makes a server UP before any check, a dead one too. With
  `health down` on the same line it stays DOWN until its checks pass. We let it in at once only when
  the service would otherwise have nobody, or when it is the one that shall serve: our own probes saw it.
- `use-server` passes over a server that is DOWN, but not over one that drains.
- `health down` heals itself, `state maint` does not: just what DOWN and OUT mean.
"""

from collections.abc import Iterator, Mapping

from holdfast.model.ids import MemberName
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.traffic import places
from holdfast.traffic.configuring import cuts_when_down, entry
from holdfast.traffic.standing import Server

Servers = Mapping[MemberName, Server]


def commands(service: ServicePolicy, wanted: Routing, servers: Servers, word: str | None) -> tuple[str, ...]:
    """Return the commands, in the order in which they have to be carried out.

    Exclusive: whoever must not serve is cut off before the next one is named, so that two never
    have traffic. While the map steers everything to one that is usable, the next one may be let in
    before that: it gets nothing yet, and nobody finds the service empty in between. A planned
    switchover cuts nobody: the map turns first, then the old one drains.
    Not exclusive: whoever comes comes first, so that there is always somebody.
    """
    lanes = wanted.lanes
    raised = _at_once(service, wanted, servers)
    goes = [
        _cut(service, name, lane, servers[name])
        for name, lane in lanes.items()
        if lane in {Lane.DOWN, Lane.OUT}
    ]
    comes = [_let_in(service, name, servers[name], is_raised=name in raised) for name in _of(lanes, Lane.IN)]
    drains = [_drain(service, name, servers[name]) for name in _of(lanes, Lane.DRAIN)]
    turn = [_turn(service, wanted, word)]
    if not service.is_exclusive:
        order = [comes, drains, goes]
    elif word is not None and word in servers and servers[word].is_usable:
        order = [comes, goes, turn, drains]
    else:
        order = [goes, comes, turn, drains]
    return tuple(command for group in order for some in group for command in some)


def map_word(service: ServicePolicy, wanted: Routing) -> str | None:
    """Return what the map has to say of the service; None if it is not in the map."""
    if not service.is_exclusive:
        return None
    return entry(wanted.active, is_in=wanted.lanes.get(wanted.active or "") is not Lane.DRAIN)


def letting_go(service: ServicePolicy, servers: Servers, active: MemberName | None) -> tuple[str, ...]:
    """Return the commands after which HAProxy's checks alone decide who serves.

    Of a singleton only the active one may come back: another process of it that happens to run must
    not be served beside it.
    """
    found: list[str] = []
    for name, server in servers.items():
        if server.admin is Lane.IN or (service.mode is Mode.SINGLETON and name != active):
            continue
        found.extend(_ready(service, name, server))
    return tuple(found)


def _at_once(service: ServicePolicy, wanted: Routing, servers: Servers) -> set[MemberName]:
    comers = _of(wanted.lanes, Lane.IN)
    if service.is_exclusive and wanted.active in comers:
        return {wanted.active}
    return set() if any(servers[name].is_usable for name in comers) else set(comers)


def _cut(service: ServicePolicy, name: MemberName, lane: Lane, server: Server) -> Iterator[str]:
    target = f"{service.name}/{name}"
    if lane is Lane.OUT:
        if server.admin is not Lane.OUT:
            yield f"set server {target} state maint"
    elif server.admin is Lane.IN:
        yield f"set server {target} health down"
    else:
        yield _ready_and_down(target)
    # Going down cuts them already where the configuration says so, and then HAProxy may try a request
    # again elsewhere; this command ends them for good.
    is_cut = server.is_up and cuts_when_down(service)
    if server.sessions and not is_cut and (lane is Lane.OUT or service.is_exclusive):
        yield f"shutdown sessions server {target}"


def _let_in(service: ServicePolicy, name: MemberName, server: Server, *, is_raised: bool) -> Iterator[str]:
    if server.is_usable:
        return
    if is_raised:
        yield f"set server {service.name}/{name} state ready"
        yield f"set server {service.name}/{name} health up"
    else:
        yield from _ready(service, name, server)


def _ready(service: ServicePolicy, name: MemberName, server: Server) -> Iterator[str]:
    target = f"{service.name}/{name}"
    match server.admin:
        case Lane.OUT:
            yield _ready_and_down(target)
        case Lane.DRAIN:  # its checks went on: what they say is true
            yield f"set server {target} state ready"
        case _:
            pass


def _drain(service: ServicePolicy, name: MemberName, server: Server) -> Iterator[str]:
    if server.admin is not Lane.DRAIN:
        yield f"set server {service.name}/{name} state drain"


def _turn(service: ServicePolicy, wanted: Routing, word: str | None) -> Iterator[str]:
    wish = map_word(service, wanted)
    if wish != word:
        verb = "add" if word is None else "set"  # an entry that somebody deleted cannot be set
        yield f"{verb} map {places.MAP} {service.name} {wish}"


def _ready_and_down(target: str) -> str:
    # One line: not one request gets in between.
    return f"set server {target} state ready;set server {target} health down"


def _of(lanes: Mapping[MemberName, Lane], lane: Lane) -> list[MemberName]:
    return [name for name, each in lanes.items() if each is lane]
