"""Letting go of what is over: components and services that the file no longer names, pauses that ended."""

from holdfast.model.state import ProcessAbsent, State
from holdfast.model.time import Instant
from holdfast.model.value import replace


def tidied(state: State, now: Instant) -> State:
    """Return the state without what no longer matters."""
    named = {id_ for service in state.policy.services.values() for id_ in service.components}
    gone = {
        id_
        for id_, component in state.components.items()
        if id_ not in named and isinstance(component.process, ProcessAbsent) and component.flight is None
    }
    if gone:
        state = replace(state, components={id_: c for id_, c in state.components.items() if id_ not in gone})
    left = {id_.partition("/")[0] for id_ in state.components} | state.policy.services.keys()
    if state.services.keys() - left:
        state = replace(state, services={name: s for name, s in state.services.items() if name in left})
    if state.pause is not None and now >= state.pause.until:
        state = replace(state, pause=None)
    return state
