"""Leaving the primary role: why a primary should, and how the role is taken from it."""

from holdfast.model.decisions import Demote, Stop
from holdfast.model.duty import is_frozen, member_policy, restart_reason
from holdfast.model.ids import member_of, service_of
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import Instant
from holdfast.model.wishes import NOTHING, Wishes, wish


def take_role(state: State, primary: ComponentState, why: str, now: Instant) -> Wishes:
    """Take the role from `primary`: ask it where it can be asked, end it where it cannot."""
    if isinstance(primary.process, ProcessRunning) and primary.process.is_dying:
        return NOTHING  # its end is a matter of milliseconds, and the only proof there will be
    member = member_policy(state, primary.id)
    can_be_asked = member is not None and member.run.can_be_demoted
    if primary.fence or (can_be_asked and is_frozen(primary)):
        if now < primary.not_before:
            return Wishes(wakes=(primary.not_before,))
        return wish(Stop(primary.id, at_once=True, why=f"it cannot be demoted and might still serve; {why}"))
    ending = (state.entitlements or {}).get(service_of(primary.id))
    return wish(Demote(primary.id, why, open_within=ending.open_within if ending is not None else None))


def why_leave(state: State, policy: ServicePolicy, primary: ComponentState, now: Instant) -> str:
    """Return why the primary should not stay primary; empty if it should."""
    switchover = state.services[policy.name].switchover
    if switchover is not None and switchover.to != member_of(primary.id):
        return f"switchover asked for by {switchover.by}"
    if primary.status is Status.DOWN:
        return f"primary {member_of(primary.id)} is down: {primary.reason}"
    if primary.drain is not None:
        return f"drained by {primary.drain.by}"
    if reason := restart_reason(primary):
        return f"it has to be restarted: {reason}"
    if primary.held_until is not None and now < primary.held_until:
        return "it flaps"
    return ""
