"""What the care for servers of any kind may know of the cluster: who serves, where members are, what they tell of themselves."""

import hashlib
import hmac
from collections.abc import Callable

from holdfast.loop.cluster.showing import is_silent
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import MemberReport, lease_of
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    MemberName,
    ServiceName,
    component_id,
    member_of,
    service_of,
)
from holdfast.model.policy import MemberPolicy
from holdfast.model.standing import Role
from holdfast.model.tags import Tags


class MemberBooks:
    """The members of the cluster's services."""

    def __init__(
        self,
        root: str,
        secret: bytes,
        state: Callable[[], ClusterState],
        elsewhere: Callable[[], dict[ComponentId, MemberReport]],
    ) -> None:
        """`root` is where the system's keys stand in the coordinator, `secret` the cluster's key."""
        self._root = root
        self._secret = secret
        self._state = state
        self._elsewhere = elsewhere
        self._followed: dict[
            ServiceName, Epoch
        ] = {}  # the lease under which its holder has been seen as primary

    def primary(self, service: ServiceName) -> MemberName | None:
        """Return who holds the lease elsewhere and has told, under this very lease, that it is primary.

        From then on it is followed for as long as it holds it: that it is not heard for a moment is no reason to let go of it.
        """
        state = self._state()
        lease = state.view.leases.get(service) if state.view is not None else None
        if lease is None or lease.host == state.me:
            self._followed.pop(service, None)
            return None
        report = self._elsewhere().get(component_id(service, lease.member))
        if report is not None and report.role is Role.PRIMARY and lease_of(report.epoch) == lease.epoch:
            self._followed[service] = lease.epoch
        return lease.member if self._followed.get(service) == lease.epoch else None

    def primary_under(self, service: ServiceName) -> Epoch:
        """Return the epoch of the lease under which `primary` serves; 0: there is nobody to follow."""
        return self._followed[service] if self.primary(service) is not None else 0

    def address(self, service: ServiceName, member: MemberName) -> tuple[str, int] | None:
        """Return where the member's server is reached."""
        found = next((one for one in self._members(service) if one.name == member), None)
        return (found.host, found.port) if found is not None and found.port is not None else None

    def members(self, service: ServiceName) -> tuple[MemberName, ...]:
        """Return all members that the file names, in its order."""
        return tuple(member.name for member in self._members(service))

    def others(self, component: ComponentId) -> dict[MemberName, MemberReport]:
        """Return how the members on other hosts are. One whose host is silent is not among them: it says nothing any more."""
        service, reports, state = service_of(component), self._elsewhere(), self._state()
        found: dict[MemberName, MemberReport] = {}
        for member in self._members(service):
            report = reports.get(component_id(service, member.name))
            if member.name == member_of(component) or report is None or member.on is None:
                continue
            if not is_silent(state, member.on):
                found[member.name] = report
        return found

    def tags(self, service: ServiceName) -> dict[MemberName, Tags]:
        """Return what the operator says of each member."""
        return {member.name: member.tags for member in self._members(service)}

    def newest_lease(self, service: ServiceName) -> Epoch:
        """Return the epoch of the newest lease that this host has heard of."""
        state = self._state()
        held = state.held.get(service)
        seen = state.view.lease_epochs.get(service, 0) if state.view is not None else 0
        return max(seen, held.epoch if held is not None else 0, state.leases_seen.get(service, 0))

    def successor(self, service: ServiceName) -> MemberName | None:
        """Return the member on another host that the leader wants the service to be served by."""
        state = self._state()
        wanted = state.view.assignments.get(service) if state.view is not None else None
        return wanted.holder if wanted is not None and wanted.host != state.me else None

    def _members(self, service: ServiceName) -> tuple[MemberPolicy, ...]:
        policy = self._state().policy.services.get(service)
        return policy.members if policy is not None else ()

    def _derived(self, kind: str, service: ServiceName, role: str) -> str:
        """Return a password that follows from the cluster's key: every host has the same, and nobody has to keep it."""
        text = f"holdfast {kind} {self._root} {service} {role}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
