"""Whether a planned move between hosts can be made, and to whom; if not, every reason why."""

from holdfast.detect.reach import Reach
from holdfast.loop.cluster.state import ClusterState, member_report
from holdfast.loop.cluster.whereabouts import host_of
from holdfast.model.ids import MemberName, ServiceName, component_id
from holdfast.model.policy import ServicePolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.time import Instant
from holdfast.model.value import Value


class Move(Value, frozen=True):
    """A planned move: to whom, or why not."""

    to: MemberName = ""
    refusals: tuple[str, ...] = ()


def planned_move(state: ClusterState, service: ServiceName, to: MemberName | None, now: Instant) -> Move:
    """Return the member that a switchover of `service` goes to; `to` None: the best one."""
    policy = state.policy.services.get(service)
    if policy is None:
        return Move(
            refusals=(f"there is no service {service!r}; services: {', '.join(state.policy.services)}",)
        )
    if not policy.is_exclusive:
        return Move(
            refusals=(
                f"{service} is active-active: all its members serve; to empty one, use `holdfast drain`",
            )
        )
    if not state.session.is_sure(now) or state.view is None:
        return Move(
            refusals=("the coordinator cannot be reached from this host: nobody may take a role over now",)
        )
    if state.view.leader is None:
        return Move(refusals=("no host leads at present: try again in a moment",))
    if (wish := state.view.wishes.get(service)) is not None:
        return Move(refusals=(f"a switchover to {wish.to}, asked for by {wish.by}, is already in progress",))
    lease = state.view.leases.get(service)
    if to is not None and policy.member(to) is None:
        names = ", ".join(member.name for member in policy.members)
        return Move(refusals=(f"{service} has no member {to!r}; its members: {names}",))
    if to is not None and lease is not None and lease.member == to:
        return Move(refusals=(f"{to} already serves {service}",))
    able = sorted(policy.members, key=lambda member: -member.tags.priority)
    targets = [m.name for m in able if (lease is None or m.name != lease.member) and to in (None, m.name)]
    reasons = {name: _why_not(state, policy, name, is_named=to is not None) for name in targets}
    fit = next((name for name, why in reasons.items() if not why), None)
    if fit is not None:
        return Move(fit)
    return Move(
        refusals=tuple(f"{name}: {why}" for name, why in reasons.items())
        or (f"{service} has no other member",)
    )


def why_none_open(policy: ServicePolicy) -> str:
    """Return why a switchover of the service waits for no open transactions; empty if it does."""
    managed = next((member.run.managed for member in policy.everywhere), None)
    if not isinstance(managed, PostgresServer):
        return f"{policy.name} is not PostgreSQL: open transactions are waited for, or ended, there only"
    if managed.follows is not None:
        return (
            f"{policy.name} follows {managed.follows.words}: it has no primary whose transactions would end"
        )
    return ""


def _why_not(state: ClusterState, policy: ServicePolicy, member: MemberName, *, is_named: bool) -> str:
    tags = policy.anywhere(member)
    if tags is not None and tags.tags.nofailover and not is_named:
        return "it is marked nofailover: name it with --to if it is meant"
    assert state.view is not None
    host = host_of(state, policy, member)
    if host is None:
        return "it is placed on no host"
    if host not in state.view.hosts:
        return f"its host {host} has no session with the coordinator"
    if state.reach.get(host) is Reach.LOST:
        return f"its host {host} is silent"
    report = member_report(state, host, component_id(policy.name, member))
    return "its host has not told yet how it is" if report is None else report.unfit
