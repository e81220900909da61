"""Starting what should run and does not: in the order of dependencies, with back-off, inside the budget."""

from holdfast.model.decisions import Start
from holdfast.model.duty import entitlement_of, others_holding, waits_for
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.state import ComponentState, ProcessAbsent, State
from holdfast.model.time import Instant, show_duration
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold
from holdfast.recover.backoff import backoff, restarts_left


def start_absent(
    state: State, policy: ServicePolicy, component: ComponentState, process: ProcessAbsent, now: Instant
) -> Wishes:
    """Return the Start of a component that is proven absent, or what holds it back."""
    if state.surveyed_at == 0:
        return NOTHING  # nobody has looked yet what runs
    if policy.is_leased and policy.mode is Mode.SINGLETON and entitlement_of(state, policy.name) is None:
        why = "it is not known yet which leases this host holds"  # otherwise it would not be wanted
        return withhold(component.id, "start", "lease_unknown", why)
    if policy.mode is Mode.SINGLETON and (blocking := others_holding(state, component.id)):
        why = f"{', '.join(other.id for other in blocking)} might still run, and never two may"
        return withhold(component.id, "start", "never_two", why)
    missing = waits_for(state, policy.name)
    if missing:
        why = f"waits for {', '.join(missing)}, which it depends on"
        return withhold(component.id, "start", "dependency_down", why)
    if now < component.not_before:
        return Wishes(wakes=(component.not_before,))
    if process.is_expected or component.excused:
        return wish(
            _start(state, policy, component, 0, component.must_restart or "it should run and does not")
        )
    return _restart(state, policy, component, process, now)


def _restart(
    state: State, policy: ServicePolicy, component: ComponentState, process: ProcessAbsent, now: Instant
) -> Wishes:
    rules = policy.restart
    if component.gave_up_at is not None:
        retry_at = component.gave_up_at + rules.retry_after
        if now < retry_at:
            why = (
                f"{rules.restarts_max} restarts within {show_duration(rules.window)} did not help; "
                f"one more attempt every {show_duration(rules.retry_after)}, or `holdfast restart {component.id}`"
            )
            return withhold(component.id, "start", "budget_spent", why, until=retry_at)
        why = f"{component.reason}; one more attempt after {show_duration(rules.retry_after)}"
        return wish(_start(state, policy, component, component.attempts + 1, why))
    if restarts_left(rules, component.restarted_at, now) <= 0:
        # Asked again at once: that it was given up is itself a reason to move, and to say so.
        return Wishes(gave_up=(component.id,), wakes=(now + 1,))
    due = process.since + backoff(rules, component.attempts, component.id, state.salt)
    if now < due:
        wait = show_duration(due - process.since)
        why = f"restart {component.attempts + 1} waits {wait} after {component.attempts} failures in a row"
        return withhold(component.id, "start", "backoff", why, until=due)
    return wish(
        _start(state, policy, component, component.attempts + 1, component.reason or "its process is gone")
    )


def _start(state: State, policy: ServicePolicy, component: ComponentState, attempt: int, why: str) -> Start:
    epoch = state.services[policy.name].epoch
    if policy.mode is Mode.SINGLETON:
        epoch += 1  # each life of a singleton is a new holder
    return Start(component.id, epoch, attempt, why)
