"""Whether the condition of a write holds, for the engines that keep their entries themselves."""

from holdfast.ports.coordination import Condition, Entry, Expect


def holds(expect: Expect, entry: Entry | None) -> bool:
    """Tell whether what stands at a key, None for nothing, is as expected."""
    match expect:
        case Condition.ANY:
            return True
        case Condition.ABSENT:
            return entry is None
        case _:
            return entry is not None and entry.version == expect
