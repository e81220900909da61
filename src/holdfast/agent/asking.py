"""Asking: keeps the probes in step with what runs.

A verdict belongs to one life of one process. After each turn, the components that changed get their probes set
anew for a new life, or cleared when nothing runs; and a doubt makes the engine ask more often until it is settled.
"""

from holdfast.agent.turning import Turned
from holdfast.model.duty import member_policy
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.policy import ProbePolicy
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProbeState, ProcessRunning, State
from holdfast.ports.probing import Probing


class Asking:
    """What is being asked now, by component."""

    def __init__(self, probing: Probing) -> None:
        self._probing = probing
        self._asked: dict[ComponentId, tuple[Incarnation, tuple[ProbePolicy, ...]]] = {}
        self._doubted: set[tuple[ComponentId, str]] = set()

    def __call__(self, turned: Turned) -> None:
        """Follow one turn."""
        before, after = turned.before, turned.after
        is_new_policy = before.policy is not after.policy
        if before.components is after.components and not is_new_policy:
            return
        for id_, component in after.components.items():
            if is_new_policy or before.components.get(id_) is not component:
                self._update(component, after)
        for gone in self._asked.keys() - after.components.keys():
            self._stop_asking(gone)

    def _update(self, component: ComponentState, state: State) -> None:
        policy = member_policy(state, component.id)
        process = component.process
        if policy is None or not isinstance(process, ProcessRunning):
            if component.id in self._asked:
                self._stop_asking(component.id)
            return
        wanted = (process.incarnation, policy.probes)
        if self._asked.get(component.id) != wanted:
            self._forget_doubts(component.id)
            self._probing.set(component.id, process.incarnation, policy.probes)
            self._asked[component.id] = wanted
        for probe in policy.probes:
            self._doubt(component, probe)

    def _doubt(self, component: ComponentState, probe: ProbePolicy) -> None:
        is_suspect = is_doubtful(component, component.probes.get(probe.name, ProbeState()))
        key = (component.id, probe.name)
        if is_suspect == (key in self._doubted):
            return
        self._probing.hurry(component.id, probe.name, is_suspect=is_suspect)
        if is_suspect:
            self._doubted.add(key)
        else:
            self._doubted.discard(key)

    def _stop_asking(self, component: ComponentId) -> None:
        self._probing.clear(component)
        self._asked.pop(component, None)
        self._forget_doubts(component)

    def _forget_doubts(self, component: ComponentId) -> None:
        self._doubted = {key for key in self._doubted if key[0] != component}


def is_doubtful(component: ComponentState, probe: ProbeState) -> bool:
    """Tell whether the probe should be asked more often: its last answers contradict its verdict, or it has none.

    A component that is starting is asked often too: each moment between ready and known to be ready is an
    outage that nobody needs.
    """
    if probe.passed is None:
        return True
    if component.status is Status.UNKNOWN and not probe.passed:
        return True
    return probe.streak < 0 if probe.passed else probe.streak > 0
