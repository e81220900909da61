"""Active-standby: all members run, one is primary.

The order of a move is always the same, planned or not, and level-triggered, one decision at a time:
the old primary loses the role (it is proven dead, or it was demoted, or it was ended), only then a
new one is promoted under a higher epoch. Who cannot be demoted is ended; who cannot be ended blocks.
"""

from holdfast.failover import candidates, cutting, leaving, obeying
from holdfast.model.decisions import Promote
from holdfast.model.duty import (
    has_role,
    is_usable,
    pause_of,
    primary_of,
    why_not_primary,
)
from holdfast.model.findings import Cause
from holdfast.model.ids import ComponentId, ServiceName, component_id, member_of
from holdfast.model.policy import ServicePolicy
from holdfast.model.standing import Role, Status
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import SECOND, Instant
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold

# At the very first start the members listed first get this long to come up before a later one is promoted.
FIRST_CHOICE_WAIT = 3 * SECOND


def move_roles(state: State, policy: ServicePolicy, causes: dict[ComponentId, Cause], now: Instant) -> Wishes:
    """Return what it takes that exactly one fit member of an active-standby service is primary."""
    if state.is_going_down:
        return NOTHING
    if policy.is_leased:
        return obeying.obey_lease(state, policy, now)
    unproven = candidates.unproven(state, policy.name)
    if unproven:
        who = ", ".join(unproven)
        return withhold(policy.name, "promote", "unproven", f"not yet known whether {who} runs and serves")
    holders = [member for member in state.members(policy.name) if has_role(member)]
    primary = primary_of(state, policy.name)
    if primary is None:
        return _fill(state, policy, causes, now)
    if len(holders) > 1:
        others = [holder for holder in holders if holder.id != primary.id and holder.flight is None]
        why = f"{member_of(primary.id)} is primary with the newer epoch {primary.epoch}"
        return sum((leaving.take_role(state, other, why, now) for other in others), NOTHING)
    if primary.flight is not None:
        return NOTHING
    if primary.role is Role.PROMOTING:
        return leaving.take_role(state, primary, "its promotion did not come to an end", now)
    return _keep_or_move(state, policy, primary, now)


def _fill(state: State, policy: ServicePolicy, causes: dict[ComponentId, Cause], now: Instant) -> Wishes:
    """Promote someone: nobody holds the role."""
    service = state.services[policy.name]
    target = _target(state, policy.name, now, but=None, in_need=True)
    if target is None:
        if not service.has_served and not causes:
            return NOTHING  # still starting
        text = candidates.why_no_candidate(state, policy.name, now, but=None)
        return withhold(
            policy.name,
            "promote",
            "no_candidate",
            text,
            until=candidates.soonest_retry(state, policy.name, now),
        )
    if service.epoch == 0 and (earlier := _still_starting_before(state, target)) is not None:
        until = _started_at(earlier) + FIRST_CHOICE_WAIT
        if now < until:
            why = f"{member_of(earlier.id)} is listed first and still starting"
            return withhold(target.id, "promote", "first_choice", why, until=until)
    if others := cutting.uncut(state, policy, member_of(target.id), now):
        return withhold(target.id, "promote", "uncut", cutting.why_wait(others))
    return wish(Promote(target.id, service.epoch + 1, _why_promote(service.switchover is not None, causes)))


def _why_promote(is_planned: bool, causes: dict[ComponentId, Cause]) -> str:  # noqa: FBT001 - private, two callers
    if is_planned:
        return "planned switchover"
    cause = next(iter(causes.values()), None)
    if cause is None:
        return "no member is primary"
    return f"no member is primary: {member_of(cause.component or '')} {cause.code}"


def _keep_or_move(
    state: State,
    policy: ServicePolicy,
    primary: ComponentState,
    now: Instant,
) -> Wishes:
    reason = leaving.why_leave(state, policy, primary, now)
    if not reason:
        return NOTHING
    target = _target(state, policy.name, now, but=primary.id, in_need=not _is_planned(primary))
    if target is None:
        if not _is_planned(primary):
            text = f"{reason}; but {candidates.why_no_candidate(state, policy.name, now, but=primary.id)}"
            return withhold(
                primary.id,
                "demote",
                "no_candidate",
                text,
                until=candidates.soonest_retry(state, policy.name, now),
            )
        return NOTHING
    return leaving.take_role(state, primary, f"{reason}; {member_of(target.id)} takes over", now)


def _is_planned(primary: ComponentState) -> bool:
    return primary.status is not Status.DOWN


def _target(
    state: State, service: ServiceName, now: Instant, *, but: ComponentId | None, in_need: bool
) -> ComponentState | None:
    switchover = state.services[service].switchover
    if switchover is not None:
        wanted = state.components.get(component_id(service, switchover.to))
        if wanted is not None and wanted.id != but and not why_not_primary(wanted, now):
            return wanted if wanted.flight is None else None
    return candidates.best_primary(state, service, now, but=but, in_need=in_need)


def _still_starting_before(state: State, target: ComponentState) -> ComponentState | None:
    for member in state.members(target.id.partition("/")[0]):
        if member.id == target.id:
            return None
        if member.status is Status.UNKNOWN and member.drain is None and not member.attempts:
            return member
    return None


def _started_at(component: ComponentState) -> Instant:
    return (
        component.process.since if isinstance(component.process, ProcessRunning) else component.status_since
    )


def wanted_failback(state: State, policy: ServicePolicy, now: Instant) -> tuple[str | None, Instant | None]:
    """Return the member to go back to (None: stay) and when that may change by itself."""
    if policy.is_leased or not policy.failback:
        return None, None  # leased: the leader's to decide
    first = state.members(policy.name)[0]
    primary = primary_of(state, policy.name)
    if primary is None or primary.id == first.id or not is_usable(first):
        return None, None
    if why_not_primary(first, now) or pause_of(state, policy.name, now) is not None:
        return None, None
    stable_at = first.status_since + policy.restart.stable_after
    return (member_of(first.id), None) if now >= stable_at else (None, stable_at)
