"""What a question about "why" is about, and what the journal and the state know of it.

`explain` takes whatever an operator has in hand: a service, a component, the bare name of a member, an
incident, the number of a decision. Facts come from the state and the journal alone; nothing is guessed here.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias, assert_never

from holdfast.cli.describing import describe_event
from holdfast.model.decisions import Decision, Withheld, service_of_decision, subject_of
from holdfast.model.events import Ending, Finished
from holdfast.model.ids import (
    ComponentId,
    DecisionId,
    HostName,
    IncidentId,
    ServiceName,
    component_id,
    member_of,
)
from holdfast.model.state import State
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Tagged, Value
from holdfast.ports.journal import Turn


class AboutService(Tagged, frozen=True):
    """The question is about a service."""

    service: ServiceName


class AboutComponent(Tagged, frozen=True):
    """The question is about a component."""

    component: ComponentId


class AboutElsewhere(Tagged, frozen=True):
    """The question is about a component that another host looks after."""

    component: ComponentId


class AboutHost(Tagged, frozen=True):
    """The question is about a host of the cluster."""

    host: HostName


class AboutIncident(Tagged, frozen=True):
    """The question is about an incident."""

    incident: IncidentId


class AboutDecision(Tagged, frozen=True):
    """The question is about one decision."""

    decision: DecisionId


About: TypeAlias = AboutService | AboutComponent | AboutElsewhere | AboutHost | AboutIncident | AboutDecision


class Taken(Value, frozen=True):
    """One decision that was taken, what led to it and how it ended."""

    number: DecisionId
    at: Instant
    decision: Decision
    because_of: str  # the event of its turn
    ending: Ending | None  # None: under way, or not known
    error: str
    took: Duration | None


class Held(Value, frozen=True):
    """One decision that is being withheld, and what would change that."""

    subject: str
    action: str
    rule: str
    why: str
    changes_when: str


def about(text: str, state: State, hosts: Collection[HostName] = ()) -> About | None:
    """Return what `text` names; None if it names nothing known. A component goes before a host of its name."""
    if re.fullmatch(r"i-\d+", text):
        return AboutIncident(text)
    if match := re.fullmatch(r"#?(\d+)", text):
        return AboutDecision(int(match[1]))
    if text in state.policy.services:
        return AboutService(text)
    if text in state.components:
        return AboutComponent(text)
    if text in _elsewhere(state):
        return AboutElsewhere(text)
    namesakes = [id_ for id_ in (*state.components, *_elsewhere(state)) if member_of(id_) == text]
    if len(namesakes) == 1:
        id_ = namesakes[0]
        return AboutComponent(id_) if id_ in state.components else AboutElsewhere(id_)
    return AboutHost(text) if text in hosts else None


def known_names(state: State, hosts: Collection[HostName] = ()) -> list[str]:
    """Return what can be asked about by name."""
    return [*state.policy.services, *state.components, *_elsewhere(state), *hosts]


def _elsewhere(state: State) -> list[ComponentId]:
    # What runs here as well, because it was moved a moment ago, is of this host.
    named = [
        component_id(service.name, member.name)
        for service in state.policy.services.values()
        for member in service.elsewhere
    ]
    return [id_ for id_ in named if id_ not in state.components]


def taken_in(turns: Iterable[Turn]) -> list[Taken]:
    """Return the decisions taken in these turns, oldest first, each with its ending if that is among the turns."""
    found: dict[DecisionId, Taken] = {}
    for turn in turns:
        for decision in turn.decisions:
            found[decision.id] = Taken(
                decision.id, turn.at, decision, describe_event(turn.event), None, "", None
            )
        if isinstance(turn.event, Finished) and (taken := found.get(turn.event.decision)) is not None:
            found[taken.number] = Taken(
                number=taken.number,
                at=taken.at,
                decision=taken.decision,
                because_of=taken.because_of,
                ending=turn.event.ending,
                error=turn.event.error,
                took=turn.at - taken.at,
            )
    return list(found.values())


def concerning(taken: Sequence[Taken], subject: About, *, newest: int = 5) -> list[Taken]:
    """Return the newest decisions about a service, its members, or one component, newest first."""
    return [one for one in reversed(taken) if _concerns(one, subject)][:newest]


def _concerns(one: Taken, subject: About) -> bool:
    match subject:
        case AboutService(service=service):
            return service_of_decision(one.decision) == service
        case AboutComponent(component=component) | AboutElsewhere(component=component):
            return subject_of(one.decision) == component
        case AboutHost():
            return False
        case AboutIncident(incident=incident):
            return one.decision.incident == incident
        case AboutDecision(decision=number):
            return one.number == number
        case _:
            assert_never(subject)


def held_of(state: State, subject: About) -> list[Held]:
    """Return what is being withheld now about a service or a component."""
    match subject:
        case AboutService(service=service):
            chosen = state.withheld.get(service, ())
        case AboutComponent(component=component):
            chosen = tuple(w for group in state.withheld.values() for w in group if w.subject == component)
        case _:
            chosen = ()
    return [Held(w.subject, w.action, w.rule, w.why, changes_when(w)) for w in chosen]


# What ends the rule's hold, in words. A rule that is missing here is told with its own reason only.
_CHANGES = {
    "paused": "the pause ends, or `holdfast resume` (`holdfast resume SERVICE` of a service's own) ends it",
    "budget_spent": "the next attempt is due (restart.retry_after), or `holdfast restart {subject}` grants a new budget",
    "backoff": "the back-off has passed",
    "no_candidate": "another member is up, not drained, not held back and not about to be restarted",
    "first_choice": "the member listed first is up, or has had its few seconds",
    "dependency_down": "what it depends on serves again: `holdfast explain` tells of that",
    "unproven": "the next survey tells whether it runs",
    "never_two": "it is proven that the other one does not run",
    "last_member": "another member can serve",
    "panic": "enough members pass their probes again, or their processes are gone",
    "balancer_down": "HAProxy runs again",
    "hang_grace": "it continues, or has not by restart.hang_grace: then it is killed",
    "readiness_only": "it passes again; only failed liveness probes restart it",
    "one_at_a_time": "the member whose turn it is is up again",
    "role_first": "another member has taken the role",
    "draining": "its sessions ended, or traffic.drain_timeout has passed",
    "flapping": "it stayed up until its hold ends",
}


def changes_when(withheld: Withheld) -> str:
    """Return what would end the hold; empty if that is not known for its rule."""
    return _CHANGES.get(withheld.rule, "").format(subject=withheld.subject)
