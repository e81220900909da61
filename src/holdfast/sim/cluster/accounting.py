"""Many seeds of several hosts: played on all cores, and summed up in some lines."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context

from holdfast.model.time import MILLISECOND, Duration
from holdfast.sim.cluster.faults import Trouble
from holdfast.sim.cluster.running import ClusterRun, run_seed

_BATCH = 100


def play(first: int, seeds: int, jobs: int) -> Iterator[ClusterRun]:
    """Play these seeds, in their order."""
    batches = [range(at, min(at + _BATCH, first + seeds)) for at in range(first, first + seeds, _BATCH)]
    if jobs <= 1:
        for batch in batches:
            yield from _batch(batch)
        return
    # Forked from a process with threads, a child may wait for a lock that nobody holds any more.
    with ProcessPoolExecutor(min(jobs, os.cpu_count() or 1), get_context("spawn")) as pool:
        for runs in pool.map(_batch, batches):
            yield from runs


def _batch(seeds: range) -> list[ClusterRun]:
    # As with one host: collecting once in a while is enough.
    gc.disable()
    runs = [run_seed(seed) for seed in seeds]
    gc.collect()
    return runs


def smallest(gaps: Iterator[Duration | None]) -> Duration | None:
    """Return the smallest of the gaps; None if there was none."""
    return min((gap for gap in gaps if gap is not None), default=None)


def summed_up(runs: list[ClusterRun]) -> Iterator[str]:
    """Return what the runs were, in lines."""
    handovers = sum(run.handovers for run in runs)
    ran_out = smallest(run.gap_min for run in runs)
    planned = smallest(run.planned_gap_min for run in runs)
    yield (
        f"{handovers} handovers between hosts; smallest gap {_shown(ran_out)} after a lease ran out, "
        f"{_shown(planned)} after one was given up or revoked"
    )
    stale = max((run.stale_max for run in runs), default=0)
    yield f"longest that a member outlived its deadline after its machine stood still: {_shown(stale)}"
    kinds = Counter(kind for run in runs for kind in {fault.kind for fault in run.faults})
    pairs = {pair for run in runs for pair in combinations(sorted({f.kind for f in run.faults}), 2)}
    yield f"{len(kinds)} kinds of faults, {len(pairs)} of {len(Trouble) * (len(Trouble) - 1) // 2} pairs; schedules with each:"
    yield "  " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    systems = Counter(run.system for run in runs)
    yield "systems: " + ", ".join(f"{name} {count}" for name, count in systems.most_common())


def _shown(gap: Duration | None) -> str:
    return "none" if gap is None else f"{gap / MILLISECOND:.1f} ms"
