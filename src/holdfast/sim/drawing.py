"""Drawing: from a seed to a schedule.

Each seed enables some kinds of faults and not others (a swarm), because a mix of everything at once hides what needs one thing often and another one never.
"""

from random import Random

from holdfast.model.policy import Policy
from holdfast.model.routing import Lane
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.sim.faults import OF_COMPONENTS, OF_NOBODY, OF_PAIRS, OF_WHOLE, Fault, FaultKind
from holdfast.sim.policies import System, systems
from holdfast.sim.simulation import Schedule

FAULTS_END = 14 * SECOND
_FAULTS_MAX = 14
_FREQUENT = (FaultKind.CRASH, FaultKind.FREEZE, FaultKind.HANG, FaultKind.AGENT_CRASH)
_NEEDS = (  # what never happens unless something else asks for it
    (FaultKind.FAIL_DEMOTE, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_PROMOTE, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_STOP, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_STOP, FaultKind.RESTART),
    (FaultKind.AGENT_CRASH, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_START, FaultKind.CRASH),
    (FaultKind.CRASH_AT_START, FaultKind.CRASH),
)
_KINDS = (
    *OF_COMPONENTS,
    *OF_PAIRS,
    *OF_NOBODY,
    FaultKind.FAIL_ROUTE,
    FaultKind.DRIFT,
    FaultKind.PAUSE,
    FaultKind.RESTART,
    FaultKind.POLICY,
)


def draw(random: Random, of: System | None = None) -> Schedule:
    """Return the next schedule: of one of the swarm's systems, or of the one given."""
    name = "own" if of is not None else random.choice(sorted(systems()))
    system = of if of is not None else systems()[name]
    kinds = random.sample(_KINDS, random.randint(1, 6))
    kinds += random.sample(_FREQUENT, random.randint(0, 2))
    kinds += [with_ for kind, with_ in _NEEDS if kind in kinds]
    base = system["base"]
    faults = [
        _fault(random, random.choice(kinds), base, system) for _ in range(random.randint(2, _FAULTS_MAX))
    ]
    faults += _burst(random, base) if random.random() < 0.15 else []
    faults = _crowded(random, sorted(faults, key=lambda fault: fault.at))
    faults = sorted([*faults, *_amid(random, base, faults)], key=lambda fault: fault.at)
    return Schedule(name, system, tuple(faults), FAULTS_END)


def _burst(random: Random, base: Policy) -> list[Fault]:
    """Return one thing happening to one component again and again: flapping, a spent budget."""
    service = random.choice([service for service in base.services.values() if not service.is_builtin])
    target = f"{service.name}/{random.choice(service.members).name}"
    kind = random.choice((FaultKind.CRASH, FaultKind.FREEZE))
    at = random.randrange(SECOND, 8 * SECOND, 10 * MILLISECOND)
    every = random.randrange(300 * MILLISECOND, 1200 * MILLISECOND, 10 * MILLISECOND)
    return [Fault(kind, at + n * every, target, 200 * MILLISECOND) for n in range(random.randint(4, 6))]


def _crowded(random: Random, faults: list[Fault]) -> list[Fault]:
    """Return the faults with some moved to just after the one before: what breaks things is what meets."""
    crowded: list[Fault] = []
    for fault in faults:
        moved = fault
        if crowded and random.random() < 0.35:
            moved = replace(fault, at=crowded[-1].at + random.randrange(0, 400 * MILLISECOND, MILLISECOND))
        crowded.append(moved)
    return sorted(crowded, key=lambda fault: fault.at)


def _amid(random: Random, base: Policy, faults: list[Fault]) -> list[Fault]:
    """Return planned moves just before the agent dies: what it was doing is what it may forget."""
    names = [s.name for s in base.services.values() if s.is_exclusive and not s.is_builtin]
    deaths = [fault.at for fault in faults if fault.kind is FaultKind.AGENT_CRASH and random.random() < 0.6]
    if not names:
        return []
    before = [
        max(0, at - random.randrange(10 * MILLISECOND, 700 * MILLISECOND, MILLISECOND)) for at in deaths
    ]
    return [Fault(FaultKind.SWITCHOVER, at, random.choice(names)) for at in before]


def _fault(random: Random, kind: FaultKind, base: Policy, system: System) -> Fault:
    at = random.randrange(0, FAULTS_END - SECOND, 10 * MILLISECOND)
    lasts = random.randrange(200 * MILLISECOND, 8 * SECOND, 10 * MILLISECOND)
    target = to = ""
    services = [
        service for service in base.services.values() if not service.is_builtin or random.random() < 0.2
    ]
    service = random.choice(services or list(base.services.values()))
    members = [member.name for member in service.members]
    if kind in OF_COMPONENTS:
        target = f"{service.name}/{random.choice(members)}"
        if kind in OF_WHOLE and random.random() < 0.5:
            target = service.name
    elif kind in OF_PAIRS or kind is FaultKind.RESTART:
        target = service.name
        to = random.choice(members) if kind is FaultKind.SWITCHOVER else ""
    elif kind is FaultKind.PAUSE:
        target = random.choice(("", service.name))
    elif kind is FaultKind.DRIFT:
        target = service.name
        to = f"{random.choice(members)}={random.choice(list(Lane))}"
    elif kind is FaultKind.POLICY:
        to = random.choice(list(system))
    elif kind is FaultKind.AGENT_CRASH:
        lasts //= 2
    if kind is FaultKind.FREEZE:
        lasts = random.choice((0, lasts, 300 * MILLISECOND))
    return Fault(kind, at, target, min(lasts, FAULTS_END - at), to)
