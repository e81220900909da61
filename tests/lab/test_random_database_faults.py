"""Random sequences of faults on PostgreSQL on three hosts under load: whatever comes, no promise is broken and everything comes back.

`make lab` plays thirty and shows what each cost; the test run plays a few. A sequence is drawn from its number, so one that found something can be played again:
HOLDFAST_LAB_SEEDS=17 pytest tests/lab/test_random_database_faults.py -rP
One kind of fault alone: HOLDFAST_LAB_FAULT=freeze_server; one kind of commit: HOLDFAST_LAB_COMMIT=quorum
"""

import os
import sys
import time
from collections.abc import Callable
from random import Random

import pytest

from tests.lab.database_faults import Play
from tests.lab.database_kinds import PostgresKind
from tests.lab.database_stage import Stage, Told
from tests.lab.hosts import Cluster

SEEDS = [int(seed) for seed in os.environ.get("HOLDFAST_LAB_SEEDS", "1,2").split(",")]
ONLY = os.environ.get("HOLDFAST_LAB_FAULT")
COMMITS = os.environ.get("HOLDFAST_LAB_COMMIT", "asynchronous,synchronous,quorum").split(",")
ROUNDS = 2
SECOND_WITHIN_S = 3.0  # of the first: while the failover is under way
LASTS_S = (0.5, 5.0)


def play_round(play: Play) -> None:
    """Strike once or twice, and mend."""
    chance = play.chance
    if ONLY:
        play.inflict(ONLY, play.stage.primary())
    else:
        play.strike()
        if chance.random() < 0.6:
            time.sleep(chance.uniform(0, SECOND_WITHIN_S))
            play.strike()
    time.sleep(chance.uniform(*LASTS_S))
    play.mend()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_the_database_keeps_its_promises(
    etcd3: Cluster, seed: int, record_property: Callable[[str, object], None]
) -> None:
    chance = Random(seed)
    on_coordinator_loss, commit = chance.choice(["stop", "hold"]), chance.choice(COMMITS)
    with Stage(etcd3, PostgresKind(etcd3), is_lossless=commit != "asynchronous") as stage:
        stage.raise_up({} if commit == "asynchronous" else {"commit": commit}, on_coordinator_loss)
        play = Play(stage, chance)
        told: Told | None = None
        try:
            for _ in range(ROUNDS):
                play_round(play)
                stage.settle()
            told = stage.judged()
        finally:
            record_property("sequence", row(seed, f"{commit}, {on_coordinator_loss}", play, told))
        said = "\n".join(f"{name}: {each}" for name, each in told.judgements.items())
        sys.stderr.write(f"{play.played}\n{said}\n")
        assert not told.not_kept, f"seed {seed}, after {play.played}:\n{told.not_kept}"


def row(seed: int, settings: str, play: Play, told: Told | None) -> list[str]:
    """Return a line of the table: seed, outage, lost, whole again, faults."""
    faults = f"({settings}) {', '.join(play.played)}"
    if told is None:
        return [f"{seed:4}", "-", "-", "-", faults]
    whole = "-" if told.redundant_s is None else f"{told.redundant_s:.1f} s"
    lost = f"{told.lost} of {told.acknowledged}"
    return [f"{seed:4}", f"{told.outage_s:.1f} s", lost, whole, faults]
