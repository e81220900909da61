"""One random sequence of faults on one database, from nothing to the verdict."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.lab.database_faults import Play
from tests.lab.database_stage import Stage, Told

SEEDS: Final = [int(seed) for seed in os.environ.get("HOLDFAST_LAB_SEEDS", "1,2").split(",")]
ONLY: Final = os.environ.get("HOLDFAST_LAB_FAULT")
ROUNDS: Final = 2
TWO_AT_ONCE: Final = 0.6
SECOND_WITHIN_S: Final = 3.0  # of the first: while the failover is under way
LASTS_S: Final = (0.5, 5.0)

Property = Callable[[str, object], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a sequence's number decides before anything is broken."""

    seed: int
    what: str  # for people
    chance: Random
    on_coordinator_loss: str
    wiring: Mapping[str, Any]


def play_through(stage: Stage, drawn: Drawn, record_property: Property) -> None:
    """Raise the database up, play, and hold it to what the judges say."""
    told: Told | None = None
    with stage:
        stage.raise_up(drawn.wiring, drawn.on_coordinator_loss)
        play = Play(stage, drawn.chance)
        try:
            for _ in range(ROUNDS):
                _play_round(play)
                stage.settle()
            told = stage.judged()
        finally:
            record_property("sequence", _row(drawn, play, told))
    said = "\n".join(f"{name}: {each}" for name, each in told.judgements.items())
    sys.stderr.write(f"{play.played}\n{said}\n")
    assert not told.not_kept, f"seed {drawn.seed}, after {play.played}:\n{told.not_kept}"


def _play_round(play: Play) -> None:
    """Strike once or twice, and mend."""
    chance = play.chance
    if ONLY:
        play.inflict(ONLY, play.stage.primary())
    else:
        play.strike()
        if chance.random() < TWO_AT_ONCE:
            time.sleep(chance.uniform(0, SECOND_WITHIN_S))
            play.strike()
    time.sleep(chance.uniform(*LASTS_S))
    play.mend()


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
