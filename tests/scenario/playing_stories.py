"""Story files: what happens to a system, and everything that holdfast then does, in plain text.

    # The comment says what the story is about.
    system pair
    +5s crash pair/a
      5.001s promote pair/b epoch 2: ...
      [pair/a down; pair/b up primary; S=0.50]
    +2s end

A line that begins with `+` is what happens, that long after the one before. What is indented is the answer: each
decision with its time and reason, each line of an incident (`==`), and how all is just before the next thing happens.
Nothing in a story is left to chance. Answers are rewritten with `pytest --rewrite-stories` (or REWRITE_STORIES=1)
and reviewed in the diff.
"""

from pathlib import Path
from typing import NamedTuple

from holdfast.model.decisions import Demote, Promote, Route, Start, Stop
from holdfast.model.ids import service_of
from holdfast.model.policy import Mode, Policy
from holdfast.model.standing import Role
from holdfast.model.state import State
from holdfast.model.time import SECOND, parse_duration
from holdfast.sim.faults import Fault, FaultKind, Harm
from holdfast.sim.policies import systems
from holdfast.sim.simulation import Chapter, Schedule, Simulation, Teller, Told
from holdfast.sim.telling import say_decision

FOLDER = Path(__file__).parent


class Step(NamedTuple):
    """One thing that happens."""

    line: str
    at: int
    fault: Fault | None  # None: the end


def stories() -> list[Path]:
    return sorted(FOLDER.glob("*.story"))


def play(text: str) -> str:
    """Return the story with the answers that the core gives today."""
    said = [line for line in text.splitlines() if not line.startswith("  ")]
    system = next(line.removeprefix("system ") for line in said if line.startswith("system "))
    steps = list(_steps(said))
    answers: list[str] = []
    simulation = Simulation(Schedule(system, variants(system), (), 0), None, _teller(answers))
    lines = [line for line in said if not line.startswith("+")]
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        simulation.run_until(step.at)
        lines.append(step.line)
        if step.fault is not None:
            simulation.harming.harm(step.fault)
        simulation.run_until((after.at if after is not None else step.at) - 1)
        lines += [f"  {answer}" for answer in answers]
        answers.clear()
        if after is not None:
            lines.append(f"  [{picture(simulation.shell.state)}]")
    return "\n".join(lines) + "\n"


def variants(system: str) -> dict[str, Policy]:
    return systems()[system]


def _steps(said: list[str]) -> list[Step]:
    at, steps = 0, []
    for line in said:
        if not line.startswith("+"):
            continue
        wait, _, what = line[1:].partition(" ")
        at += parse_duration(wait)
        steps.append(Step(line, at, _fault(what)))
    return steps


def _fault(what: str) -> Fault | None:
    """Read `KIND [TARGET] [for TIME] [to X]`; `begin` and `end` do nothing."""
    if what in ("begin", "end"):
        return None
    kind, *words = what.split()
    lasts, to, target = 0, "", ""
    while words:
        word = words.pop(0)
        if word == "for":
            lasts = parse_duration(words.pop(0))
        elif word == "to":
            to = words.pop(0)
        else:
            target = word
    return Fault(FaultKind(kind), 0, target, lasts, to)


def _teller(answers: list[str]) -> Teller:
    def tell(at: int, told: Told) -> None:
        when = f"{at / SECOND:.3f}s"
        match told:
            case Start() | Stop() | Promote() | Demote() | Route():
                answers.append(f"{when} {say_decision(told)}")
            case Chapter(incident=incident, entry=entry):
                answers.append(f"{when} == {incident} {entry.subject} {entry.stage}: {entry.text}")
            case Harm(fault=fault, note=note) if note:
                answers.append(f"{when} ({fault.kind}: {note})")
            case _:
                pass

    return tell


def picture(state: State) -> str:
    """Return how every component is, in one line."""
    parts = []
    for id_, component in state.components.items():
        service = state.policy.services.get(service_of(id_))
        is_pair = service is not None and service.mode is Mode.ACTIVE_STANDBY
        role = f" {component.role}" if is_pair and component.role is not Role.STANDBY else ""
        flight = f" ({component.flight.action})" if component.flight is not None else ""
        if service is None or not service.is_builtin:
            parts.append(f"{id_} {component.status}{role}{flight}")
    held = [f"{h.action} {h.subject}: {h.rule}" for some in state.withheld.values() for h in some]
    withheld = f"; withheld {', '.join(held)}" if held else ""
    return "; ".join(parts) + f"; S={state.health:.2f}" + withheld
