"""Access: how much a caller may ask for. Decided here, for every verb and every way in.

Three levels, each including the ones before it: `view` reads, `operate` moves, drains, restarts and pauses, `admin`
does everything. A verb that this table does not name is an admin's: what somebody adds and forgets to list stays shut.

The certificate's or token's level is called access, not role: a role is what a component has.
"""

from enum import StrEnum

from holdfast.agent import protocol
from holdfast.model.value import Value


class Access(StrEnum):
    """What a caller may ask for."""

    VIEW = "view"
    OPERATE = "operate"
    ADMIN = "admin"

    def includes(self, other: "Access") -> bool:
        """Tell whether who has this may do what `other` is needed for."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER = tuple(Access)

_NEEDED: dict[type[protocol.Request], Access] = {
    protocol.PingRequest: Access.VIEW,
    protocol.StatusRequest: Access.VIEW,
    protocol.StateRequest: Access.VIEW,
    protocol.WatchRequest: Access.VIEW,
    protocol.ExplainDataRequest: Access.VIEW,
    protocol.IncidentsRequest: Access.VIEW,
    protocol.IncidentRequest: Access.VIEW,
    protocol.HealthRequest: Access.VIEW,
    protocol.ClusterRequest: Access.VIEW,
    protocol.PolicyRequest: Access.VIEW,
    protocol.PoliciesRequest: Access.ADMIN,  # the whole file: commands, users, places of secrets
    protocol.SwitchoverRequest: Access.OPERATE,
    protocol.DrainRequest: Access.OPERATE,
    protocol.PauseRequest: Access.OPERATE,
    protocol.ResumeRequest: Access.OPERATE,
    protocol.RestartRequest: Access.OPERATE,
    protocol.ReloadRequest: Access.OPERATE,  # the host's own file, which only its owner can have changed
    protocol.DownRequest: Access.ADMIN,
}


class Caller(Value, frozen=True):
    """Who asks."""

    name: str  # as events and the audit log have it
    access: Access
    how: str  # what proved it: "socket", "certificate", "token", "host"
    place: str = ""  # the network address that it came from; empty: this host


class DeniedError(Exception):
    """Somebody may not speak to this agent at all; the text says why."""


def needed_for(request: protocol.Request) -> Access:
    """Return the access that `request` needs."""
    return _NEEDED.get(type(request), Access.ADMIN)


def is_reading(request: protocol.Request) -> bool:
    """Tell whether `request` changes nothing."""
    return needed_for(request) is Access.VIEW


def why_not(caller: Caller, request: protocol.Request) -> str:
    """Return why `caller` may not ask for this; empty if it may."""
    needed = needed_for(request)
    if caller.access.includes(needed):
        return ""
    return f"{caller.name} may not: {verb_of(request)} needs {needed} access, and this is {caller.access}"


def verb_of(request: protocol.Request) -> str:
    """Return the verb as it stands on the wire."""
    return str(request.__struct_config__.tag)
