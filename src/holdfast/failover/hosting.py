"""On which host a member runs that the file binds to none: the leader's placement. Pure.

What runs stays where it is as long as its host may have it: moving costs an outage, an uneven spread does not.
"""

from collections.abc import Mapping

from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import HostPolicy, Policy, ServicePolicy
from holdfast.model.value import Value

Places = Mapping[ServiceName, Mapping[MemberName, HostName]]


class Placing(Value, frozen=True):
    """Where the members of one service should run, and what could not be placed and why."""

    placed: dict[MemberName, HostName]
    moved: tuple[str, ...] = ()  # for people: "job-1 from h2 to h3"
    unplaced: dict[MemberName, str] = {}


def place(
    policy: Policy, service: ServicePolicy, places: Places, able: frozenset[HostName], budget: int
) -> Placing:
    """Return where the movable members of `service` should run.

    `places`: where all members of all services run now, bound ones included. `able`: hosts that may be given members;
    members on others are moved, `budget` of them at most.
    """
    now = dict(places.get(service.name, {}))
    placed: dict[MemberName, HostName] = {}
    unplaced: dict[MemberName, str] = {}
    moved: list[str] = []
    for member in service.members:
        if member.on is not None:
            continue
        at = now.get(member.name)
        if at is not None and at in able and not _why_not(policy, service, policy.hosts[at], places):
            placed[member.name] = at
            continue
        if at is not None and len(moved) >= budget:
            placed[member.name] = at
            unplaced[member.name] = "enough members were moved within the last minute"
            continue
        others = {name: host for name, host in now.items() if name != member.name}
        everywhere = {**places, service.name: {**others, **placed}}
        target, why = _best_host(policy, service, everywhere, able)
        if target is None:
            unplaced[member.name] = why
            if at is not None:
                placed[member.name] = at
            continue
        placed[member.name] = target
        now[member.name] = target
        if at is not None:
            moved.append(f"{member.name} from {at} to {target}")
    return Placing(placed, tuple(moved), unplaced)


def _best_host(
    policy: Policy, service: ServicePolicy, places: Places, able: frozenset[HostName]
) -> tuple[HostName | None, str]:
    reasons: list[str] = []
    fit: list[HostPolicy] = []
    for name, host in policy.hosts.items():
        why = (
            "it is not there"
            if name not in able
            else _why_not(policy, service, host, places) or _is_full(policy, host, places)
        )
        if why:
            reasons.append(f"{name}: {why}")
        else:
            fit.append(host)
    if not fit:
        return None, "; ".join(reasons)
    return min(fit, key=lambda host: _rank(policy, service, host, places)).name, ""


def _why_not(policy: Policy, service: ServicePolicy, host: HostPolicy, places: Places) -> str:
    """Return which rule of the file keeps the service's members off the host; empty if none does."""
    rules = service.placement
    for label, value in rules.require.items():
        if host.labels.get(label) != value:
            return f"its label {label} is {host.labels.get(label, 'not set')}, not {value}"
    for other in rules.apart_from:
        if host.name in places.get(other, {}).values():
            return f"a member of {other} runs there"
    for other in rules.together_with:
        if other in policy.services and host.name not in places.get(other, {}).values():
            return f"no member of {other} runs there"
    return ""


def _is_full(policy: Policy, host: HostPolicy, places: Places) -> str:
    if host.capacity and _load(policy, host.name, places) >= host.capacity:
        return f"it has as many members as its capacity of {host.capacity} allows"
    return ""


def _load(policy: Policy, host: HostName, places: Places) -> int:
    """Return how many members that are bound to no host run there."""
    count = 0
    for name, members in places.items():
        service = policy.services.get(name)
        for member, at in members.items():
            known = service.member(member) if service is not None else None
            count += at == host and known is not None and known.on is None
    return count


def _rank(
    policy: Policy, service: ServicePolicy, host: HostPolicy, places: Places
) -> tuple[int, int, int, int]:
    rules = service.placement
    own = list(places.get(service.name, {}).values())
    here = own.count(host.name)
    label = rules.spread_by
    beside = here
    if label != "host":
        value = host.labels.get(label)
        beside = sum(policy.hosts[at].labels.get(label) == value for at in own if at in policy.hosts)
    favour = sum(host.labels.get(name) == value for name, value in rules.prefer.items())
    return (beside, here, -favour, _load(policy, host.name, places))
