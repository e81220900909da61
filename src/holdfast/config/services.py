"""One service with its members: templates filled in, what members inherit laid under what they say themselves."""

import re
from typing import Any

from holdfast.config.addresses import LOOPBACK, CountingPort
from holdfast.config.document import Mapping, Node, Place, Scalar, Sequence
from holdfast.config.hosts import Hosts, address_of
from holdfast.config.keys import Reading, key_place, read_table
from holdfast.config.kinds import NAME_PATTERN, RefusedError, name_kind
from holdfast.config.ocf import check_mode
from holdfast.config.postgresql import check_commits, check_follows, settled
from holdfast.config.probes import PROBES
from holdfast.config.problems import did_you_mean, quote
from holdfast.config.quantities import Whole
from holdfast.config.redis import settled_redis
from holdfast.config.scope import INVALID, Scope
from holdfast.config.tables import MEMBER, MEMBERS_MAX, RUN, SERVICE, Members, Run, as_section
from holdfast.config.tags import check_tags, check_ways
from holdfast.config.traffic import read_from
from holdfast.model import blanks
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import MemberPolicy, Mode, PlacementPolicy, ServicePolicy, TrafficPolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.redis import RedisServer
from holdfast.model.tags import Tags
from holdfast.model.value import Value, replace

_FIRST_PORT_TOO_HIGH = "counts up past 65535"
_ADD_HOSTS = "add hosts and cluster, or remove it"


_HOSTS_KEYS = ("placement", "on_coordinator_loss", "needs_fencing", "with_primary_of")


class Ground(Value, frozen=True):
    """What services stand on: the system, and the hosts if there are several."""

    system: str
    hosts: Hosts | None  # None: one host


class ServiceReading(Value, frozen=True):
    """What was read of one service. What other services and hosts have to fit is there even if the rest is unusable."""

    name: ServiceName
    policy: ServicePolicy | None = None  # None: it has problems, and they have been noted
    depends_on: tuple[ServiceName, ...] = ()
    placement: PlacementPolicy | None = None  # None: not written
    needs_fencing: bool = False
    with_primary_of: ServiceName | None = None
    is_exclusive: bool = True
    bound: tuple[HostName | None, ...] = ()  # by member


class _Draft(Value, frozen=True):
    """A member before it inherits from its service."""

    name: MemberName
    settings: Reading
    port: int | None
    on: HostName | None


def read_service(name: ServiceName, node: Node, scope: Scope, ground: Ground) -> ServiceReading:
    """Read one service; note every problem in it."""
    before = len(scope.problems)
    reading = read_table(SERVICE, node, scope)
    if reading is INVALID:
        return ServiceReading(name)
    drafts = _drafts(name, reading, scope, ground)
    mode = _mode(reading, drafts, scope)
    members = tuple(
        _with_mode(_member(name, reading, draft, scope, ground), mode, reading, scope, ground)
        for draft in drafts
    )
    check_tags(
        tuple(draft.settings for draft in drafts), mode, members, scope, has_hosts=ground.hosts is not None
    )
    check_ways({draft.name: draft.settings for draft in drafts}, members, scope)
    check_commits(members, reading.place, scope)
    check_follows(members, reading.place, scope)
    _check_traffic_has_ports(reading, drafts, scope)
    _check_reads(reading, mode, scope)
    _check_fits_hosts(reading, mode, drafts, scope, ground)
    found = ServiceReading(
        name,
        depends_on=reading.values.get("depends_on", ()),
        placement=reading.values.get("placement"),
        needs_fencing=mode is not Mode.ACTIVE_ACTIVE and reading.values.get("needs_fencing", False),
        with_primary_of=reading.values.get("with_primary_of") if ground.hosts is not None else None,
        is_exclusive=mode is not Mode.ACTIVE_ACTIVE,
        bound=tuple(draft.on for draft in drafts),
    )
    if len(scope.problems) > before:
        return found
    own = ("mode", "members", "host", "port", "run", "probes")  # read above
    fields = reading.fields(*(key.name for key in SERVICE.keys if key.name not in own))
    built = tuple(member for member in members if member is not None)
    return replace(found, policy=ServicePolicy(name=name, mode=mode, members=built, **fields))


def _mode(reading: Reading, drafts: tuple[_Draft, ...], scope: Scope) -> Mode:
    mode: Mode = reading.values.get("mode", Mode.SINGLETON)
    if "mode" not in reading.values and "mode" not in reading.invalid and len(drafts) > 1:
        message = f"needs the key mode, because it has {len(drafts)} members"
        hint = "write mode: active-active (all serve), active-standby (one serves) or singleton (one runs)"
        scope.refuse_at(reading.place, message, hint)
    return mode


