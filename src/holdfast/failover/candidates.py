"""Who could take over, and for each who could not, why not."""

from holdfast.model.duty import has_role, restart_reason, why_not_primary
from holdfast.model.ids import MemberName, ServiceName, member_of
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessUnknown, State
from holdfast.model.time import Instant


def best_primary(
    state: State, service: ServiceName, now: Instant, *, but: str | None, in_need: bool = False
) -> ComponentState | None:
    """Return the best candidate other than the component `but`.

    Up before suspect, one that need not be restarted before one that must, then the file's order.
    """
    able = [
        member
        for member in state.members(service)
        if member.id != but and not why_not_primary(member, now, in_need=in_need) and member.flight is None
    ]
    return min(able, key=lambda m: (m.status is not Status.UP, bool(restart_reason(m))), default=None)


def why_no_candidate(state: State, service: ServiceName, now: Instant, *, but: str | None) -> str:
    """Return for people why none of the others can take over."""
    others = [member for member in state.members(service) if member.id != but]
    if not others:
        return "it has no other member"
    return "; ".join(f"{member_of(other.id)}: {why_not_primary(other, now) or 'busy'}" for other in others)


def why_not_start(component: ComponentState, now: Instant) -> str:
    """Return why a cold member of a singleton cannot be started in another's place; empty if it can."""
    if component.drain is not None:
        return "drained by an operator"
    if component.gave_up_at is not None:
        return "its restart budget is spent"
    if component.held_until is not None and now < component.held_until:
        return "held back because it flaps"
    if now < component.not_before:
        return "its last start failed a moment ago"
    if not isinstance(component.process, ProcessAbsent):
        return "it is not proven that it does not run"
    return ""


def unproven(state: State, service: ServiceName) -> tuple[MemberName, ...]:
    """Return the members of which it is not known whether they run, so not whether they serve.

    A member that the file no longer names counts until it is ended, if it has the role.
    """
    unknown = [m for m in state.members(service) if isinstance(m.process, ProcessUnknown)]
    strays = [s for s in state.strays(service) if has_role(s) or isinstance(s.process, ProcessUnknown)]
    return tuple(member_of(member.id) for member in (*unknown, *strays))


def soonest_retry(state: State, service: ServiceName, now: Instant) -> Instant | None:
    """Return when a member that is held back for a time becomes a candidate again, if any is."""
    ends = [end for member in state.members(service) for end in (member.not_before, member.held_until) if end]
    return min((end for end in ends if end > now), default=None)
