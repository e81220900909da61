"""The systems that the swarm plays with: small, with short budgets, and each with variants of its file.

Short times keep a schedule short: what takes minutes in production (a spent budget, a hold) takes seconds
here, and the rules are the same.
"""

from functools import cache

from holdfast.model.digests import run_digest
from holdfast.model.ids import ComponentId
from holdfast.model.policy import (
    FlapPolicy,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Purpose,
    RestartPolicy,
    ServicePolicy,
    Strategy,
    TcpCheck,
    TrafficPolicy,
)
from holdfast.model.reading import ReadPolicy
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace

RESTART = RestartPolicy(
    restarts_max=3,
    window=8 * SECOND,
    backoff_min=100 * MILLISECOND,
    backoff_max=SECOND,
    stable_after=2 * SECOND,
    retry_after=8 * SECOND,
    hang_grace=500 * MILLISECOND,
    startup_grace=3 * SECOND,
)
FLAPPING = FlapPolicy(falls_max=3, window=6 * SECOND, hold_min=SECOND, hold_max=4 * SECOND)
TRAFFIC = TrafficPolicy("127.0.0.1", 8080, drain_timeout=2 * SECOND)
READS = replace(TRAFFIC, read_only=ReadPolicy("127.0.0.1", 8081))
BALANCER = "haproxy"

LIVE = ProbePolicy(
    "live",
    Purpose.LIVENESS,
    TcpCheck("127.0.0.1", 1),
    timeout=200 * MILLISECOND,
    fall=2,
    every_suspect=100 * MILLISECOND,
)
READY = replace(LIVE, name="ready", purpose=Purpose.READINESS)
FRESH = replace(LIVE, name="fresh", purpose=Purpose.READING)
STARTUP = replace(LIVE, name="startup", purpose=Purpose.STARTUP)

System = dict[str, Policy]  # variants of one file; "base" is where it begins


def members(names: str, *probes: ProbePolicy, hooks: bool = False) -> tuple[MemberPolicy, ...]:
    """Return one member for each letter of `names`."""
    run = ProcessSpec(
        ("serve",),
        stop_grace=SECOND,
        hook_timeout=SECOND,
        promote=("promote",) if hooks else (),
        demote=("demote",) if hooks else (),
    )
    return tuple(MemberPolicy(name, run, probes, port=1) for name in names)


def service(
    name: str,
    mode: Mode,
    members: tuple[MemberPolicy, ...],
    *,
    depends_on: tuple[str, ...] = (),
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    has_traffic: bool = True,
) -> ServicePolicy:
    """Return a service with the swarm's short times."""
    return ServicePolicy(
        name,
        mode,
        members,
        depends_on,
        replace(RESTART, strategy=strategy),
        FLAPPING,
        TRAFFIC if has_traffic else None,
    )


def policy(*services: ServicePolicy) -> Policy:
    """Return a file with these services, and with the balancer if one of them has traffic."""
    return with_balancer(Policy("sim", {service.name: service for service in services}))


def with_balancer(policy: Policy) -> Policy:
    """Return the policy with our balancer as its first service, if any service has traffic and it is missing."""
    services = policy.services
    if any(s.is_builtin for s in services.values()) or not any(s.traffic for s in services.values()):
        return policy
    run = ProcessSpec((BALANCER,), stop_grace=3 * SECOND)
    rules = RestartPolicy(
        restarts_max=20,
        backoff_min=100 * MILLISECOND,
        backoff_max=SECOND,
        stable_after=2 * SECOND,
        retry_after=5 * SECOND,
    )
    balancer = ServicePolicy(
        BALANCER, Mode.SINGLETON, (MemberPolicy(BALANCER, run),), restart=rules, is_builtin=True
    )
    return replace(policy, services={BALANCER: balancer, **services})


def digests(policy: Policy) -> dict[ComponentId, str]:
    """Return the digest of what each component should run with."""
    return {
        f"{service.name}/{member.name}": run_digest(member.run)
        for service in policy.services.values()
        for member in service.members
    }


def changed(policy: Policy, name: str) -> Policy:
    """Return the policy with another environment for one service."""
    old = policy.services[name]
    env = {"CHANGED": policy.revision + "x"}
    new = replace(old, members=tuple(replace(m, run=replace(m.run, env=env)) for m in old.members))
    return replace(policy, services={**policy.services, name: new}, revision=policy.revision + "x")


def without(policy: Policy, name: str, member: str | None = None) -> Policy:
    """Return the policy without one member, or without a whole service on which nothing depends."""
    if member is None:
        return replace(policy, services={n: s for n, s in policy.services.items() if n != name})
    old = policy.services[name]
    new = replace(old, members=tuple(m for m in old.members if m.name != member))
    return replace(policy, services={**policy.services, name: new})


def variants(base: Policy, name: str) -> System:
    """Return the file's variants, all about one service on which nothing depends."""
    names = [member.name for member in base.services[name].members]
    found = {"base": base, "changed": changed(base, name), "without_service": without(base, name)}
    if len(names) > 1:
        found["without_first"] = without(base, name, names[0])
        found["without_last"] = without(base, name, names[-1])
    return found


@cache
def systems() -> dict[str, System]:
    """Return the systems by name."""
    pair, spread, one = Mode.ACTIVE_STANDBY, Mode.ACTIVE_ACTIVE, Mode.SINGLETON
    store = service("store", one, members("x", LIVE), has_traffic=False)
    db = service("db", pair, members("ab", LIVE, hooks=True), depends_on=("store",), has_traffic=False)
    web = service("web", spread, members("pq", LIVE, READY), depends_on=("db",))
    failback = replace(service("pair", pair, members("ab", LIVE)), failback=True)
    one_for_all = service("pair", pair, members("ab", LIVE), strategy=Strategy.ONE_FOR_ALL)
    rest = service("trio", spread, members("abc", LIVE, READY), strategy=Strategy.REST_FOR_ONE)
    three = replace(service("three", pair, members("abc", LIVE, FRESH, hooks=True)), traffic=READS)
    return {
        "pair": variants(policy(service("pair", pair, members("ab", LIVE, READY))), "pair"),
        "pair_hooks": variants(policy(service("pair", pair, members("ab", LIVE, hooks=True))), "pair"),
        "trio_hooks": variants(policy(three), "three"),
        "failback": variants(policy(failback), "pair"),
        "spread": variants(policy(service("trio", spread, members("abc", STARTUP, LIVE, READY))), "trio"),
        "single": variants(policy(service("one", one, members("ab", LIVE), has_traffic=False)), "one"),
        "single_three": variants(policy(service("one", one, members("abc", LIVE))), "one"),
        "bare": variants(policy(service("one", one, members("ab"), has_traffic=False)), "one"),
        "chain": variants(policy(store, db, web), "web"),
        "one_for_all": variants(policy(one_for_all), "pair"),
        "rest_for_one": variants(policy(rest), "trio"),
    }
