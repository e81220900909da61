"""Several hosts keep every rule under schedules of faults, and mend everything once they end.

A failing seed prints how to replay it. HOLDFAST_CLUSTER_SEEDS sets how many are played.
"""

import os
from random import Random

import pytest

from holdfast.model.time import MILLISECOND, SECOND
from holdfast.sim.cluster import accounting
from holdfast.sim.cluster.drawing import draw
from holdfast.sim.cluster.faults import ClusterFault, Trouble
from holdfast.sim.cluster.running import ClusterRun, play, run_seed
from holdfast.sim.cluster.simulation import ClusterSchedule
from holdfast.sim.cluster.systems import systems

SEEDS = int(os.environ.get("HOLDFAST_CLUSTER_SEEDS", "20000"))
BATCHES = 8
HOLDING = [name for name in systems() if "hold" in name]


@pytest.mark.slow
@pytest.mark.timeout(600)  # many minutes of two hosts' cores, when others use them too
@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_schedule_of_several_hosts_breaks_a_rule(batch: int) -> None:
    each = SEEDS // BATCHES
    runs = list(accounting.play(batch * each, each, jobs=os.cpu_count() or 1))
    failed = [run for run in runs if run.broke]
    told = [
        f"{run.broke}: {run.text}\n  python -m holdfast.sim --cluster --seed {run.seed} --trace"
        for run in failed
    ]
    assert not failed, "\n".join(told)
    gap = accounting.smallest(run.gap_min for run in runs)
    assert gap is None or gap > 50 * MILLISECOND  # a margin that is not used up by clocks two per cent apart


def outage(name: str, seed: int, kind: Trouble) -> ClusterRun:
    """Play an outage of the coordinator of 45 s and nothing else."""
    fault = ClusterFault(kind, 6 * SECOND, "a", 45 * SECOND)
    schedule = ClusterSchedule(name, systems()[name], (fault,), 52 * SECOND)
    return play(schedule, Random(seed), seed)


@pytest.mark.parametrize("kind", [Trouble.STORE_AWAY, Trouble.STORE_CUT_ALL])
@pytest.mark.parametrize("name", HOLDING)
def test_with_hold_an_outage_of_the_coordinator_interrupts_no_service(name: str, kind: Trouble) -> None:
    for seed in range(8):
        run = outage(name, seed, kind)
        assert not run.broke, (seed, run.text)
        assert run.interruptions == 0, seed


def test_without_hold_it_does() -> None:
    assert all(outage("pair", seed, Trouble.STORE_AWAY).interruptions for seed in range(5))


@pytest.mark.parametrize("name", sorted(systems()))
def test_an_upgrade_of_all_agents_interrupts_no_service(name: str) -> None:
    for seed in range(6):
        fault = ClusterFault(Trouble.UPGRADE, 6 * SECOND, "a")
        run = play(ClusterSchedule(name, systems()[name], (fault,), 14 * SECOND), Random(seed), seed)
        assert not run.broke, (seed, run.text)
        assert run.interruptions == 0, seed


def test_a_seed_of_several_hosts_plays_the_same_each_time() -> None:
    for seed in range(10):
        assert run_seed(seed) == run_seed(seed)


def test_every_kind_of_trouble_is_drawn() -> None:
    assert {fault.kind for seed in range(400) for fault in run_seed_faults(seed)} == set(Trouble)


def run_seed_faults(seed: int) -> tuple[ClusterFault, ...]:

    return draw(Random(seed)).faults
