"""Finding what is wrong now, from statuses and health. Level-triggered: no memory of its own."""

from holdfast.detect.judging import describe_exit
from holdfast.model.duty import is_wanted
from holdfast.model.findings import Finding, FindingCode
from holdfast.model.ids import ServiceName
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProcessAbsent, State
from holdfast.model.time import Instant, show_duration


def find(state: State, service: ServiceName, now: Instant) -> tuple[Finding, ...]:
    """Return what is wrong with one service now; nothing while everything is being stopped."""
    if state.is_going_down:
        return ()
    members = state.members(service)
    found = [_down(component) for component in members if _is_down(state, component)]
    found += [
        Finding(
            FindingCode.MEMBER_FLAPPING,
            service,
            component.id,
            component.status_since,
            f"fell more than {state.policy.services[service].flapping.falls_max} times within "
            f"{show_duration(state.policy.services[service].flapping.window)}",
        )
        for component in members
        if component.held_until is not None and now < component.held_until
    ]
    below = _below_threshold(state, service, has_failed=bool(found))
    return (*found, below) if below else tuple(found)


def find_in_system(state: State, now: Instant) -> Finding | None:
    """Return the finding that the whole system is at or under its threshold, if a failure brought it there."""
    if state.is_going_down or state.health > state.policy.threshold:
        return None
    if not any(_is_down(state, component) for component in state.components.values()):
        return None  # starting, restarting by plan
    text = f"S = {state.health:.2f}, at or under the threshold {state.policy.threshold:.2f}"
    return Finding(FindingCode.SYSTEM_BELOW_THRESHOLD, "", None, now, text)


def _is_down(state: State, component: ComponentState) -> bool:
    return component.status is Status.DOWN and is_wanted(state, component.id)


def _down(component: ComponentState) -> Finding:
    text = component.reason
    if isinstance(component.process, ProcessAbsent):
        text = describe_exit(component.process)
    service = component.id.partition("/")[0]
    return Finding(FindingCode.MEMBER_DOWN, service, component.id, component.status_since, text)


def _below_threshold(state: State, service: ServiceName, *, has_failed: bool) -> Finding | None:
    # A service that is merely starting is not ill: only a member that failed makes low health a finding.
    policy = state.policy.services[service]
    entry = state.services[service]
    if entry.health > policy.threshold:
        return None
    is_degraded = entry.has_served and all(
        member.status in (Status.UP, Status.SUSPECT)
        for member in state.members(service)
        if is_wanted(state, member.id)
    )
    if not has_failed and (policy.elsewhere or not is_degraded):
        return None  # what fails on another host is found there
    text = f"S = {entry.health:.2f}, at or under the threshold {policy.threshold:.2f}"
    return Finding(FindingCode.SERVICE_BELOW_THRESHOLD, service, None, entry.serving_since, text)
