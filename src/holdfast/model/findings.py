"""What is wrong now (findings), and the named reason for it (causes)."""

from enum import StrEnum

from holdfast.model.ids import ComponentId, ServiceName
from holdfast.model.time import Instant
from holdfast.model.value import Value


class FindingCode(StrEnum):
    """The closed list of what detection can find."""

    MEMBER_DOWN = "member_down"  # a member that should run does not, hangs, or fails its probes
    MEMBER_FLAPPING = "member_flapping"
    SERVICE_BELOW_THRESHOLD = "service_below_threshold"
    SYSTEM_BELOW_THRESHOLD = "system_below_threshold"


class Finding(Value, frozen=True):
    """Something wrong now."""

    code: FindingCode
    service: ServiceName  # "" for the system
    component: ComponentId | None
    since: Instant
    text: str


class CauseCode(StrEnum):
    """The closed list of causes that diagnosis can name."""

    PROCESS_EXITED = "process_exited"
    PROCESS_HUNG = "process_hung"
    PORT_REFUSED = "port_refused"
    PROBE_FAILING = "probe_failing"
    DEPENDENCY_DOWN = "dependency_down"
    RESTART_BUDGET_SPENT = "restart_budget_spent"
    CONFIGURATION_CHANGED = "configuration_changed"
    UNKNOWN = "unknown"


class Cause(Value, frozen=True):
    """A named diagnosis with what speaks for it."""

    code: CauseCode
    component: ComponentId | None
    text: str  # one line for people
    evidence: tuple[str, ...] = ()
    root: ServiceName | None = None  # dependency_down: the service at the root
