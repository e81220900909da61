"""Waiting for a command to be done: how far one state is on the way from another. Pure."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from holdfast.loop.reviving import is_emptied
from holdfast.model.duty import is_usable, is_wanted, primary_of
from holdfast.model.events import (
    Command,
    DownRequested,
    DrainRequested,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    SwitchoverRequested,
)
from holdfast.model.ids import ComponentId, Incarnation, ServiceName, component_id, member_of, service_of
from holdfast.model.policy import Mode
from holdfast.model.routing import Lane
from holdfast.model.state import ProcessRunning, ServiceState, State
from holdfast.model.value import Value


class Stand(StrEnum):
    """Where a command stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Progress(Value, frozen=True):
    """Where a command stands, in words too."""

    stand: Stand
    text: str


Look: TypeAlias = Callable[[State], Progress]


def look_for(command: Command, accepted: State) -> Look:
    """Return the question whether `command` is done. `accepted` is the state right after it was taken in."""
    match command:
        case SwitchoverRequested(service=service):
            switchover = accepted.services[service].switchover
            to = switchover.to if switchover else (command.to or accepted.services[service].assigned or "")
            return lambda state: switchover_progress(state, service, to)
        case DrainRequested(component=component):
            return lambda state: drain_progress(state, component)
        case RestartRequested(target=target):
            lives = lives_of(accepted, target)
            return lambda state: restart_progress(state, lives)
        case DownRequested():
            return down_progress
        case PauseRequested() | ResumeRequested():
            return lambda _: Progress(Stand.DONE, "in force")


def switchover_progress(state: State, service: ServiceName, to: str) -> Progress:
    """Tell how far the switchover of `service` to `to` is."""
    known = state.services.get(service)
    target = state.components.get(component_id(service, to))
    if known is None or target is None:
        return Progress(Stand.FAILED, f"{service}/{to} is not in the file any more")
    policy = state.policy.services.get(service)
    if policy is not None and policy.mode is Mode.SINGLETON:
        serves = isinstance(target.process, ProcessRunning) and known.assigned == to and is_usable(target)
    else:
        primary = primary_of(state, service)
        serves = primary is not None and primary.id == target.id and primary.flight is None
    if serves and known.switchover is None:
        if policy is not None and policy.traffic is not None and not _is_routed(known, to):
            return Progress(Stand.PENDING, f"the balancer does not send to {to} yet")
        return Progress(Stand.DONE, f"{to} serves under epoch {known.epoch}")
    if known.switchover is None and known.assigned != to:
        return Progress(
            Stand.FAILED,
            f"given up; {known.assigned or 'nobody'} is to serve: {target.reason or 'see explain'}",
        )
    return Progress(Stand.PENDING, f"{to} does not serve yet")


def _is_routed(service: ServiceState, to: str) -> bool:
    return service.flight is None and service.routed is not None and service.routed.active == to


def drain_progress(state: State, component: ComponentId) -> Progress:
    """Tell whether the component has no work any more."""
    known = state.components.get(component)
    service = state.services.get(service_of(component))
    if known is None or service is None:
        return Progress(Stand.FAILED, f"{component} is not in the file any more")
    if known.drain is None:
        return Progress(Stand.FAILED, "the drain was ended")
    policy = state.policy.services.get(service_of(component))
    if policy is None or policy.traffic is None:
        return Progress(Stand.DONE, "drained; no traffic goes through the balancer")
    seen = service.seen.get(member_of(component))
    if seen is None:
        return Progress(Stand.PENDING, "the balancer does not say yet")
    if seen.lane is Lane.IN or seen.sessions:
        return Progress(Stand.PENDING, f"{seen.sessions} sessions left")
    return Progress(Stand.DONE, "no sessions left")


def lives_of(state: State, target: str) -> dict[ComponentId, Incarnation | None]:
    """Return the components that `target` names, which should run, with the life each has now."""
    return {
        id_: component.process.incarnation if isinstance(component.process, ProcessRunning) else None
        for id_, component in state.components.items()
        if target in (id_, service_of(id_))
        and (is_wanted(state, id_) or isinstance(component.process, ProcessRunning))
    }


def restart_progress(state: State, lives: dict[ComponentId, Incarnation | None]) -> Progress:
    """Tell how many of the components live a new life and are up."""
    waiting = []
    for id_, life in lives.items():
        component = state.components.get(id_)
        if component is None or not is_wanted(state, id_):
            continue
        if component.gave_up_at is not None:
            return Progress(Stand.FAILED, f"{id_} did not come up: {component.reason}")
        process = component.process
        if not (isinstance(process, ProcessRunning) and process.incarnation != life and is_usable(component)):
            waiting.append(id_)
    if waiting:
        return Progress(Stand.PENDING, f"not up again yet: {', '.join(waiting)}")
    return Progress(Stand.DONE, "restarted")


def down_progress(state: State) -> Progress:
    """Tell whether everything is stopped."""
    if is_emptied(state):
        return Progress(Stand.DONE, "everything is stopped")
    left = [
        id_ for id_, component in state.components.items() if isinstance(component.process, ProcessRunning)
    ]
    return Progress(
        Stand.PENDING, f"still running: {', '.join(left)}" if left else "not everything is proven stopped yet"
    )
