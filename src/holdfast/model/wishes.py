"""What a step would like to happen. `commit` chooses from it."""

from holdfast.model.decisions import Decision, Withheld
from holdfast.model.ids import ComponentId
from holdfast.model.time import Instant
from holdfast.model.value import Value


class Wishes(Value, frozen=True):
    """Decisions wished for, most urgent first; what was held back; and when to ask again."""

    decisions: tuple[Decision, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    gave_up: tuple[ComponentId, ...] = ()  # components whose restart budget is spent just now
    wakes: tuple[Instant, ...] = ()  # the answer changes by itself at these instants

    def __add__(self, other: "Wishes") -> "Wishes":
        """Return both, these first."""
        if other is NOTHING:  # as nearly always: most rules have nothing to say most of the time
            return self
        if self is NOTHING:
            return other
        return Wishes(
            self.decisions + other.decisions,
            self.withheld + other.withheld,
            self.gave_up + other.gave_up,
            self.wakes + other.wakes,
        )


NOTHING = Wishes()


def wish(*decisions: Decision) -> Wishes:
    """Wish for these decisions."""
    return Wishes(decisions=decisions)


def withhold(subject: str, action: str, rule: str, why: str, *, until: Instant | None = None) -> Wishes:
    """Hold `action` back by `rule`; ask again at `until`."""
    return Wishes(withheld=(Withheld(subject, action, rule, why),), wakes=() if until is None else (until,))
