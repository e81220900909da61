"""Running seeds: each is one schedule, played through its faults and until all is well again."""

from random import Random

from holdfast.model.value import Value
from holdfast.sim.checking import Violation
from holdfast.sim.drawing import draw
from holdfast.sim.faults import Fault
from holdfast.sim.policies import System
from holdfast.sim.simulation import Simulation, Teller


class Run(Value, frozen=True):
    """How one seed went."""

    seed: int
    system: str
    faults: tuple[Fault, ...]
    turns: int
    broke: str = ""  # the rule; empty: none
    text: str = ""


def run_seed(seed: int, of: System | None = None, tell: Teller | None = None) -> Run:
    """Play the schedule of this seed."""
    random = Random(seed)  # noqa: S311 - chance to be repeated, no secret
    schedule = draw(random, of)
    simulation = Simulation(schedule, random, tell)
    broke = text = ""
    try:
        simulation.settle()
    except Violation as violation:
        broke, text = violation.rule, violation.text
    except AssertionError as error:
        broke, text = "assertion", place_of(error)
    return Run(seed, schedule.name, schedule.faults, simulation.shell.turns, broke, text)


def place_of(error: BaseException) -> str:
    """Return where an assertion of ours failed."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (
        f"{trace.tb_frame.f_code.co_filename.rpartition('holdfast/')[2]}:{trace.tb_lineno}" if trace else "?"
    )
    return f"{type(error).__name__} at {where} {error}"
