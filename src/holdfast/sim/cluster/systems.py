"""The systems of several hosts that the swarm plays with: small, and quick to heal, each with a second file to change to."""

from functools import cache

from holdfast.model.policy import (
    ClusterPolicy,
    CoordinatorLoss,
    FencePolicy,
    HostPolicy,
    MemberPolicy,
    Mode,
    PlacementPolicy,
    Policy,
    SecretFrom,
    ServicePolicy,
)
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.sim.policies import LIVE, changed, members, service

LEASE = 2 * SECOND
HEARTBEAT = 300 * MILLISECOND
HOLD = CoordinatorLoss.HOLD
_PROBE = replace(LIVE, every=2 * SECOND)

Files = tuple[Policy, ...]  # the first is where it begins


def bound(hosts: str, *, hooks: bool = False) -> tuple[MemberPolicy, ...]:
    """Return one member for each host, bound to it: `ab` runs `a` on host a and `b` on host b."""
    return tuple(replace(member, on=member.name) for member in members(hosts, _PROBE, hooks=hooks))


def pair(name: str, hosts: str) -> ServicePolicy:
    """Return an active-standby service with hooks, a member on each of these hosts."""
    return service(name, Mode.ACTIVE_STANDBY, bound(hosts, hooks=True), has_traffic=False)


def single(name: str, hosts: str) -> ServicePolicy:
    """Return a singleton with a member on each of these hosts."""
    return service(name, Mode.SINGLETON, bound(hosts), has_traffic=False)


def movable(name: str) -> ServicePolicy:
    """Return a singleton of one member that the leader places."""
    return service(name, Mode.SINGLETON, members("m", _PROBE), has_traffic=False)


def spread(name: str, names: str) -> ServicePolicy:
    """Return an active-active service whose members the leader places."""
    rules = PlacementPolicy(move_after=SECOND)
    every = service(name, Mode.ACTIVE_ACTIVE, members(names, _PROBE), has_traffic=False)
    return replace(every, placement=rules)


def holding(policy: ServicePolicy) -> ServicePolicy:
    """Return the service that goes on without the coordinator."""
    return replace(policy, on_coordinator_loss=HOLD)


def files(hosts: str, *services: ServicePolicy) -> Files:
    """Return the file with these hosts and services, and one to change to."""
    base = Policy(
        "sim",
        {each.name: each for each in services},
        cluster=ClusterPolicy("", SecretFrom(), LEASE, HEARTBEAT),
        hosts={name: HostPolicy(name, name, {"rack": str(at % 2)}) for at, name in enumerate(hosts)},
        revision="1",
    )
    return base, changed(base, services[0].name)


def _fenced() -> Files:
    base, other = files("abc", replace(pair("db", "ab"), needs_fencing=True))
    fenced = {name: replace(host, fence=FencePolicy(command=("fence",))) for name, host in base.hosts.items()}
    return replace(base, hosts=fenced), replace(other, hosts=fenced)


def _placed() -> Files:
    away = replace(movable("job"), placement=PlacementPolicy(apart_from=("web",)))
    return files("abcd", spread("web", "pq"), away)


@cache
def systems() -> dict[str, Files]:
    """Return the systems by name."""
    return {
        "pair": files("abc", pair("db", "ab")),
        "pair_hold": files("abc", holding(pair("db", "ab"))),
        "trio": files("abc", pair("db", "abc")),
        "trio_hold": files("abc", holding(pair("db", "abc"))),
        "two_hosts": files("ab", pair("db", "ab")),
        "two_hosts_hold": files("ab", holding(pair("db", "ab"))),
        "single": files("abc", single("one", "abc")),
        "single_hold": files("abc", holding(single("one", "abc"))),
        "movable": files("abc", movable("job")),
        "movable_hold": files("abc", holding(movable("job"))),
        "both": files("abc", pair("db", "ab"), holding(single("one", "bc"))),
        "spread": files("abc", spread("web", "pqr")),
        "placed": _placed(),
        "fenced": _fenced(),
        "five_hold": files("abcde", holding(pair("db", "abcde"))),
    }
