"""What operators ask for. Whether it is safe is asked before (`commands`); here it is written down."""

from typing import assert_never

from holdfast.failover import candidates
from holdfast.model import events
from holdfast.model.ids import member_of
from holdfast.model.state import ComponentState, Drain, Pause, ProcessRunning, State, Switchover
from holdfast.model.time import Instant
from holdfast.model.value import replace


def requested(state: State, command: events.Command, now: Instant) -> State:
    """Write the operator's wish down."""
    match command:
        case events.SwitchoverRequested():
            return _switchover(state, command, now)
        case events.DrainRequested():
            component = state.components.get(command.component)
            if component is None:
                return state
            return state.with_component(replace(component, drain=Drain(command.by, command.why, now)))
        case events.PauseRequested():
            return _pause(state, command, now)
        case events.ResumeRequested():
            return _resume(state, command.target)
        case events.RestartRequested():
            return _restart(state, command)
        case events.DownRequested():
            return replace(state, is_going_down=True, pause=None)
        case _:
            assert_never(command)


def _switchover(state: State, command: events.SwitchoverRequested, now: Instant) -> State:
    service = state.services.get(command.service)
    if service is None:
        return state
    to = command.to or best_target(state, command.service, now)
    if to is None or to == service.assigned:
        return state
    return state.with_service(replace(service, switchover=Switchover(to, command.by, command.why, now)))


def best_target(state: State, service: str, now: Instant) -> str | None:
    """Return the member that a switchover without a named target goes to."""
    assigned = state.services[service].assigned
    current = f"{service}/{assigned}" if assigned else None
    running = candidates.best_primary(state, service, now, but=current)
    if running is not None:
        return member_of(running.id)
    cold = [m for m in state.members(service) if m.id != current and not candidates.why_not_start(m, now)]
    return member_of(cold[0].id) if cold else None


def _pause(state: State, command: events.PauseRequested, now: Instant) -> State:
    pause = Pause(command.by, command.why, now, command.until)
    if command.service is None:
        return replace(state, pause=pause)
    service = state.services.get(command.service)
    return state if service is None else state.with_service(replace(service, pause=pause))


def _resume(state: State, target: str | None) -> State:
    """End what was named and no more: another pause or drain may be somebody else's, who works there by hand."""
    if target is None:
        return replace(state, pause=None)
    if target in state.services:
        state = state.with_service(replace(state.services[target], pause=None))
        for component in state.members(target):
            state = state.with_component(_forgiven(component))
        return state
    component_or_none = state.components.get(target)
    if component_or_none is None:
        return state
    return state.with_component(replace(_forgiven(component_or_none), drain=None))


def _forgiven(component: ComponentState) -> ComponentState:
    return replace(component, gave_up_at=None, held_until=None)


def _restart(state: State, command: events.RestartRequested) -> State:
    """Mark what runs; what was given up gets a new budget, since a person looked at it."""
    why = f"asked for by {command.by}" + (f": {command.why}" if command.why else "")
    for component in list(state.components.values()):
        if command.target not in (component.id, component.id.partition("/")[0]):
            continue
        runs = isinstance(component.process, ProcessRunning)
        after = replace(
            component,
            must_restart=why if runs else component.must_restart,
            gave_up_at=None,
            restarted_at=(),
            attempts=0,
            not_before=0,
        )
        state = state.with_component(after)
    return state