def _check_reads(reading: Reading, mode: Mode, scope: Scope) -> None:
    """Note a listener for reading where there are no standbys."""
    traffic: TrafficPolicy | None = reading.values.get("traffic")
    if traffic is None or traffic.read_only is None or mode is Mode.ACTIVE_STANDBY:
        return
    message = f"has read_only, which leads to standbys, and {mode} has none that run"
    scope.refuse_at(reading.key_places["traffic"], message, "remove read_only, or write mode: active-standby")


def _check_traffic_has_ports(reading: Reading, drafts: tuple[_Draft, ...], scope: Scope) -> None:
    if "traffic" not in reading.values or "port" in reading.invalid:
        return
    without = [d.name for d in drafts if d.port is None and "port" not in d.settings.invalid]
    if without:
        hint = "write port: 8081 for one member, port: 8081+ for several"
        scope.refuse_at(reading.key_places["traffic"], f"needs a port for {', '.join(without)}", hint)


def _check_fits_hosts(
    reading: Reading, mode: Mode, drafts: tuple[_Draft, ...], scope: Scope, ground: Ground
) -> None:
    """Note keys about several hosts where there is one, or where nothing is left for them to say."""
    written = [name for name in _HOSTS_KEYS if name in reading.key_places]
    for name in written:
        place = reading.key_places[name]
        if ground.hosts is None:
            scope.refuse_at(place, "needs several hosts, and the file is for one", _ADD_HOSTS)
        elif name == "placement" and all(draft.on for draft in drafts):
            message = "has nothing to place: all members are bound to a host"
            scope.refuse_at(place, message, "remove it, or the key on of members that may move")
        elif name != "placement" and mode is Mode.ACTIVE_ACTIVE:
            message = "goes with active-standby and singleton: in active-active nobody has to take over"
            scope.refuse_at(place, message, "remove it")


# --- members ------------------------------------------------------------------------------------------


def _drafts(service: ServiceName, reading: Reading, scope: Scope, ground: Ground) -> tuple[_Draft, ...]:
    """Return the members; one stand-in where they cannot be read, so that the rest is looked at all the same."""
    named = _named_members(service, reading, scope)
    counting: CountingPort | None = reading.values.get("port")
    drafts = []
    for index, (name, node) in enumerate(named):
        settings = read_table(MEMBER, node, scope)
        if settings is INVALID:
            settings = Reading(node.place, MEMBER, {}, frozenset({"port"}))
        port = settings.values.get("port", counting.of(index) if counting else None)
        if port is not None and port > 65535:
            scope.refuse_at(reading.key_places["port"], f"{_FIRST_PORT_TOO_HIGH} for member {name}")
            port = None
        drafts.append(_Draft(name, settings, port, _host_of(settings, scope, ground)))
    return tuple(drafts)


def _host_of(settings: Reading, scope: Scope, ground: Ground) -> HostName | None:
    """Return the host that the member is bound to, None if there is none; note one that is not there."""
    name: HostName | None = settings.values.get("on")
    if name is None:
        return None
    if ground.hosts is None:
        scope.refuse_at(settings.key_places["on"], "needs several hosts, and the file is for one", _ADD_HOSTS)
    elif ground.hosts and name not in ground.hosts:
        hint = did_you_mean(name, ground.hosts)
        scope.refuse_at(settings.key_places["on"], "there is no such host", hint, seen=quote(name))
    return name


def _named_members(service: ServiceName, reading: Reading, scope: Scope) -> list[tuple[MemberName, Node]]:
    """Return each member's name and settings, whichever way they are written."""
    node: Node | None = reading.values.get("members")
    empty = Scalar(Place(reading.place.path, reading.place.line, reading.place.column), "", "null")
    stand_in: list[tuple[MemberName, Node]] = [(f"{service}-1", empty)]
    match node:
        case None:
            return stand_in
        case Mapping(entries=entries) if entries:
            for name in entries:
                if not re.fullmatch(NAME_PATTERN, name):
                    message = f"{quote(name)} must be {name_kind().words}"
                    scope.refuse_at(key_place(node, name), message)
            return [
                (name, entry) for name, entry in entries.items() if re.fullmatch(NAME_PATTERN, name)
            ] or stand_in
        case Sequence(items=items) if items:
            return _listed(items, scope) or stand_in
        case Scalar(tag="int"):
            try:
                count = Whole(1, MEMBERS_MAX).parse(node)
            except RefusedError as refused:
                scope.refuse(node, refused.message)
                return stand_in
            blank = replace(empty, place=node.place)
            return [(f"{service}-{number}", blank) for number in range(1, count + 1)]
        case _:
            scope.refuse(node, f"must be {Members().words}")
            return stand_in


