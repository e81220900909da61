"""Drawing: from a seed to a schedule. Each seed enables some kinds of faults and not others (a swarm), because
a mix of everything at once hides what needs one thing often and another one never.
"""

from random import Random

from holdfast.model.policy import Policy
from holdfast.model.routing import Lane
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.sim.faults import OF_COMPONENTS, OF_NOBODY, OF_PAIRS, Fault, FaultKind
from holdfast.sim.policies import System, systems
from holdfast.sim.simulation import Schedule

FAULTS_END = 14 * SECOND
_FAULTS_MAX = 14
_FREQUENT = (FaultKind.CRASH, FaultKind.FREEZE, FaultKind.HANG)
_NEEDS = (  # what never happens unless something else asks for it
    (FaultKind.FAIL_DEMOTE, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_PROMOTE, FaultKind.SWITCHOVER),
    (FaultKind.FAIL_STOP, FaultKind.RESTART),
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
    faults = [_fault(random, random.choice(kinds), base, system) for _ in range(random.randint(2, _FAULTS_MAX))]
    faults.sort(key=lambda fault: fault.at)
    return Schedule(name, system, tuple(faults), FAULTS_END)


def _fault(random: Random, kind: FaultKind, base: Policy, system: System) -> Fault:
    at = random.randrange(0, FAULTS_END - SECOND, 10 * MILLISECOND)
    lasts = random.randrange(200 * MILLISECOND, 8 * SECOND, 10 * MILLISECOND)
    target = to = ""
    services = [service for service in base.services.values() if not service.is_builtin or random.random() < 0.2]
    service = random.choice(services or list(base.services.values()))
    members = [member.name for member in service.members]
    if kind in OF_COMPONENTS:
        target = f"{service.name}/{random.choice(members)}"
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

