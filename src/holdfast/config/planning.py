"""What a new file would change, before anything changes: in the order in which it would happen.

The same question the agent answers when it reads the file, asked by an operator who wants to know first. It is
pure: two policies in, sentences out. What is secret in them (values of variables) is never in a sentence.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from holdfast.config.host_weaknesses import host_weaknesses
from holdfast.config.weaknesses import Weakness, weaknesses
from holdfast.loop.localizing import placed_on
from holdfast.model.digests import redis_settings, run_digest
from holdfast.model.ids import HostName, component_id
from holdfast.model.policy import (
    ClusterPolicy,
    HostPolicy,
    Managed,
    MemberPolicy,
    Mode,
    OcfAgent,
    Policy,
    ProcessSpec,
    ServicePolicy,
)
from holdfast.model.postgresql import PostgresServer
from holdfast.model.redis import RedisServer
from holdfast.model.value import Value, replace

# The fields that only a restart can change: those of `run_digest`.
RESTART_FIELDS = ("command", "env", "user", "group", "directory", "managed")
_SERVER_FIELDS = ("data", "programs", "user", "superuser", "host", "port")
_ROUTE_FIELDS = ("host", "port", "traffic_weight")
_HOSTS_FIELDS = ("on_coordinator_loss", "needs_fencing", "with_primary_of")
_KEYS = {  # fields of the model that are called otherwise in the file
    "stop_signal": "stop.signal",
    "stop_grace": "stop.grace",
    "log_max_bytes": "log_max",
    "restarts_max": "max",
    "backoff_min": "backoff",
    "hold_min": "hold",
    "stats_listen": "stats",
}


class ChangeKind(StrEnum):
    """What a change does."""

    REMOVED = "removed"  # stopped, and forgotten
    ADDED = "added"  # started
    RESTARTED = "restarted"  # what runs is not what the file says now
    REROUTED = "rerouted"  # the balancer's configuration changes; nothing is stopped
    REPROBED = "reprobed"  # other questions, or other intervals
    ADJUSTED = "adjusted"  # taken over as it is


class Change(Value, frozen=True):
    """One thing that would happen."""

    kind: ChangeKind
    subject: str  # a component, a service, a host, `haproxy`, `control`, `cluster`, or the system's name
    fields: tuple[str, ...]  # the keys that differ
    text: str


class Plan(Value, frozen=True):
    """What would change, and what the new file leaves weak."""

    changes: tuple[Change, ...]
    weaknesses: tuple[Weakness, ...]


def plan(old: Policy | None, new: Policy) -> Plan:
    """Return what going from `old` to `new` would do; from None, everything is new."""
    return Plan(tuple(_changes(old, new)), (*host_weaknesses(new), *weaknesses(new)))


def _changes(old: Policy | None, new: Policy) -> Iterator[Change]:
    before = (
        {name: service for name, service in old.services.items() if not service.is_builtin} if old else {}
    )
    yield from _removed(before, new)
    if old is not None:
        yield from _whole(old, new)
    yield from _hosts(old.hosts if old else {}, new)
    asked_for = (service for service in new.services.values() if not service.is_builtin)
    for service in asked_for:
        yield from _service(before.get(service.name), service, new)


def _removed(before: dict[str, ServicePolicy], new: Policy) -> Iterator[Change]:
    # Dependents end before what they depend on: the reverse of the order in which they were started.
    for service in reversed(before.values()):
        kept = new.services.get(service.name)
        for member in reversed(service.members):
            if kept is None or kept.member(member.name) is None:
                subject = component_id(service.name, member.name)
                yield Change(
                    ChangeKind.REMOVED, subject, (), f"{subject} is no longer in the file: it is stopped"
                )


def _whole(old: Policy, new: Policy) -> Iterator[Change]:
    if old.system != new.system:
        text = f"the system {old.system} is called {new.system} from now on"
        yield Change(ChangeKind.ADJUSTED, new.system, ("system",), text)
    if old.threshold != new.threshold:
        yield Change(
            ChangeKind.ADJUSTED,
            new.system,
            ("threshold",),
            _from_to("threshold", old.threshold, new.threshold),
        )
    for name, was, now in (("haproxy", old.haproxy, new.haproxy), ("control", old.control, new.control)):
        if differing := _differing(was, now):
            kind = ChangeKind.REROUTED if name == "haproxy" else ChangeKind.ADJUSTED
            yield Change(kind, name, differing, f"{name}: {_listed(differing)} changed")
    yield from _cluster(old.cluster, new.cluster)


def _cluster(old: ClusterPolicy | None, new: ClusterPolicy | None) -> Iterator[Change]:
    match old, new:
        case None, ClusterPolicy():
            text = "several hosts from now on: each needs its agent, started with this file"
        case ClusterPolicy(), None:
            text = "one host from now on: the one whose agent reads this file"
        case _ if fields := _differing(old, new):
            yield Change(ChangeKind.ADJUSTED, "cluster", fields, f"cluster: {_listed(fields)} changed")
            return
        case _:
            return
    yield Change(ChangeKind.ADJUSTED, "cluster", (), text)


def _hosts(before: dict[HostName, HostPolicy], new: Policy) -> Iterator[Change]:
    for name in before:
        if name not in new.hosts:
            text = f"{name} leaves: what the leader placed on it is placed elsewhere"
            yield Change(ChangeKind.REMOVED, name, (), text)
    for name, host in new.hosts.items():
        was = before.get(name)
        if was is None:
            bound = " and ".join(_bound_to(name, new)) or "nothing bound to it"
            text = f"{name} joins at {host.address}, with {bound}"
            yield Change(ChangeKind.ADDED, name, (), text)
        elif fields := _differing(was, host):
            yield Change(ChangeKind.ADJUSTED, name, fields, f"{name}: {_listed(fields)} changed")


def _bound_to(host: HostName, policy: Policy) -> Iterator[str]:
    for service in policy.services.values():
        for member in service.members:
            if member.on == host:
                yield component_id(service.name, member.name)


def _service(old: ServicePolicy | None, new: ServicePolicy, policy: Policy) -> Iterator[Change]:
    for index, member in enumerate(new.members):
        was = old.member(member.name) if old else None
        if was is None:
            yield _added(new, member, index, policy)
        else:
            subject = component_id(new.name, member.name)
            was, now = _on_one_host(was, member, policy)
            yield from _member(subject, was, now, has_traffic=new.traffic is not None)
    if old is None:
        if new.traffic is not None:
            yield Change(ChangeKind.REROUTED, new.name, ("traffic",), _listening(new))
        return
    yield from _settings(old, new)


def _added(service: ServicePolicy, member: MemberPolicy, index: int, policy: Policy) -> Change:
    subject = component_id(service.name, member.name)
    where = _where(service, member, policy)
    after = f", after {' and '.join(service.depends_on)}" if service.depends_on else ""
    if service.mode is Mode.SINGLETON and index > 0:
        text = f"{subject} is new: it is started{where} only if it has to take over"
    else:
        text = f"{subject} is new: it is started{where}{after}"
    return Change(ChangeKind.ADDED, subject, (), text)


def _where(service: ServicePolicy, member: MemberPolicy, policy: Policy) -> str:
    """Return where the member runs, to follow "is started"; nothing on one host."""
    if member.on is not None:
        return f" on {member.on}"
    if policy.cluster is None:
        return ""
    labels = " and ".join(f"{label} {value}" for label, value in service.placement.require.items())
    return " where the leader places it" + (f", on a host with {labels}" if labels else "")


def _on_one_host(old: MemberPolicy, new: MemberPolicy, policy: Policy) -> tuple[MemberPolicy, MemberPolicy]:
    """Return both as they are on the host that only one of them is bound to: so that blanks are no difference."""
    if old.on is None and new.on is not None:
        return placed_on(old, policy.hosts[new.on]), new
    if new.on is None and old.on is not None and old.on in policy.hosts:
        return old, placed_on(new, policy.hosts[old.on])
    return old, new


def _member(subject: str, old: MemberPolicy, new: MemberPolicy, *, has_traffic: bool) -> Iterator[Change]:
    fields = _run_fields(old.run, new.run) if run_digest(old.run) != run_digest(new.run) else ()
    if old.on != new.on:
        yield _moved(subject, old.on, new.on, fields)
        old = replace(old, host=new.host)  # said by the move
    elif fields:
        yield Change(
            ChangeKind.RESTARTED, subject, fields, f"{subject} is restarted: {_listed(fields)} changed"
        )
    if has_traffic and (fields := _differing(old, new, _ROUTE_FIELDS)):
        yield Change(
            ChangeKind.REROUTED,
            subject,
            fields,
            f"{subject} gets its traffic anew: {_listed(fields)} changed",
        )
    if probes := _probes(old, new):
        yield Change(
            ChangeKind.REPROBED, subject, probes, f"{subject} is asked anew: {_listed(probes)} changed"
        )
    adjusted = tuple(f"run.{name}" for name in _differing(old.run, new.run) if name not in RESTART_FIELDS)
    adjusted += _adjusted_managed(old.run.managed, new.run.managed)
    adjusted += _differing(
        old, new, ("weight", "tags") if has_traffic else ("weight", "tags", *_ROUTE_FIELDS)
    )
    if adjusted:
        text = f"{subject} goes on running: {_listed(adjusted)} changed"
        yield Change(ChangeKind.ADJUSTED, subject, adjusted, text)


def _adjusted_managed(old: Managed | None, new: Managed | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ()
    if type(old) is not type(new):
        return ()
    ours: tuple[str, ...] = ("provider_agent", "parameters")
    if isinstance(old, PostgresServer):
        ours = _SERVER_FIELDS
    elif isinstance(old, RedisServer):
        ours = tuple(redis_settings(old))
    names = (name for name in _differing(old, new) if name not in ours)
    return tuple(f"run.{name}" for name in names)


def _moved(subject: str, old: HostName | None, new: HostName | None, fields: tuple[str, ...]) -> Change:
    kind = ChangeKind.RESTARTED
    if new is None:
        text = f"{subject} is no longer bound to {old}: the leader places it"
        kind = ChangeKind.RESTARTED if fields else ChangeKind.ADJUSTED
    elif old is None:
        text = f"{subject} is bound to {new}: it moves there if it runs elsewhere"
    else:
        text = f"{subject} moves from {old} to {new}: it is stopped there and started here"
    return Change(kind, subject, ("on", *fields), text)


def _settings(old: ServicePolicy, new: ServicePolicy) -> Iterator[Change]:
    if old.traffic != new.traffic:
        if new.traffic is None:
            text = f"{new.name} gets no traffic through holdfast any more"
        else:
            text = _listening(new)
        fields = _differing(old.traffic, new.traffic) if old.traffic and new.traffic else ()
        yield Change(
            ChangeKind.REROUTED, new.name, tuple(f"traffic.{name}" for name in fields) or ("traffic",), text
        )
    adjusted: tuple[str, ...] = _differing(
        old, new, ("mode", "depends_on", "threshold", "weight", "failback", "panic_threshold", *_HOSTS_FIELDS)
    )
    adjusted += tuple(f"restart.{name}" for name in _differing(old.restart, new.restart))
    adjusted += tuple(f"flapping.{name}" for name in _differing(old.flapping, new.flapping))
    adjusted += tuple(f"placement.{name}" for name in _differing(old.placement, new.placement))
    if adjusted:
        mode = f" (mode: {old.mode} -> {new.mode})" if old.mode is not new.mode else ""
        yield Change(
            ChangeKind.ADJUSTED, new.name, adjusted, f"{new.name}: {_listed(adjusted)} changed{mode}"
        )


def _run_fields(old: ProcessSpec, new: ProcessSpec) -> tuple[str, ...]:
    """Return what differs; variables by name, because their values may be secret."""
    plain = _differing(old, new, tuple(name for name in RESTART_FIELDS if name not in ("env", "managed")))
    names = sorted(old.env.keys() | new.env.keys())
    variables = tuple(f"env.{name}" for name in names if old.env.get(name) != new.env.get(name))
    return plain + variables + _managed_fields(old.managed, new.managed)


def _managed_fields(old: Managed | None, new: Managed | None) -> tuple[str, ...]:
    """Return what only a restart can change of what an agent is told; parameters by name."""
    if isinstance(old, PostgresServer) and isinstance(new, PostgresServer):
        return tuple(f"postgresql.{name}" for name in _differing(old, new, _SERVER_FIELDS))
    if isinstance(old, RedisServer) and isinstance(new, RedisServer):
        return tuple(f"redis.{name}" for name in _differing(old, new, tuple(redis_settings(old))))
    if not (isinstance(old, OcfAgent) and isinstance(new, OcfAgent)):
        return () if old == new else ("ocf",)
    if old.provider_agent != new.provider_agent:
        return ("ocf",)
    names = sorted(old.parameters.keys() | new.parameters.keys())
    return tuple(
        f"parameters.{name}" for name in names if old.parameters.get(name) != new.parameters.get(name)
    )


def _probes(old: MemberPolicy, new: MemberPolicy) -> tuple[str, ...]:
    was = {probe.name: probe for probe in old.probes}
    now = {probe.name: probe for probe in new.probes}
    names = list(dict.fromkeys((*was, *now)))
    return tuple(f"probes.{name}" for name in names if was.get(name) != now.get(name))


def _differing(old: object, new: object, names: Iterable[str] = ()) -> tuple[str, ...]:
    fields = tuple(names) or tuple(getattr(new, "__struct_fields__", ()))
    return tuple(_KEYS.get(name, name) for name in fields if getattr(old, name) != getattr(new, name))


def _listening(service: ServicePolicy) -> str:
    assert service.traffic is not None
    return (
        f"{service.name} listens for clients on {service.traffic.listen_host}:{service.traffic.listen_port}"
    )


def _from_to(name: str, old: object, new: object) -> str:
    return f"{name}: {old} -> {new}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
