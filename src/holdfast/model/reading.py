"""What the operator asked of reading from standbys, as a value."""

from enum import StrEnum

from holdfast.model.time import SECOND, Duration
from holdfast.model.value import Tagged, Value


class PrimaryReads(StrEnum):
    """When who serves gets reads as well."""

    LAST = "last"  # while no standby can be read from
    NEVER = "never"
    ALWAYS = "always"


class ReadPolicy(Value, frozen=True):
    """Where clients reach the standbys of a service, to read."""

    listen_host: str
    listen_port: int
    lag_max: int = 16_000_000  # bytes: a database's standby that is known to lack more takes no new reads
    delay_max: Duration = 5 * SECOND  # nor one that has not had all that its primary had, for longer
    primary: PrimaryReads = PrimaryReads.LAST
    prefer_local: bool = False  # the standby of the balancer's own host first; else they are spread
    cut_stale: bool = (
        False  # who must not be read from any more loses its sessions; else they end by themselves
    )


class ReadingCheck(Tagged, frozen=True):
    """How old its data is, as whoever looks after the component finds out."""
