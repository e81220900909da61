"""What is said of single members: who is chosen first, and who never by itself."""

from collections.abc import Iterable, Mapping

from holdfast.config.keys import Reading
from holdfast.config.problems import did_you_mean
from holdfast.config.scope import Scope
from holdfast.model.ids import MemberName
from holdfast.model.policy import MemberPolicy, Mode
from holdfast.model.postgresql import PostgresServer


def check_tags(
    settings: Iterable[Reading],
    mode: Mode,
    members: Iterable[MemberPolicy | None],
    scope: Scope,
    *,
    has_hosts: bool,
) -> None:
    """Note tags that mean nothing where they stand, and those that leave nobody."""
    known = [member for member in members if member is not None]
    is_database = all(isinstance(member.run.managed, PostgresServer) for member in known)
    for index, one in enumerate(settings):
        for name in ("priority", "nofailover"):
            if name not in one.key_places:
                continue
            place = one.key_places[name]
            if not has_hosts:
                scope.refuse_at(place, "needs several hosts, and the file is for one", "remove it")
            elif mode is Mode.ACTIVE_ACTIVE:
                scope.refuse_at(place, "goes with active-standby and singleton: here all serve", "remove it")
        if "nosync" in one.key_places and not is_database:
            scope.refuse_at(one.key_places["nosync"], "goes with postgresql", "remove it")
        is_first = index == 0 and is_database and bool(known)
        if is_first and known[0].tags.nofailover:
            message = "is so for the member that makes the first data, and is primary for that"
            scope.refuse_at(one.key_places["nofailover"], message, "list another member first")
        elif known and all(member.tags.nofailover for member in known) and "nofailover" in one.key_places:
            message = "is so for every member: none would ever get the role by itself"
            scope.refuse_at(one.key_places["nofailover"], message, "take it from one of them")


def check_ways(
    settings: Mapping[MemberName, Reading], members: Iterable[MemberPolicy | None], scope: Scope
) -> None:
    """Note standbys that are to stream from nobody, or from each other."""
    known = [member for member in members if member is not None]
    is_database = all(isinstance(member.run.managed, PostgresServer) for member in known)
    ways = {
        name: one.values["streams_from"] for name, one in settings.items() if "streams_from" in one.values
    }
    for name, way in ways.items():
        place = settings[name].key_places["streams_from"]
        if not is_database:
            scope.refuse_at(place, "goes with postgresql", "remove it")
        elif way not in settings:
            scope.refuse_at(place, f"names {way}, which is no member", did_you_mean(way, list(settings)))
        elif name in _passed(ways, name):
            around = " -> ".join((name, *_passed(ways, name)))
            scope.refuse_at(place, f"leads around to the member itself: {around}", "take it from one of them")


def _passed(ways: Mapping[MemberName, MemberName], start: MemberName) -> tuple[MemberName, ...]:
    """Return the members on the way from `start`, up to the first one that was passed before."""
    found: list[MemberName] = []
    here = start
    while here in ways and ways[here] not in found:
        here = ways[here]
        found.append(here)
    return tuple(found)
