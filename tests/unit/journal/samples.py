"""What the journal's tests write: small states, and any value of the model by its type."""

import enum
import types
import typing
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

from holdfast.model.events import Ticked
from holdfast.model.incidents import Incident
from holdfast.model.policy import Mode, Policy, ServicePolicy
from holdfast.model.state import ServiceState, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from holdfast.ports.journal import Journal

WALL = 1_700_000_000 * SECOND  # when `at` is 0

POLICY = Policy(
    system="shop", services={"web": ServicePolicy(name="web", mode=Mode.ACTIVE_ACTIVE, members=())}
)
BLANK = State(policy=POLICY, services={"web": ServiceState(name="web")}, boot="b-1")


class Clock:
    """A wall clock that tells a later time whenever it is asked."""

    def __init__(self, start: int = WALL) -> None:
        self.now = start

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


def state_after(sequence: int, before: State = BLANK) -> State:
    """Return a state that tells after which turn it was: `next_decision`; its health changes every ten turns."""
    health = (sequence // 10 % 10) / 10
    return replace(before, next_decision=sequence + 1, health=health)


def incident(number: int, *, opened_at: int = 0, closed_at: int | None = None) -> Incident:
    return Incident(
        id=f"i-{number}", service="web", opened_at=opened_at, fault_at=opened_at, closed_at=closed_at
    )


def append_turns(journal: Journal, count: int, *, state: State = BLANK, first: int = 1) -> State:
    """Append `count` turns as one loop would, numbered from `first`, and return the last state."""
    for number in range(first, first + count):
        after = state_after(number, state)
        journal.append(number, Ticked(), (), state, after)
        state = after
    return state


# --- any value by its type ----------------------------------------------------------------------------

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for any value of a type as the model uses them."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: values_of(hints[name]) for name in kind.__struct_fields__})
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Union | types.UnionType:
            return st.one_of([values_of(member) for member in arguments])
        case origin if origin is dict:
            return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2)
        case origin if origin is tuple and arguments[-1] is Ellipsis:
            return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
        case origin if origin is tuple:
            return st.tuples(*map(values_of, arguments))
        case _:
            raise AssertionError(kind)
