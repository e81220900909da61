"""Letting go of what is over: components and services that the file no longer names, pauses that ended."""

from collections.abc import Set as AbstractSet

from holdfast.loop import chronicle
from holdfast.model.duty import may_linger, may_run
from holdfast.model.ids import ServiceName
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.model.value import replace


def tidied(state: State, now: Instant) -> State:
    """Return the state without what no longer matters."""
    named = {id_ for service in state.policy.services.values() for id_ in service.components}
    gone = {
        id_
        for id_, component in state.components.items()
        if id_ not in named
        and component.flight is None
        and not may_run(component)
        and not may_linger(component)
    }
    if gone:
        state = replace(state, components={id_: c for id_, c in state.components.items() if id_ not in gone})
    left = {id_.partition("/")[0] for id_ in state.components} | state.policy.services.keys()
    if gone_services := state.services.keys() - left:
        state = _retired(state, gone_services, now)
    if state.pause is not None and now >= state.pause.until:
        state = replace(state, pause=None)
    return state


def _retired(state: State, names: AbstractSet[ServiceName], now: Instant) -> State:
    """Let go of services, but not of their epochs: one that returns must not give an epoch out again."""
    epochs = {name: state.services[name].epoch for name in sorted(names) if state.services[name].epoch}
    state = replace(
        state,
        services={name: service for name, service in state.services.items() if name not in names},
        withheld={name: held for name, held in state.withheld.items() if name not in names},
        flights={id_: subject for id_, subject in state.flights.items() if subject not in names},
        epoch_floors={**state.epoch_floors, **epochs},
    )
    return chronicle.abandoned(state, now)
