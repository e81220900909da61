"""What is said of single members: who is chosen first, and who never by itself."""

from collections.abc import Iterable

from holdfast.config.keys import Reading
from holdfast.config.scope import Scope
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
