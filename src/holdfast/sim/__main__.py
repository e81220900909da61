"""Run the simulator: `python -m holdfast.sim --seeds 1000`; a failing seed again: `--seed 7 --trace`."""

import argparse
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations

from holdfast.sim.cluster import accounting
from holdfast.sim.cluster.running import ClusterRun
from holdfast.sim.cluster.running import run_seed as run_cluster
from holdfast.sim.cluster.telling import ClusterTimeline, say_cluster_fault
from holdfast.sim.faults import FaultKind
from holdfast.sim.running import Run, run_seed
from holdfast.sim.telling import Timeline, say_fault, stamp

_BATCH = 50


def main() -> int:
    """Return 0 if every seed kept every rule, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many schedules (default 200)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default 1)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument(
        "--trace", action="store_true", help="with --seed: everything that happens, line by line"
    )
    parser.add_argument("--cluster", action="store_true", help="schedules of several hosts")
    asked = parser.parse_args()
    if asked.cluster:
        return _clusters(asked)
    if asked.seed is not None:
        return _replay(asked.seed, is_full=asked.trace)
    began, burnt = time.monotonic(), time.process_time()  # noqa: TID251 - a measurement, not part of the simulation
    runs = list(_play(asked.first, asked.seeds, asked.jobs))
    took = time.monotonic() - began  # noqa: TID251 - the same
    # Processes of their own are not counted by process_time; with them the wall clock has to do.
    core_s = took * asked.jobs if asked.jobs > 1 else time.process_time() - burnt
    _account(runs, took, core_s)
    failed = [run for run in runs if run.broke]
    if not failed:
        return 0
    print(f"\n{len(failed)} failed: {', '.join(f'{run.seed} ({run.broke})' for run in failed[:20])}\n")
    _replay(failed[0].seed, is_full=True)
    return 1


def _clusters(asked: argparse.Namespace) -> int:
    if asked.seed is not None:
        return _replay_cluster(asked.seed, is_full=asked.trace)
    began = time.monotonic()  # noqa: TID251 - a measurement, not part of the simulation
    runs: list[ClusterRun] = []
    for run in accounting.play(asked.first, asked.seeds, asked.jobs):
        runs.append(run)
        if run.broke:
            print(f"{run.seed} ({run.system}) {run.broke}: {run.text}", flush=True)
    took = time.monotonic() - began  # noqa: TID251 - the same
    count, turns = len(runs), sum(run.turns for run in runs)
    rate = count / took / max(1, asked.jobs)
    print(f"{count} schedules in {took:.1f} s: {rate:.0f} schedules/s/core, {turns / count:.0f} turns each")
    print(*accounting.summed_up(runs), sep="\n")
    failed = [run for run in runs if run.broke]
    if not failed:
        return 0
    print(f"\n{len(failed)} failed: {', '.join(f'{run.seed} ({run.broke})' for run in failed[:20])}\n")
    return _replay_cluster(failed[0].seed, is_full=True)


def _replay_cluster(seed: int, *, is_full: bool) -> int:
    run = run_cluster(seed, lambda since: ClusterTimeline(print, since, is_full=is_full))
    print(f"\nseed {seed}: {run.system}, {run.turns} turns, {len(run.faults)} faults:")
    for fault in run.faults:
        print(f"  {stamp(fault.at)} {say_cluster_fault(fault)}")
    print(f"{run.broke}: {run.text}" if run.broke else "every rule was kept, and all was well in the end")
    print(f"replay: python -m holdfast.sim --cluster --seed {seed} --trace")
    return 1 if run.broke else 0


def _play(first: int, seeds: int, jobs: int) -> Iterator[Run]:
    batches = [range(at, min(at + _BATCH, first + seeds)) for at in range(first, first + seeds, _BATCH)]
    if jobs <= 1:
        for batch in batches:
            yield from _batch(batch)
        return
    with ProcessPoolExecutor(min(jobs, os.cpu_count() or 1)) as pool:
        for runs in pool.map(_batch, batches):
            yield from runs


def _batch(seeds: range) -> list[Run]:
    # What a schedule leaves behind has few cycles; collecting once in a while is enough, and a fifth quicker.
    gc.disable()
    runs = [run_seed(seed) for seed in seeds]
    gc.collect()
    return runs


def _account(runs: list[Run], took: float, core_s: float) -> None:
    turns = sum(run.turns for run in runs)
    kinds = Counter(kind for run in runs for kind in {fault.kind for fault in run.faults})
    pairs = {pair for run in runs for pair in combinations(sorted({f.kind for f in run.faults}), 2)}
    possible = len(FaultKind) * (len(FaultKind) - 1) // 2
    print(
        f"{len(runs)} schedules in {took:.1f} s: {len(runs) / core_s:.0f} schedules/s/core, "
        f"{turns / len(runs):.0f} turns each, {turns / core_s:.0f} turns/s/core"
    )
    print(f"{len(kinds)} kinds of faults, {len(pairs)} of {possible} pairs; schedules with each:")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    systems = Counter(run.system for run in runs)
    print("systems: " + ", ".join(f"{name} {count}" for name, count in systems.most_common()))


def _replay(seed: int, *, is_full: bool) -> int:
    run = run_seed(seed, tell=Timeline(print, is_full=is_full))
    print(f"\nseed {seed}: {run.system}, {run.turns} turns, {len(run.faults)} faults:")
    for fault in run.faults:
        print(f"  {stamp(fault.at)} {say_fault(fault, '')}")
    print(f"{run.broke}: {run.text}" if run.broke else "every rule was kept, and all was well in the end")
    print(f"replay: python -m holdfast.sim --seed {seed} --trace")
    return 1 if run.broke else 0


if __name__ == "__main__":
    sys.exit(main())
