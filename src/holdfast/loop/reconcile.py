"""One turn: what happened goes in, what should be done comes out. The whole core is this function.

observe is edge-triggered and decides nothing. Everything after it is level-triggered and reads only the
state, so a lost, late or doubled event delays a decision but never corrupts one. A turn goes over the
services that its event can concern, and over all of them at least once a second.
"""

from holdfast.detect import finding, health
from holdfast.diagnose import naming
from holdfast.failover import placing, roles, routing
from holdfast.loop import chronicle, housekeeping, noting, observe_finished, scoping, waking
from holdfast.loop.commit import commit
from holdfast.loop.observe import observe
from holdfast.model.decisions import Decision
from holdfast.model.events import Event
from holdfast.model.findings import Cause
from holdfast.model.ids import ComponentId, ServiceName
from holdfast.model.policy import Mode
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.model.value import replace
from holdfast.model.wishes import NOTHING, Wishes
from holdfast.recover.recovering import recover, recover_orphans


def reconcile(state: State, event: Event, now: Instant) -> tuple[State, tuple[Decision, ...]]:
    """Return the state after `event`, and what is to be done now."""
    before = state
    state = observe(observe_finished.expire(state, now), event, now)
    scope = scoping.concerned(before, state, event, now)
    decisions: tuple[Decision, ...] = ()
    for name in scope:
        state, fresh = _turn(before, state, name, now)
        decisions += fresh
    state, fresh, _ = commit(state, recover_orphans(state, now), now)
    return _concluded(before, state, scope, now), decisions + fresh


def _turn(before: State, state: State, name: ServiceName, now: Instant) -> tuple[State, tuple[Decision, ...]]:
    """Take one service through the steps. Its dependencies had their turn before it."""
    state, wakes = noting.note(state, name, now)
    findings = finding.find(state, name, now)
    causes = naming.diagnose(state, findings, now) if findings else {}
    state = chronicle.opened(state, name, findings, causes, now)
    wishes = _wishes(state, name, causes, now)
    state, fresh, withheld = commit(state, wishes, now)
    state = chronicle.told(before, state, name, chronicle.Telling(findings, causes, fresh, withheld), now)
    wake = waking.soonest((*wakes, *wishes.wakes), now)
    service = state.services[name]
    return (state if wake == service.wake_at else state.with_service(replace(service, wake_at=wake))), fresh


def _wishes(state: State, name: ServiceName, causes: dict[ComponentId, Cause], now: Instant) -> Wishes:
    """Ask fail-over, then recovery: what is wished first wins."""
    policy = state.policy.services[name]
    moves = NOTHING  # active-active: every member serves, nobody has a role
    if policy.mode is Mode.ACTIVE_STANDBY:
        moves = roles.move_roles(state, policy, causes, now)
    elif policy.mode is Mode.SINGLETON:
        moves = placing.place_singleton(state, policy, now)
    return moves + routing.steer(state, policy, now) + recover(state, name, now)


def _concluded(before: State, state: State, scope: tuple[ServiceName, ...], now: Instant) -> State:
    """Return the state with what concerns the whole system brought up to date."""
    is_full = len(scope) == len(state.policy.services)
    has_changed = is_full or any(state.services[name] is not before.services.get(name) for name in scope)
    system = health.system_health(state) if has_changed else state.health
    if system != state.health:
        state = replace(state, health=system)
        below = finding.find_in_system(state, now)
        if below is not None:
            state = chronicle.noted(state, below, now)
    if is_full:
        state = housekeeping.tidied(replace(state, looked_at=now), now)
    return state
