"""Everything the core knows, as one value. It is replaced, never edited."""

from typing import TypeAlias

from holdfast.model.cluster import Entitlement, MemberReport
from holdfast.model.decisions import Withheld
from holdfast.model.events import Exit, MemberTraffic
from holdfast.model.ids import (
    ComponentId,
    DecisionId,
    Epoch,
    Incarnation,
    IncidentId,
    MemberName,
    ServiceName,
)
from holdfast.model.incidents import Incident
from holdfast.model.observation import Observation
from holdfast.model.policy import Policy
from holdfast.model.routing import Routing
from holdfast.model.standing import Role, Status
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Tagged, Value, replace


class ProcessUnknown(Tagged, frozen=True):
    """Not known whether it runs: treat it as if it might."""

    since: Instant
    seen_at: Instant = 0  # when it was last known to run; 0: not known


class ProcessAbsent(Tagged, frozen=True):
    """Proven not to run."""

    since: Instant
    last: Incarnation | None = None  # the life that ended
    exit: Exit | None = None  # None: it was never started, or nobody saw it end
    is_expected: bool = True  # we stopped it by plan, or never started it
    ended_for: str = ""  # it failed and was ended for this reason: how it ended says nothing then
    seen_at: Instant = 0  # when it was last known to run, if nobody looked for a while before `since`
    is_clean: bool = True  # nothing that it started is left; False: its main process ended by itself


class ProcessRunning(Tagged, frozen=True):
    """It runs."""

    incarnation: Incarnation
    since: Instant  # when it was started or first seen
    stopped_since: Instant | None = None  # stopped by a signal since then
    is_dying: bool = False  # it is ending, though its memory is not freed and its ports are not closed yet
    run_digest: str = ""
    adopted: bool = False


Process: TypeAlias = ProcessUnknown | ProcessAbsent | ProcessRunning


class ProbeState(Value, frozen=True):
    """What one probe has brought so far, about the present life of the process."""

    passed: bool | None = None  # the verdict by rise and fall; None: none yet
    since: Instant = 0  # of the verdict
    streak: int = (
        0  # the same answer in a row: passes count up from 0, failures down; capped at rise and fall
    )
    failing_from: Instant | None = None  # when the first failure of the present row was asked
    last: Observation | None = None
    ever_passed: bool = False  # in this life of the process
    progressed_at: Instant = 0  # it was seen to make progress in coming up


class InFlight(Value, frozen=True):
    """A decision that was handed out and has not come back."""

    decision: DecisionId
    action: str  # name_of(decision)
    issued_at: Instant
    deadline: Instant  # then it is given up, and the world is looked at anew


class Drain(Value, frozen=True):
    """An operator's wish that a component takes no new work."""

    by: str
    why: str
    since: Instant


class Pause(Value, frozen=True):
    """An operator's wish that nothing is done."""

    by: str
    why: str
    since: Instant
    until: Instant


class ComponentState(Value, frozen=True):
    """What is known of one component."""

    id: ComponentId
    process: Process
    status: Status = Status.UNKNOWN
    status_since: Instant = 0
    reason: str = ""  # why the status is what it is, for people
    has_been_up: bool = False  # in any life: what is down now is a failure, not a start
    role: Role = Role.STANDBY
    role_since: Instant = 0
    epoch: Epoch = 0  # under which it holds or last held the role
    probes: dict[str, ProbeState] = {}
    flight: InFlight | None = None
    restarted_at: tuple[Instant, ...] = ()  # restarts after failures within the budget's window, oldest first
    attempts: int = 0  # failures in a row since it was last stable: sets the back-off
    gave_up_at: Instant | None = None  # the budget was spent then
    fell_at: tuple[Instant, ...] = ()  # falls within the flapping window, oldest first
    held_until: Instant | None = None  # kept out of traffic until then: it flaps
    holds: int = 0  # how often it was held since it was last calm
    excused: bool = False  # it fell while a dependency was away: its restart spends no budget
    must_restart: str = ""  # why a running process has to be restarted; empty: it need not
    together: bool = False  # restart it with the member that failed, not one at a time
    fence: str = ""  # why it must be ended at once: it might serve and cannot be asked to stop serving
    not_before: Instant = 0  # an action failed: the next one waits until then
    promotions_failed: int = 0  # in a row: sets how long the next one waits
    promotions_refused: int = 0  # in a row, as not permitted: the same
    drain: Drain | None = None
    run_digest: str = ""  # of the ProcessSpec it should run with
    up_digest: str = ""  # of the ProcessSpec it was last up with