def _listed(items: tuple[Node, ...], scope: Scope) -> list[tuple[MemberName, Node]]:
    found: dict[MemberName, Node] = {}
    for item in items:
        name = name_kind().read(item, scope)
        if name is INVALID:
            continue
        if name in found:
            scope.refuse(item, "is there twice", "remove one of them")
        found[name] = Scalar(item.place, "", "null")
    return list(found.items())


def _member(
    service: ServiceName, reading: Reading, draft: _Draft, scope: Scope, ground: Ground
) -> MemberPolicy | None:
    settings = draft.settings
    host, variables = _whereabouts(settings.values.get("host", reading.values.get("host")), draft.on, ground)
    variables |= {"member": draft.name, "service": service, "system": ground.system}
    if draft.port is not None or "port" in reading.invalid | settings.invalid:
        variables["port"] = str(draft.port or 1)  # a refused port is one problem, not one for each use
    inner = replace(scope, variables=variables | settings.values.get("vars", {}))
    probe_node = _laid_over(_part(reading, "probes"), _part(settings, "probes"), depth=1)
    probe_node = _without(probe_node, _nulls(_part(settings, "probes")))
    probes: Any = PROBES.read(probe_node, inner) if probe_node is not None else {}
    run_node = _laid_over(_part(reading, "run", long=True), _part(settings, "run", long=True), depth=2)
    if run_node is None:
        scope.refuse_at(reading.place, f"needs the key run: {SERVICE.key('run').doc}", RUN.example)
        return None
    run = Run(RUN).read(run_node, inner)
    if run is INVALID or probes is INVALID:
        return None
    fields = settings.fields("weight", "traffic_weight")
    tags = Tags(**settings.fields("priority", "nofailover", "nosync", "streams_from"))
    return MemberPolicy(
        draft.name, run, tuple(probes.values()), host, draft.port, on=draft.on, tags=tags, **fields
    )


def _with_mode(
    member: MemberPolicy | None, mode: Mode, reading: Reading, scope: Scope, ground: Ground
) -> MemberPolicy | None:
    """Return the member with what its mode means for who manages it: a standby has to run without serving."""
    if member is None or member.run.managed is None:
        return member
    place = reading.key_places.get("mode", reading.place)
    has_hosts = ground.hosts is not None
    if isinstance(member.run.managed, PostgresServer):
        member = settled(member, member.run.managed, mode, place, scope, has_hosts=has_hosts)
        return read_from(member, reading.values.get("traffic"))
    if isinstance(member.run.managed, RedisServer):
        member = settled_redis(member, member.run.managed, mode, place, scope, has_hosts=has_hosts)
        return read_from(member, reading.values.get("traffic"))
    check_mode(member.run.managed, mode, place, scope)
    managed = replace(member.run.managed, is_promotable=mode is Mode.ACTIVE_STANDBY)
    return replace(member, run=replace(member.run, managed=managed))


def _whereabouts(written: str | None, on: HostName | None, ground: Ground) -> tuple[str, dict[str, str]]:
    """Return where the member's port is reached, empty until it is placed, and what its templates may say of that."""
    if ground.hosts is None:
        return written or LOOPBACK, {"host": written or LOOPBACK}
    if on is None:
        return written or "", {"host": written or blanks.HOST, "address": blanks.ADDRESS, "on": blanks.ON}
    address = address_of(ground.hosts, on)
    return written or address, {"host": written or address, "address": address, "on": on}


def _part(reading: Reading, name: str, *, long: bool = False) -> Node | None:
    node: Node | None = reading.values.get(name)
    if node is None or (isinstance(node, Scalar) and node.is_null):
        return None
    return as_section(node) if long else node


def _laid_over(base: Node | None, top: Node | None, *, depth: int) -> Node | None:
    """Return `base` with `top` over it: mappings are merged `depth` levels deep, anything else is replaced."""
    if base is None or top is None:
        return top if base is None else base
    if depth == 0 or not (isinstance(base, Mapping) and isinstance(top, Mapping)):
        return top
    entries = dict(base.entries)
    for key, entry in top.entries.items():
        merged = _laid_over(entries.get(key), entry, depth=depth - 1)
        assert merged is not None
        entries[key] = merged
    return Mapping(base.place, entries, base.key_places | top.key_places)


def _nulls(node: Node | None) -> frozenset[str]:
    """Return the keys to which nothing was written."""
    entries = node.entries.items() if isinstance(node, Mapping) else ()
    return frozenset(key for key, entry in entries if isinstance(entry, Scalar) and entry.is_null)


def _without(node: Node | None, names: frozenset[str]) -> Node | None:
    if not isinstance(node, Mapping):
        return node
    kept = {key: entry for key, entry in node.entries.items() if key not in names}
    return Mapping(node.place, kept, {key: node.key_places[key] for key in kept})
