"""Active-standby on several hosts: the member that this host's lease names is primary, and no other here is.

Who should hold the lease is the leader's to say, and the coordinator's to grant. Here it is only obeyed.
"""

from holdfast.failover import cutting, leaving
from holdfast.model.decisions import Promote, Stop
from holdfast.model.duty import (
    entitlement_of,
    has_lost_lease,
    has_role,
    is_unopened,
    is_usable,
    why_not_primary,
)
from holdfast.model.ids import component_id
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, State
from holdfast.model.time import Instant
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold


def obey_lease(state: State, policy: ServicePolicy, now: Instant) -> Wishes:
    """Return what it takes that the lease is obeyed."""
    if state.entitlements is None:
        return withhold(
            policy.name, "promote", "lease_unknown", "it is not known yet which leases this host holds"
        )
    entitlement = entitlement_of(state, policy.name)
    entitled = component_id(policy.name, entitlement.member) if entitlement is not None else None
    wishes = NOTHING
    for member in (*state.members(policy.name), *state.strays(policy.name)):
        if has_role(member) and member.flight is None and member.id != entitled:
            wishes += _leave(state, policy, member, now)
    chosen = state.components.get(entitled) if entitled is not None else None
    if chosen is None or entitlement is None or chosen.flight is not None:
        return wishes
    if chosen.role is Role.PRIMARY:
        return wishes + _open(state, chosen, now)
    if chosen.role is Role.PROMOTING:
        return wishes + leaving.take_role(state, chosen, "its promotion did not come to an end", now)
    if reason := why_not_primary(chosen, now, in_need=True):
        return wishes + withhold(
            chosen.id, "promote", "no_candidate", reason, until=chosen.not_before or None
        )
    if wishes is not NOTHING or any(has_role(other) for other in state.members(policy.name)):
        return wishes  # one after the other, here as everywhere
    if others := cutting.uncut(state, policy, entitlement.member, now):
        return withhold(chosen.id, "promote", "uncut", cutting.why_wait(others))
    epoch = state.services[policy.name].epoch + 1
    return wish(Promote(chosen.id, epoch, f"this host holds the lease, epoch {entitlement.epoch}"))


def _open(state: State, primary: ComponentState, now: Instant) -> Wishes:
    """Have one that stood in for a server outside give its role up under its lease: it is promoted next, as any other."""
    if not is_unopened(primary):
        return NOTHING
    return leaving.take_role(state, primary, "it was not promoted for its role, and is to be", now)


def _leave(state: State, policy: ServicePolicy, member: ComponentState, now: Instant) -> Wishes:
    if not has_lost_lease(state, policy):
        return leaving.take_role(state, member, "its lease is being given up", now)
    if now < member.not_before:
        return Wishes(wakes=(member.not_before,))
    is_asked = any(other.run.has_roles or other.run.can_be_demoted for other in policy.everywhere)
    if is_asked or not is_usable(member):
        # No time for a hook: another host may serve from now on.
        return wish(Stop(member.id, at_once=True, why="its lease is lost: it must not serve a moment longer"))
    return leaving.take_role(state, member, "its lease is lost", now)
