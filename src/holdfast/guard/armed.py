"""The armed set: which components have a deadline, and what may be done to it. Pure; `now` is an argument.

A deadline is only ever moved away: what arrives late or twice does no harm. Once it has passed nothing moves it any
more, although the kill may be a millisecond away: who asked would otherwise believe in a right that is over.
"""

from holdfast.guard.facts import Facts

SECOND = 1_000_000_000
AHEAD_MAX = 3600 * SECOND  # a deadline farther away than this is a mistake in units
ARMED_MAX = 512


class Armed:
    """One component and its deadline, in nanoseconds on CLOCK_BOOTTIME."""

    __slots__ = ("deadline", "facts")

    def __init__(self, facts: Facts, deadline: int) -> None:
        self.facts = facts
        self.deadline = deadline


class ArmedSet:
    """Every component that has a deadline."""

    def __init__(self) -> None:
        self.components: dict[str, Armed] = {}

    def arm(self, component: str, facts: Facts, deadline: int, now: int) -> str:
        """Give `component` a deadline; return why not, if so.

        Refused when the deadline has passed: the agent asks before it promotes, so there is no primary yet, and ending a
        component for the lateness of a message would be an outage for nothing. What was armed before stays as it was.
        """
        if error := _refuse(deadline, now):
            return error
        armed = self.components.get(component)
        if armed is not None and armed.deadline <= now:
            return "its last deadline passed, and it is being ended"
        if armed is None and len(self.components) >= ARMED_MAX:
            return f"{ARMED_MAX} components are armed, which is the most"
        self.components[component] = Armed(facts, deadline)
        return ""

    def extend(self, component: str, deadline: int, now: int) -> str:
        """Move the deadline of `component` away; return why not, if so. One that is nearer changes nothing."""
        armed = self.components.get(component)
        if armed is None:
            return "it is not armed"
        if armed.deadline <= now:
            return "its deadline passed, and it is being ended"
        if error := _refuse(deadline, now):
            return error
        armed.deadline = max(armed.deadline, deadline)
        return ""

    def disarm(self, component: str, now: int) -> str:
        """Forget `component`; return why not, if so. One that is not armed is disarmed already."""
        armed = self.components.get(component)
        if armed is not None and armed.deadline <= now:
            return "its deadline passed, and it is being ended"
        self.components.pop(component, None)
        return ""

    def due(self, now: int) -> list[str]:
        """Return whose deadline has passed."""
        return [component for component, armed in self.components.items() if armed.deadline <= now]

    def next_deadline(self, after: int) -> int | None:
        """Return the soonest deadline that is later than `after`."""
        return min(
            (armed.deadline for armed in self.components.values() if armed.deadline > after), default=None
        )


def _refuse(deadline: int, now: int) -> str:
    if deadline <= now:
        return f"the deadline has passed {(now - deadline) / SECOND:.3f}s ago"
    if deadline > now + AHEAD_MAX:
        return f"the deadline is {(deadline - now) / SECOND:.0f}s away; at most {AHEAD_MAX // SECOND}s"
    return ""