class Switchover(Value, frozen=True):
    """A planned move in progress."""

    to: MemberName
    by: str
    why: str
    since: Instant


class ServiceState(Value, frozen=True):
    """What is known of one service."""

    name: ServiceName
    epoch: Epoch = 0  # last one granted; only grows
    assigned: MemberName | None = None  # exclusive modes: who should serve
    health: float = 0.0  # S(t) over its instances
    serving: bool = False  # at least one member can serve
    serving_since: Instant = 0  # or not serving since
    has_served: bool = False  # it was up once: what is down now is a failure, not a start
    seen: dict[MemberName, MemberTraffic] = {}  # the balancer, as last read back
    seen_active: MemberName | None = None
    seen_readers: dict[MemberName, MemberTraffic] = {}
    routed: Routing | None = None  # what the balancer was last told and confirmed; None: unknown
    routed_at: Instant = 0
    routing: Routing | None = None  # what it is being told now
    flight: InFlight | None = None  # that Route on its way
    not_before: Instant = 0  # a Route failed: the next one waits until then
    route_failures: int = 0  # in a row: sets how long the next one waits
    wake_at: Instant | None = None  # the next deadline of its own
    switchover: Switchover | None = None
    pause: Pause | None = None
    incident: IncidentId | None = None  # the open one it belongs to, its own or its dependency's


class Silence(Value, frozen=True):
    """That the balancer runs and does not answer."""

    since: Instant
    looks: int  # in a row that it did not answer; counted as far as it matters


class State(Value, frozen=True):
    """What one host's agent knows and has promised."""

    policy: Policy
    components: dict[ComponentId, ComponentState] = {}
    services: dict[ServiceName, ServiceState] = {}
    incidents: dict[IncidentId, Incident] = {}  # the open ones, and the last few closed
    withheld: dict[str, tuple[Withheld, ...]] = {}  # by service: what is being held back now
    pause: Pause | None = None
    health: float = 0.0  # S(t) of the system
    surveyed_at: Instant = 0  # start of the last survey that was believed; 0: none since the agent started
    is_going_down: bool = False  # the operator wants everything stopped
    next_decision: DecisionId = 1
    next_incident: int = 1
    boot: str = ""
    wall_offset: Duration = 0
    salt: int = 0
    epoch_floors: dict[
        ServiceName, Epoch
    ] = {}  # for services that come (back) into the file: never reuse one
    flights: dict[DecisionId, str] = {}  # the component or service whose flight it is
    looked_at: Instant = 0  # the last turn that went over everything
    balancer_silence: Silence | None = None  # None: it answers, or does not run
    entitlements: dict[ServiceName, Entitlement] | None = None  # the leases held here; None: not known yet
    elsewhere: dict[ComponentId, MemberReport] = {}  # members on other hosts
    balancer_answered: Incarnation = ""  # the life of it that answered last: any other may still be starting

    def with_component(self, component: ComponentState) -> "State":
        """Return the state with this component replaced."""
        return replace(self, components={**self.components, component.id: component})

    def with_service(self, service: ServiceState) -> "State":
        """Return the state with this service replaced."""
        return replace(self, services={**self.services, service.name: service})

    def members(self, service: ServiceName) -> tuple[ComponentState, ...]:
        """Return the components of `service` that the policy names, in the file's order."""
        policy = self.policy.services.get(service)
        return tuple(map(self.components.__getitem__, policy.components)) if policy else ()

    def has_strays(self) -> bool:
        """Tell whether more components are known than the file names."""
        return len(self.components) != self.policy.size

    def strays(self, service: ServiceName) -> tuple[ComponentState, ...]:
        """Return the components of `service` that the file no longer names but that may still be there."""
        if not self.has_strays():
            return ()
        policy = self.policy.services.get(service)
        named = frozenset(policy.components) if policy else frozenset()
        start = f"{service}/"
        return tuple(c for id_, c in self.components.items() if id_.startswith(start) and id_ not in named)
