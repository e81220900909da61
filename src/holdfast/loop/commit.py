"""Committing: choosing among the wishes, numbering what is chosen, remembering it until it comes back.

One decision per component at a time, and one Route per service; what is wished first wins. While a
pause lasts nothing is chosen: each wish becomes something withheld, so that `explain` can name it.
"""

from holdfast.loop.noting import forget_old_restarts
from holdfast.model.cluster import lease_of
from holdfast.model.decisions import (
    Decision,
    Demote,
    Promote,
    Route,
    Start,
    Stop,
    Withheld,
    name_of,
    service_of_decision,
    subject_of,
)
from holdfast.model.duty import entitlement_of, member_policy, others_holding, pause_of
from holdfast.model.ids import ComponentId, ServiceName, member_of
from holdfast.model.policy import Mode, Strategy
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, InFlight, Pause, ProcessRunning, State
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.model.wishes import Wishes

# How long after its own time limits a decision may stay unanswered before it is given up as unknown.
LATE_BY = 5 * SECOND


def commit(
    state: State, wishes: Wishes, now: Instant
) -> tuple[State, tuple[Decision, ...], tuple[Withheld, ...]]:
    """Return the state that remembers what was chosen, the chosen decisions, and all that is held back."""
    if not wishes.decisions and not wishes.gave_up:
        return state, (), wishes.withheld
    withheld = list(wishes.withheld)
    for id_ in wishes.gave_up:
        state = state.with_component(replace(state.components[id_], gave_up_at=now))
    fresh: list[Decision] = []
    for decision in wishes.decisions:
        pause = pause_of(state, service_of_decision(decision), now)
        if pause is not None:
            withheld.append(
                Withheld(subject_of(decision), name_of(decision), "paused", _say_pause(pause, decision))
            )
            continue
        if not _is_free(state, decision):
            continue
        numbered = replace(decision, id=state.next_decision, incident=_incident_of(state, decision))
        state = _remember(state, numbered, now)
        fresh.append(numbered)
    return state, tuple(fresh), tuple(withheld)


def _say_pause(pause: Pause, decision: Decision) -> str:
    return f'paused by {pause.by} ("{pause.why}"); otherwise: {decision.why}'


def _is_free(state: State, decision: Decision) -> bool:
    if isinstance(decision, Route):
        return state.services[decision.service].flight is None
    if state.components[decision.component].flight is not None:
        return False
    if isinstance(decision, Promote) or (isinstance(decision, Start) and _is_singleton(state, decision)):
        policy = state.policy.services.get(service_of_decision(decision))
        if policy is not None and policy.is_leased and entitlement_of(state, policy.name) is None:
            return False
        # Two wishes of one turn may contradict each other; here the first one is already written down.
        return not others_holding(state, decision.component)
    return True


def _is_singleton(state: State, decision: Start) -> bool:
    policy = state.policy.services.get(service_of_decision(decision))
    return policy is not None and policy.mode is Mode.SINGLETON


def _incident_of(state: State, decision: Decision) -> str | None:
    service = state.services.get(service_of_decision(decision))
    return service.incident if service is not None else None


def _remember(state: State, decision: Decision, now: Instant) -> State:
    flight = InFlight(decision.id, name_of(decision), now, now + _time_for(state, decision))
    state = replace(
        state,
        next_decision=state.next_decision + 1,
        flights={**state.flights, decision.id: subject_of(decision)},
    )
    match decision:
        case Route():
            service = state.services[decision.service]
            return state.with_service(replace(service, flight=flight, routing=decision.routing))
        case Start():
            return _start(state, decision, replace(state.components[decision.component], flight=flight), now)
        case Promote():
            before = state.components[decision.component]
            is_again = lease_of(before.epoch) == lease_of(decision.epoch)
            component = replace(
                before,
                flight=flight,
                role=Role.PROMOTING,
                role_since=now,
                epoch=decision.epoch,
                promotions_refused=before.promotions_refused if is_again else 0,
            )
            return _grant(state.with_component(component), component)
        case Stop() | Demote():
            return state.with_component(replace(state.components[decision.component], flight=flight))


def _time_for(state: State, decision: Decision) -> Duration:
    if isinstance(decision, Route):
        return LATE_BY
    member = member_policy(state, decision.component)
    if isinstance(decision, Start):
        return LATE_BY + (member.run.start_within if member is not None else 0)
    if member is None:
        return 15 * SECOND + LATE_BY
    if isinstance(decision, Stop):
        # The gentle signal has its grace; after SIGKILL the adapter waits some seconds for what is left.
        return member.run.stop_within + 10 * SECOND
    waits = (decision.open_within or 0) if isinstance(decision, Demote) else 0
    return member.run.change_within + waits + LATE_BY


def _grant(state: State, component: ComponentState) -> State:
    """Write down that the service's epoch was given to this member."""
    service = state.services[component.id.partition("/")[0]]
    assigned = member_of(component.id)
    return state.with_service(replace(service, epoch=max(service.epoch, component.epoch), assigned=assigned))


def _start(state: State, decision: Start, component: ComponentState, now: Instant) -> State:
    policy = state.policy.services[component.id.partition("/")[0]]
    component = replace(component, must_restart="", together=False, excused=False, fence="")
    if decision.attempt:
        component = replace(
            component,
            attempts=component.attempts + 1,
            restarted_at=(*component.restarted_at, now),
            gave_up_at=now if component.gave_up_at is not None else None,
        )
        component = forget_old_restarts(policy.restart, component, now)
    if policy.mode is Mode.SINGLETON:
        component = replace(component, epoch=decision.epoch)
        state = _grant(state.with_component(component), component)
    state = state.with_component(component)
    return _restart_others(state, component) if decision.attempt else state


def _restart_others(state: State, component: ComponentState) -> State:
    """Mark who restarts with a failed member, by the service's strategy (Erlang/OTP's)."""
    name: ServiceName = component.id.partition("/")[0]
    policy = state.policy.services[name]
    if policy.restart.strategy is Strategy.ONE_FOR_ONE:
        return state
    listed = policy.components
    rest = (
        listed
        if policy.restart.strategy is Strategy.ONE_FOR_ALL
        else listed[listed.index(component.id) + 1 :]
    )
    marked: list[ComponentId] = [id_ for id_ in rest if id_ != component.id]
    for dependent in state.policy.dependents(name):
        marked += state.policy.services[dependent].components
    why = f"{component.id} had to be restarted, and its strategy is {policy.restart.strategy}"
    for id_ in marked:
        other = state.components[id_]
        if isinstance(other.process, ProcessRunning):
            state = state.with_component(replace(other, must_restart=why, together=True))
    return state
