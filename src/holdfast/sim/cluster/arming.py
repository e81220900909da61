"""Arming the guard, as holdfast.agent.cluster.arming does: before a member serves, and on as long as its lease goes on."""

from collections.abc import Callable

from holdfast.loop.cluster import leasing
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import lease_of
from holdfast.model.ids import ComponentId, Epoch, component_id, member_of, service_of
from holdfast.model.time import SECOND, Instant
from holdfast.sim.cluster.acting import Permits
from holdfast.sim.cluster.clocks import HostClock
from holdfast.sim.cluster.guard import Guard


class Arming(Permits):
    """What one life of the agent told the guard."""

    def __init__(self, guard: Guard, clock: HostClock, state: Callable[[], ClusterState]) -> None:
        self._guard = guard
        self._clock = clock
        self._state = state
        self._armed: set[ComponentId] = set()
        self.has_problem = False
        self._is_planned = False

    def permit(self, component: ComponentId, epoch: Epoch) -> tuple[str, Instant]:
        """Arm the guard for a member that is about to serve; return why it must not, and until when it may begin."""
        state, name = self._state(), service_of(component)
        entitlement = leasing.entitlements(state, self._clock.now).get(name)
        if entitlement is None or entitlement.member != member_of(component) or entitlement.is_ending:
            return "this host does not hold the lease for it", 0
        if lease_of(epoch) != entitlement.epoch:
            return f"epoch {epoch} is not of the lease", 0
        deadline = leasing.deadlines(state)[name]
        if error := self._guard.arm(component, deadline):
            return f"the guard is not armed: {error}", 0
        self._armed.add(component)
        return "", deadline

    def began(self, component: ComponentId) -> None:
        """Arm the guard for what runs now."""
        state, name = self._state(), service_of(component)
        held = state.held.get(name)
        if held is not None and held.member == member_of(component):
            self._armed.add(component)
            self._guard.arm(component, leasing.deadlines(state)[name])

    def follow_up(self) -> None:
        """Keep the guard's deadlines as the leases are."""
        state = self._state()
        deadlines = {
            component_id(name, state.held[name].member): deadline
            for name, deadline in leasing.deadlines(state).items()
        }
        self.has_problem = False
        for id_, deadline in deadlines.items():
            if not _is_clear(state, id_):
                self._armed.add(id_)
                if self._guard.extend(id_, deadline) and self._guard.arm(id_, deadline):
                    self.has_problem = True
            elif id_ in self._armed:
                self._guard.extend(id_, deadline)
        for id_ in sorted(self._armed - deadlines.keys()):
            if _is_clear(state, id_) and self._guard.disarm(id_):
                self._armed.discard(id_)
        if self.has_problem and not self._is_planned:
            self._is_planned = True
            self._clock.after(SECOND // 2, self._again)

    def _again(self) -> None:
        self._is_planned = False
        self.follow_up()


def _is_clear(state: ClusterState, id_: ComponentId) -> bool:
    report = state.report.members.get(id_)
    return report is None or report.is_clear
