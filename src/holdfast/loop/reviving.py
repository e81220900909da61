"""A remembered state, made fit for a new agent."""

from holdfast.model.duty import may_run
from holdfast.model.ids import ComponentId
from holdfast.model.state import ComponentState, ProcessAbsent, ServiceState, State
from holdfast.model.value import replace


def revive(state: State, boot: str) -> State:
    """Return the state a new agent starts from.

    Under the same boot everything is kept: instants still mean what they meant, and the survey corrects the
    rest. After a reboot no process is left and no instant means anything; what stays is what was promised:
    epochs, drains, and the numbers that must not be used twice.
    """
    if state.boot == boot:
        return replace(state, is_going_down=False)
    return State(
        policy=state.policy,
        components={id_: _reborn(component) for id_, component in state.components.items()},
        services={
            name: ServiceState(name, epoch=service.epoch, assigned=service.assigned)
            for name, service in state.services.items()
        },
        epoch_floors=state.epoch_floors,
        next_decision=state.next_decision,
        next_incident=state.next_incident,
        boot=boot,
    )


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
    return tuple(component.id for component in state.components.values() if may_run(component))
