"""Drawing: from a seed to a schedule of several hosts. Each seed enables some kinds of faults (a swarm), and lets them meet."""

from random import Random

from holdfast.model.policy import CoordinatorLoss, Policy
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import replace
from holdfast.sim.cluster.faults import LOCAL_KINDS, PRIMARY, ClusterFault, Trouble
from holdfast.sim.cluster.simulation import ClusterSchedule
from holdfast.sim.cluster.systems import systems

_BEGINS = 2 * SECOND  # at first the hosts gather; few faults should fall into that
_FAULTS_FOR = 7 * SECOND
_FAULTS_MAX = 5
_SHARE_OF_MEETINGS = 0.3
_AT_PRIMARY = 0.5  # of the faults: most of what is dangerous happens to whoever serves
_OFTEN = (
    Trouble.AGENT_CRASH,
    Trouble.ISOLATE,
    Trouble.AGENT_PAUSE,
    Trouble.MACHINE_PAUSE,
    Trouble.SWITCHOVER,
)
# Nobody ends a member in time whose agent and guard both stand still on a machine that goes on, but a watchdog device.
_NOT_WITH_GUARD_PAUSE = (
    Trouble.AGENT_CRASH,
    Trouble.AGENT_PAUSE,
    Trouble.MACHINE_PAUSE,
    Trouble.UPGRADE,
)


# What is dangerous when it meets, at whoever serves: the second comes while the first lasts.
_MEETINGS = (
    (Trouble.SLOW_LINKS, Trouble.AGENT_PAUSE),
    (Trouble.SLOW_LINKS, Trouble.ISOLATE),
    (Trouble.SLOW_LINKS, Trouble.STORE_CUT),
    (Trouble.STORE_CUT, Trouble.AGENT_CRASH),
    (Trouble.SWITCHOVER, Trouble.AGENT_PAUSE),
    (Trouble.SWITCHOVER, Trouble.SLOW_STOPS, Trouble.STORE_AWAY),
)
_MEETINGS_WITH_HOLD = (
    (Trouble.STORE_CUT, Trouble.BRIDGE),
    (Trouble.STORE_CUT, Trouble.AGENT_PAUSE),
    (Trouble.STORE_CUT, Trouble.MUTE),
    (Trouble.STORE_CUT, Trouble.APART, Trouble.SLOW_LINKS),
    (Trouble.STORE_CUT_ALL, Trouble.MACHINE_PAUSE),
    (Trouble.STORE_CUT_ALL, Trouble.AGENT_CRASH),
)


def draw(random: Random) -> ClusterSchedule:
    """Return the next schedule: of faults that are drawn each for itself, or of a few that meet."""
    name = random.choice(sorted(systems()))
    files = systems()[name]
    faults = _meeting(random, files[0]) if random.random() < _SHARE_OF_MEETINGS else _swarm(random, files[0])
    end = max(fault.at + fault.lasts for fault in faults)
    return ClusterSchedule(name, files, tuple(faults), end + 100 * MILLISECOND)


def _meeting(random: Random, base: Policy) -> list[ClusterFault]:
    holds = any(s.on_coordinator_loss is CoordinatorLoss.HOLD for s in base.services.values())
    kinds = random.choice(_MEETINGS_WITH_HOLD * 2 + _MEETINGS if holds else _MEETINGS)
    at = 5 * SECOND + random.randrange(0, SECOND, MILLISECOND)  # whoever serves has begun to
    faults: list[ClusterFault] = []
    for kind in kinds:
        drawn = _fault(random, kind, base, 0)
        lasts = random.randrange(2 * SECOND, 6 * SECOND, MILLISECOND)
        faults.append(replace(drawn, at=at, host=PRIMARY, lasts=lasts))
        at += random.randrange(-SECOND // 2, 5 * SECOND // 2, MILLISECOND)
    return sorted(faults, key=lambda fault: fault.at)


def _swarm(random: Random, base: Policy) -> list[ClusterFault]:
    kinds = random.sample(list(Trouble), random.randint(1, 4))
    kinds += random.sample(_OFTEN, random.randint(0, 1))
    if Trouble.GUARD_PAUSE in kinds:
        kinds = [kind for kind in kinds if kind not in _NOT_WITH_GUARD_PAUSE]
    begins = _BEGINS if random.random() < 0.8 else 0
    faults = [
        _fault(random, random.choice(kinds), base, begins) for _ in range(random.randint(1, _FAULTS_MAX))
    ]
    return _crowded(random, sorted(faults, key=lambda fault: fault.at))


def _fault(random: Random, kind: Trouble, base: Policy, begins: Duration) -> ClusterFault:
    host = random.choice(list(base.hosts))
    at = begins + random.randrange(0, _FAULTS_FOR, MILLISECOND)
    lasts = random.choice((300 * MILLISECOND, SECOND, 2 * SECOND, 4 * SECOND)) + random.randrange(SECOND)
    service = random.choice(list(base.services.values()))
    component = f"{service.name}/{random.choice(service.members).name}"
    target = ""
    if kind is Trouble.BRIDGE:
        target = random.choice([name for name in base.hosts if name != host])
    elif kind is Trouble.SWITCHOVER:
        target = service.name
    elif kind in (Trouble.DRAIN, Trouble.LOCAL):
        target = component
        on = service.members[0].on if len(service.members) == 1 else service.member(component[-1:])
        bound = on if isinstance(on, str) else on.on if on is not None else None
        host = bound or host
    local = random.choice(LOCAL_KINDS) if kind is Trouble.LOCAL else None
    if random.random() < _AT_PRIMARY:
        host = PRIMARY
    return ClusterFault(kind, at, host, lasts, target, local)


def _crowded(random: Random, faults: list[ClusterFault]) -> list[ClusterFault]:
    """Return the faults with some moved to just after the one before, and to its host: what breaks things is what meets."""
    crowded: list[ClusterFault] = []
    for fault in faults:
        moved = fault
        if crowded and random.random() < 0.5:
            moved = replace(fault, at=crowded[-1].at + random.randrange(0, 2 * SECOND, MILLISECOND))
            if not fault.target and random.random() < 0.5:
                moved = replace(moved, host=crowded[-1].host)
        crowded.append(moved)
    return sorted(crowded, key=lambda fault: fault.at)
