"""Where the file asks for less than it seems to: single points of failure, faults that nobody would notice.

A weakness is not an error. The file is valid and does what it says; this says what it does not do. Each has a
code for machines, a sentence for people, and what would help.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum

from holdfast.model.policy import (
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    Protocol,
    Purpose,
    RestartPolicy,
    ServicePolicy,
)
from holdfast.model.time import SECOND, Duration, show_duration
from holdfast.model.value import Value

_GRACE_LONG = 30 * SECOND
_DETECTION_LONG = 30 * SECOND


class WeaknessCode(StrEnum):
    """The closed list of what is looked for."""

    ONE_HOST = "one_host"
    ONE_MEMBER = "one_member"
    LONE_DEPENDENCY = "lone_dependency"
    SAME_COMMAND = "same_command"
    NO_PROBES = "no_probes"
    NO_LIVENESS = "no_liveness"
    NO_HTTP_PROBE = "no_http_probe"
    NO_READING_PROBE = "no_reading_probe"
    SLOW_DETECTION = "slow_detection"
    BUDGET_NEVER_SPENT = "budget_never_spent"
    NO_RESTARTS = "no_restarts"
    SLOW_STOP = "slow_stop"
    THRESHOLD_TOO_HIGH = "threshold_too_high"
    LONE_COORDINATOR = "lone_coordinator"
    LONE_HOST = "lone_host"
    NO_ROOM = "no_room"
    LOOPBACK = "loopback"


class Weakness(Value, frozen=True):
    """One thing that the file leaves weak."""

    code: WeaknessCode
    subject: str  # a service, a host, `cluster`, or the system's name
    text: str
    advice: str


def weaknesses(policy: Policy) -> tuple[Weakness, ...]:
    """Return what `policy` leaves weak: the system first, then its services in start order."""
    asked_for = [service for service in policy.services.values() if not service.is_builtin]
    return (
        *_of_system(policy),
        *(found for s in asked_for for look in _LOOKS for found in look(policy, s)),
    )


def _of_system(policy: Policy) -> Iterator[Weakness]:
    if policy.cluster is not None:
        return  # see host_weaknesses.py
    text = "everything runs on one host: when it fails, nothing is left to take over"
    if any(service.traffic for service in policy.services.values()):
        text += "; its HAProxy is the one way in"
    yield Weakness(WeaknessCode.ONE_HOST, policy.system, text, "keep a second host ready, and drill the move")


def _redundancy(policy: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    if len(service.members) > 1:
        return
    redundant = [name for name in policy.dependents(service.name) if len(policy.services[name].members) > 1]
    if redundant:
        text = f"{service.name} has one member, and {' and '.join(redundant)} cannot serve without it"
        advice = f"give {service.name} a second member; until then the others' are of little use"
        yield Weakness(WeaknessCode.LONE_DEPENDENCY, service.name, text, advice)
    else:
        text = f"{service.name} has one member: when it fails, nobody serves until it is restarted"
        if policy.cluster is not None and service.members[0].on is None:
            text += ", or placed on another host"
        yield Weakness(WeaknessCode.ONE_MEMBER, service.name, text, "add a second member")


def _likeness(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    if service.mode is Mode.SINGLETON:
        return
    first: dict[tuple[object, ...], MemberPolicy] = {}
    for member in service.members:
        run = member.run
        # Members that are bound to two hosts never meet.
        likeness = (run.command, tuple(run.env.items()), run.directory, repr(run.managed), member.on)
        twin = first.setdefault(likeness, member)
        if twin is not member and run.directory is not None:
            shared = "command, variables and directory"
        elif twin is not member and member.port is not None:
            shared = "command and variables"
        else:
            continue
        text = f"{twin.name} and {member.name} have the same {shared}: nothing tells them apart"
        advice = "use {port} or {member} in the command or its variables"
        yield Weakness(WeaknessCode.SAME_COMMAND, service.name, text, advice)


def _probes(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    # A resource agent is asked how its component is, again and again: that is a probe for its liveness.
    unasked = tuple(member for member in service.members if member.run.managed is None)
    bare = [member.name for member in unasked if not member.probes]
    if bare:
        text = f"{', '.join(bare)} of {service.name}: no probes, so a hang would not be noticed, only an exit"
        yield Weakness(
            WeaknessCode.NO_PROBES, service.name, text, "add a probe, such as probes: { alive: { http: / } }"
        )
    deaf = [
        member.name
        for member in unasked
        if member.probes and not any(probe.purpose is Purpose.LIVENESS for probe in member.probes)
    ]
    if deaf:
        text = f"{', '.join(deaf)} of {service.name}: no liveness probe, so a hang would not end in a restart"
        yield Weakness(WeaknessCode.NO_LIVENESS, service.name, text, "give one probe purpose: liveness")
    if service.traffic and service.traffic.protocol is Protocol.HTTP:
        yield from _http_probes(service)


def _http_probes(service: ServicePolicy) -> Iterator[Weakness]:
    silent = [
        member.name
        for member in service.members
        if member.probes and not any(isinstance(probe.check, HttpCheck) for probe in member.probes)
    ]
    if silent:
        text = f"{', '.join(silent)} of {service.name}: serves HTTP, but no probe asks for a page, so errors go unnoticed"
        yield Weakness(WeaknessCode.NO_HTTP_PROBE, service.name, text, "add a probe with http: /")


def _reads(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    if service.traffic is None or service.traffic.read_only is None:
        return
    silent = [m.name for m in service.members if not any(p.purpose is Purpose.READING for p in m.probes)]
    if silent:
        text = f"{', '.join(silent)} of {service.name}: read from as standbys, and nothing tells how old their data is"
        advice = "add a probe with purpose: reading that fails while a standby is too far behind"
        yield Weakness(WeaknessCode.NO_READING_PROBE, service.name, text, advice)


def _detection(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    slow: dict[str, Duration] = {}
    for member in service.members:
        for probe in member.probes:
            # The first failure may be one interval away; the others follow at the hurried one.
            takes = probe.every + (probe.fall - 1) * probe.every_suspect + probe.fall * probe.timeout
            if probe.purpose is Purpose.LIVENESS and takes > _DETECTION_LONG:
                slow[probe.name] = takes
    for name, takes in slow.items():
        text = f"the probe {name} of {service.name} may take {show_duration(takes)} to notice a hang"
        yield Weakness(WeaknessCode.SLOW_DETECTION, service.name, text, "lower every, timeout or fall")


def _restarts(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    restart = service.restart
    if restart.restarts_max == 0:
        text = f"{service.name} is never restarted: restart.max is 0"
        yield Weakness(WeaknessCode.NO_RESTARTS, service.name, text, "raise restart.max")
    elif shortest_row(restart) >= restart.window:
        text = (
            f"the restart budget of {service.name} can never be spent: with its back-off, {restart.restarts_max} restarts "
            f"take {show_duration(shortest_row(restart))} at least, longer than the window of {show_duration(restart.window)}"
        )
        yield Weakness(
            WeaknessCode.BUDGET_NEVER_SPENT, service.name, text, "lower restart.max or raise restart.window"
        )


def shortest_row(restart: RestartPolicy) -> Duration:
    """Return how long it takes at least to spend the whole budget: the first restart is at once."""
    total, wait = 0, restart.backoff_min
    for _ in range(restart.restarts_max - 1):
        total += wait
        wait = min(2 * wait, restart.backoff_max)
    return total


def _stopping(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    longest = max((member.run.stop_grace for member in service.members), default=0)
    if service.is_exclusive and len(service.members) > 1 and longest > _GRACE_LONG:
        text = (
            f"a primary of {service.name} that does not stop may hold up a failover for {show_duration(longest)}: "
            "its run.stop.grace"
        )
        yield Weakness(WeaknessCode.SLOW_STOP, service.name, text, "lower run.stop.grace")


def _thresholds(_: Policy, service: ServicePolicy) -> Iterator[Weakness]:
    if service.threshold == 1:
        text = f"{service.name} is an incident even in full health: its threshold is 1"
        yield Weakness(WeaknessCode.THRESHOLD_TOO_HIGH, service.name, text, "lower threshold, 0.5 is usual")


_LOOKS: tuple[Callable[[Policy, ServicePolicy], Iterator[Weakness]], ...] = (
    _redundancy,
    _likeness,
    _probes,
    _reads,
    _detection,
    _restarts,
    _stopping,
    _thresholds,
)
