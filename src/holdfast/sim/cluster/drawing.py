"""Drawing: from a seed to a schedule of several hosts. Each seed enables some kinds of faults (a swarm), and lets them meet."""

from random import Random

from holdfast.model.policy import Policy
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import replace
from holdfast.sim.cluster.faults import LOCAL_KINDS, PRIMARY, ClusterFault, Trouble
from holdfast.sim.cluster.meetings import MEETINGS, meet
from holdfast.sim.cluster.simulation import ClusterSchedule
from holdfast.sim.cluster.systems import systems

_BEGINS = 2 * SECOND  # at first the hosts gather; few faults should fall into that
_FAULTS_FOR = 5 * SECOND
_FAULTS_MAX = 5
_LARGE = ("five_hold", "placed")  # many hosts have many beats: a schedule of theirs takes three times as long
_SHARE_OF_LARGE = 0.3
_SHARE_OF_MEETINGS = 0.4
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


def draw(random: Random) -> ClusterSchedule:
    """Return the next schedule: of faults that are drawn each for itself, or of a few that meet."""
    meeting = random.choice(MEETINGS) if random.random() < _SHARE_OF_MEETINGS else None
    names = [name for name in sorted(systems()) if name not in _LARGE or random.random() < _SHARE_OF_LARGE]
    name = random.choice([n for n in names if "hold" in n] if meeting and meeting.needs_hold else names)
    files = systems()[name]
    faults = _swarm(random, files[0]) if meeting is None else meet(meeting, random, files[0])
    end = max(fault.at + fault.lasts for fault in faults)
    return ClusterSchedule(name, files, tuple(faults), end + 100 * MILLISECOND)


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
