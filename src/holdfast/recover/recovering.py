"""Recovery of one service: each component on its own, in the file's order."""

from holdfast.model.duty import is_wanted, may_linger
from holdfast.model.ids import ServiceName
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import Instant
from holdfast.model.wishes import NOTHING, Wishes
from holdfast.recover.starting import start_absent
from holdfast.recover.stopping import mend_running, stop_unwanted


def recover(state: State, service: ServiceName, now: Instant) -> Wishes:
    """Return what the components of `service` need to run as they should."""
    wishes = NOTHING
    for component in state.members(service):
        wishes += _recover_one(state, component, now)
    return wishes


def recover_orphans(state: State, now: Instant) -> Wishes:
    """End the components that the file no longer names."""
    if not state.has_strays():
        return NOTHING
    wishes = NOTHING
    for component in state.components.values():
        if component.id.partition("/")[0] in state.policy.services and _is_named(state, component):
            continue
        if component.flight is None:
            wishes += _end_unwanted(state, component, now)
    return wishes


def _is_named(state: State, component: ComponentState) -> bool:
    return component.id in state.policy.services[component.id.partition("/")[0]].components


def _recover_one(state: State, component: ComponentState, now: Instant) -> Wishes:
    if component.flight is not None:
        return NOTHING
    if not is_wanted(state, component.id):
        return _end_unwanted(state, component, now)
    policy = state.policy.services[component.id.partition("/")[0]]
    match component.process:
        case ProcessAbsent() as process:
            return start_absent(state, policy, component, process, now)
        case ProcessRunning() as process:
            return mend_running(state, policy, component, process, now)
        case _:
            return NOTHING  # unknown: the next survey tells


def _end_unwanted(state: State, component: ComponentState, now: Instant) -> Wishes:
    if not isinstance(component.process, ProcessRunning) and not may_linger(component):
        return NOTHING
    if now < component.not_before:
        return Wishes(wakes=(component.not_before,))
    return stop_unwanted(state, component)
