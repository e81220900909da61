"""What the core wants done. Each decision carries its reason; the shell carries it out and reports `Finished`."""

from typing import TypeAlias

from holdfast.model.ids import ComponentId, DecisionId, Epoch, IncidentId, ServiceName, service_of
from holdfast.model.routing import Routing
from holdfast.model.time import Duration, show_duration
from holdfast.model.value import Tagged, Value


class Start(Tagged, frozen=True):
    """Start the component's process. Leftovers of its last life are cleaned up first."""

    component: ComponentId
    epoch: Epoch  # of its service; handed to the process as HOLDFAST_EPOCH
    attempt: int  # 0: not a restart after a failure
    why: str
    incident: IncidentId | None = None
    id: DecisionId = 0  # given by commit


class Stop(Tagged, frozen=True):
    """Stop the component's process and everything it left behind."""

    component: ComponentId
    at_once: bool  # SIGKILL first: it hangs, or must not serve a moment longer
    why: str
    incident: IncidentId | None = None
    id: DecisionId = 0


class Promote(Tagged, frozen=True):
    """Make the component its service's primary under a new epoch."""

    component: ComponentId
    epoch: Epoch
    why: str
    incident: IncidentId | None = None
    id: DecisionId = 0


class Demote(Tagged, frozen=True):
    """Take the primary role from the component."""

    component: ComponentId
    why: str
    incident: IncidentId | None = None
    id: DecisionId = 0
    open_within: Duration | None = (
        None  # how long transactions that are open may take to end; None: as the file says
    )


class Route(Tagged, frozen=True):
    """Let the balancer send the service's traffic so."""

    service: ServiceName
    routing: Routing
    why: str
    incident: IncidentId | None = None
    id: DecisionId = 0


Decision: TypeAlias = Start | Stop | Promote | Demote | Route


def subject_of(decision: Decision) -> str:
    """Return what the decision is about: a component, or a service for `Route`."""
    return decision.service if isinstance(decision, Route) else decision.component


def service_of_decision(decision: Decision) -> ServiceName:
    """Return the service that the decision is about."""
    return decision.service if isinstance(decision, Route) else service_of(decision.component)


def name_of(decision: Decision) -> str:
    """Return the decision's word in lower case: `start`, `stop`, `promote`, `demote`, `route`."""
    return type(decision).__name__.lower()


def open_words(within: Duration) -> str:
    """Return for people how long open transactions may take."""
    return (
        f"open transactions get {show_duration(within)}" if within else "open transactions are ended at once"
    )


class Withheld(Value, frozen=True):
    """A decision that suggested itself and was not taken, and the rule that held it back."""

    subject: str  # component or service
    action: str  # "start", "stop", "promote", ...
    rule: str  # short and stable: "paused", "budget_spent", "no_candidate", "dependency_down", ...
    why: str  # for people
