"""An incident: from the first finding to full redundancy restored, with a timeline."""

from enum import StrEnum

from holdfast.model.findings import Cause
from holdfast.model.ids import ComponentId, IncidentId, ServiceName
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value


class Stage(StrEnum):
    """The stations of an incident, in the order in which they are usually reached."""

    DETECTED = "detected"
    DIAGNOSED = "diagnosed"
    FAILED_OVER = "failed over"
    ACTED = "acted"
    WITHHELD = "withheld"  # something was not done, and why
    RECOVERED = "recovered"


class Entry(Value, frozen=True):
    """One line of an incident's timeline."""

    at: Instant
    stage: Stage
    subject: str  # component or service
    text: str


class Incident(Value, frozen=True):
    """What went wrong with one service, and what was done about it."""

    id: IncidentId
    service: ServiceName  # where it began: the root, not what merely depends on it
    opened_at: Instant  # when it was detected
    fault_at: Instant  # its times count from here: the end of a process, or the first bad answer's question
    cause: Cause | None = None
    components: tuple[ComponentId, ...] = ()  # all that were touched
    timeline: tuple[Entry, ...] = ()  # oldest first; bounded
    diagnosed_at: Instant | None = None
    outage_from: Instant | None = None  # the service had no serving member from then on, if ever
    failed_over_at: Instant | None = None  # it had one again
    outage: Duration = 0  # sum of the times without a serving member
    closed_at: Instant | None = None  # redundancy restored
    health_min: float = 1.0  # lowest health of the service meanwhile

    @property
    def is_open(self) -> bool:
        """Tell whether redundancy is not yet back."""
        return self.closed_at is None
