"""One random sequence of faults on one database, from nothing to the verdict."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from tests.lab.database_faults import Play, Round, Strike, draw
from tests.lab.database_stage import Stage, Told
from tests.lab.judging import BrokenPromiseError

ONLY: Final = os.environ.get("HOLDFAST_LAB_FAULT")

Property = Callable[[str, object], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a sequence's number decides before anything is broken."""

    seed: int
    what: str  # for people
    on_coordinator_loss: str
    wiring: Mapping[str, Any]
    rounds: tuple[Round, ...]


def seeds(some: str) -> list[int]:
    """Return which sequences are played; `some` are for a test run that names none."""
    return [int(seed) for seed in os.environ.get("HOLDFAST_LAB_SEEDS", some).split(",")]


def drawn_from(seed: int, wirings: Mapping[str, Mapping[str, Any]]) -> Drawn:
    """Draw a sequence by its number. `wirings`: of which keys of the server one is drawn, by name."""
    chance = Random(seed)
    on_coordinator_loss, what = chance.choice(["stop", "hold"]), chance.choice(list(wirings))
    rounds = draw(chance)
    if ONLY is not None:
        rounds = tuple(
            replace(each, strikes=(Strike(ONLY, is_at_primary=True, number=0),)) for each in rounds
        )
    return Drawn(seed, what, on_coordinator_loss, wirings[what], rounds)


def play_through(stage: Stage, drawn: Drawn, record_property: Property) -> None:
    """Raise the database up, play, and hold it to what the judges say."""
    told: Told | None = None
    with stage:
        stage.raise_up(drawn.wiring, drawn.on_coordinator_loss)
        play = Play(stage)
        try:
            for each in drawn.rounds:
                play.play(each)
                stage.settle()
            told = stage.judged()
        finally:
            record_property("sequence", _row(drawn, play, told))
    said = "\n".join(f"{name}: {each}" for name, each in told.judgements.items())
    sys.stderr.write(f"{play.played}\n{said}\n")
    if told.not_kept:
        raise BrokenPromiseError(f"seed {drawn.seed}, after {play.played}:\n{told.not_kept}")


def _row(drawn: Drawn, play: Play, told: Told | None) -> list[str]:
    """Return a line of the table: seed, outage, lost, whole again, faults."""
    seed, faults = (
        f"{drawn.seed:4}",
        f"({drawn.what}, {drawn.on_coordinator_loss}) {', '.join(play.played)}",
    )
    if told is None:
        return [seed, "-", "-", "-", faults]
    whole = "-" if told.redundant_s is None else f"{told.redundant_s:.1f} s"
    return [seed, f"{told.outage_s:.1f} s", f"{told.lost} of {told.acknowledged}", whole, faults]
