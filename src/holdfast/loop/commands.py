"""Whether an operator's command may be carried out, and if not, every reason why. Asked before it becomes an event."""

from typing import assert_never

from holdfast.failover import candidates
from holdfast.loop.observe_operator import best_target
from holdfast.model import events
from holdfast.model.duty import USABLE, elsewhere, is_usable, member_policy, pause_of, why_not_primary
from holdfast.model.ids import component_id, member_of, service_of
from holdfast.model.policy import Mode
from holdfast.model.state import State
from holdfast.model.time import Instant, show_duration


def refusals(state: State, command: events.Command, now: Instant) -> tuple[str, ...]:
    """Return why the command is refused, one reason each; nothing if it may be carried out."""
    match command:
        case events.SwitchoverRequested():
            return _switchover(state, command, now)
        case events.DrainRequested():
            return _drain(state, command)
        case events.PauseRequested():
            unknown = _unknown_service(state, command.service) if command.service is not None else ()
            return unknown or (() if command.until > now else ("the pause would already be over",))
        case events.ResumeRequested(target=target):
            return () if target is None else _unknown_target(state, target)
        case events.RestartRequested(target=target):
            return _unknown_target(state, target) or _paused(state, service_of(target), now)
        case events.DownRequested():
            return ("everything is already being stopped",) if state.is_going_down else ()
        case _:
            assert_never(command)


def _switchover(state: State, command: events.SwitchoverRequested, now: Instant) -> tuple[str, ...]:
    if unknown := _unknown_service(state, command.service):
        return unknown
    policy = state.policy.services[command.service]
    service = state.services[command.service]
    if policy.mode is Mode.ACTIVE_ACTIVE:
        return (f"{policy.name} is active-active: all its members serve; to empty one, use `holdfast drain`",)
    if paused := _paused(state, policy.name, now):
        return paused
    if service.switchover is not None:
        return (f"a switchover to {service.switchover.to} is already in progress",)
    if command.to is None:
        if best_target(state, policy.name, now) is None:
            current = component_id(policy.name, service.assigned) if service.assigned else None
            return (f"no candidate: {candidates.why_no_candidate(state, policy.name, now, but=current)}",)
        return ()
    if policy.member(command.to) is None:
        names = ", ".join(member.name for member in policy.members)
        return (f"{policy.name} has no member {command.to!r}; its members: {names}",)
    if command.to == service.assigned:
        return (f"{command.to} already serves {policy.name}",)
    target = state.components[component_id(policy.name, command.to)]
    is_cold = policy.mode is Mode.SINGLETON
    reason = candidates.why_not_start(target, now) if is_cold else why_not_primary(target, now)
    return (f"{command.to} cannot take over: {reason}",) if reason else ()


def _drain(state: State, command: events.DrainRequested) -> tuple[str, ...]:
    if unknown := _unknown_target(state, command.component):
        return unknown
    if "/" not in command.component:
        names = ", ".join(state.policy.services[command.component].components)
        return (f"{command.component} is a service; name one of its members: {names}",)
    component = state.components[command.component]
    if component.drain is not None:
        return (f"{command.component} is already drained by {component.drain.by}",)
    others = [m for m in state.members(service_of(component.id)) if m.id != component.id]
    policy = state.policy.services[service_of(component.id)]
    is_served_elsewhere = any(report.status in USABLE for report in elsewhere(state, policy))
    if command.force or is_served_elsewhere or any(is_usable(o) and o.drain is None for o in others):
        return ()
    if policy.mode is Mode.SINGLETON and any(o.drain is None for o in others):
        return ()
    rest = "; ".join(f"{member_of(other.id)}: {other.status}" for other in others) or "it has no other member"
    if is_usable(component):
        what = f"{component.id} is the last member that can serve ({rest})"
    else:
        what = f"{component.id} is {component.status}, and no other member can serve ({rest})"
    return (f"{what}; add --force to drain it all the same",)


def _paused(state: State, service: str, now: Instant) -> tuple[str, ...]:
    pause = pause_of(state, service, now)
    if pause is None:
        return ()
    left = show_duration(pause.until - now)
    resume = "holdfast resume" if pause is state.pause else f"holdfast resume {service}"
    return (f'paused by {pause.by} for another {left} ("{pause.why}"); `{resume}` ends the pause',)


def _unknown_service(state: State, name: str) -> tuple[str, ...]:
    if name in state.policy.services:
        return ()
    return (f"there is no service {name!r}; services: {', '.join(state.policy.services) or 'none'}",)


def _unknown_target(state: State, target: str) -> tuple[str, ...]:
    if target in state.policy.services or ("/" in target and member_policy(state, target) is not None):
        return ()
    if "/" in target and service_of(target) in state.policy.services:
        names = ", ".join(state.policy.services[service_of(target)].components)
        return (f"there is no component {target!r}; {service_of(target)} has {names}",)
    return _unknown_service(state, target)
