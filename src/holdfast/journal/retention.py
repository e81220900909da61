"""How long the journal remembers what."""

from holdfast.model.time import DAY, Duration
from holdfast.model.value import Value


class Retention(Value, frozen=True):
    """Ages are by the wall clock; `turns_max` holds the file near 1 GB when much happens.

    Turns that `recall` may still need (after the oldest kept snapshot) stay whatever their age.
    """

    turns: Duration = 14 * DAY
    turns_max: int = 2_000_000
    incidents: Duration = 365 * DAY
    audit: Duration = 365 * DAY
    health: Duration = 90 * DAY
    snapshots_max: int = 3
