"""Running seeds of several hosts: each is one schedule, played through its faults and until all is well again."""

from collections.abc import Callable
from random import Random

from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value
from holdfast.sim.checking import Violation
from holdfast.sim.clockwork import BEGINNING, Clockwork
from holdfast.sim.cluster.drawing import draw
from holdfast.sim.cluster.faults import ClusterFault
from holdfast.sim.cluster.host import Tell
from holdfast.sim.cluster.simulation import ClusterSchedule, ClusterSimulation
from holdfast.sim.running import place_of


class ClusterRun(Value, frozen=True):
    """How one seed went."""

    seed: int
    system: str
    faults: tuple[ClusterFault, ...]
    turns: int
    gap_min: Duration | None  # the smallest time between primaries of two hosts, when a lease ran out
    planned_gap_min: Duration | None  # when it was given up
    handovers: int
    interruptions: int  # how often a member of an exclusive service ended to serve
    stale_max: Duration
    broke: str = ""  # the rule; empty: none
    text: str = ""


Teller = Callable[[Callable[[], Instant]], Tell]  # from the time since the beginning to who tells


def run_seed(seed: int, teller: Teller | None = None) -> ClusterRun:
    """Play the schedule of this seed."""
    random = Random(seed)  # noqa: S311 - chance to be repeated, no secret
    return play(draw(random), random, seed, teller)


def play(
    schedule: ClusterSchedule, random: Random, seed: int = 0, teller: Teller | None = None
) -> ClusterRun:
    """Play this schedule."""
    clock = Clockwork()
    tell = teller(lambda: clock.now - BEGINNING) if teller is not None else None
    simulation = ClusterSimulation(schedule, random, clock, tell)
    judging = simulation.judging
    broke = text = ""
    try:
        simulation.settle()
    except Violation as violation:
        broke, text = violation.rule, violation.text
    except AssertionError as error:
        broke, text = "assertion", place_of(error)
    return ClusterRun(
        seed,
        schedule.name,
        schedule.faults,
        simulation.turns,
        judging.gap_min,
        judging.planned_gap_min,
        judging.handovers,
        judging.interruptions,
        judging.stale_max,
        broke,
        text,
    )
