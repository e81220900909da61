"""Recalling: the state that a new agent starts from.

The newest snapshot, and the turns after it played again: the core is pure, so the same events give the same state.
Their decisions are not carried out a second time. Whatever has changed since, the survey tells.
"""

from collections.abc import Callable

from holdfast.agent.log import Level, Line
from holdfast.loop.reconcile import reconcile
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.ports.journal import Journal


def recall(journal: Journal, system: str, say: Callable[[Line], None]) -> State:
    """Return what is remembered, an empty state if nothing is. `AgentStarted` makes it fit for the new agent."""
    memory = journal.recall()
    if memory is None:
        return State(policy=Policy(system=system, services={}))
    state = memory.state
    for turn in memory.turns:
        try:
            state, _ = reconcile(state, turn.event, turn.at)
        except Exception as error:  # noqa: BLE001 - a turn that an older version could take and we cannot
            # Not to start at all would be worse: the state before it is whole, only a little older.
            text = f"turn {turn.sequence} cannot be played again ({error!r}); going on from the one before it"
            say(Line(Level.ERROR, "agent", "fault", text))
            break
    return state
