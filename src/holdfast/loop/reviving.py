"""A remembered state, made fit for a new agent."""

from holdfast.model.duty import may_linger, may_run
from holdfast.model.ids import ComponentId
from holdfast.model.state import ComponentState, Pause, ProcessAbsent, ServiceState, State
from holdfast.model.time import Duration
from holdfast.model.value import replace


def revive(state: State, boot: str, wall_offset: Duration | None = None) -> State:
    """Return the state a new agent starts from.

    Under the same boot everything is kept: instants still mean what they meant, and the survey corrects the
    rest. After a reboot no process is left and no instant means anything; what stays is what was promised:
    epochs, drains, pauses (by the wall clock, if the new `wall_offset` is told), and the numbers that must not be
    used twice.
    """
    if state.boot == boot:
        return replace(state, is_going_down=False)
    return State(
        policy=state.policy,
        components={id_: _reborn(component) for id_, component in state.components.items()},
        services={
            name: ServiceState(
                name,
                epoch=service.epoch,
                assigned=service.assigned,
                pause=_moved(state, service.pause, wall_offset),
            )
            for name, service in state.services.items()
        },
        pause=_moved(state, state.pause, wall_offset),
        epoch_floors=state.epoch_floors,
        next_decision=state.next_decision,
        next_incident=state.next_incident,
        boot=boot,
    )


def _moved(state: State, pause: Pause | None, wall_offset: Duration | None) -> Pause | None:
    """Return the pause in the new boot's instants: it ends at the same time of day."""
    if pause is None or wall_offset is None:
        return None
    shift = state.wall_offset - wall_offset
    return replace(pause, since=pause.since + shift, until=pause.until + shift)


def _reborn(component: ComponentState) -> ComponentState:
    drain = replace(component.drain, since=0) if component.drain is not None else None
    return ComponentState(
        component.id, ProcessAbsent(0), epoch=component.epoch, drain=drain, run_digest=component.run_digest
    )


def is_emptied(state: State) -> bool:
    """Tell whether everything was asked to stop and did: the agent may end."""
    return state.is_going_down and not left_running(state)


def left_running(state: State) -> tuple[ComponentId, ...]:
    """Return the components that run or might run."""
    return tuple(c.id for c in state.components.values() if may_run(c) or may_linger(c))
