"""Failover between hosts: what each fault of the host that serves costs the clients.

    python -m bench.failover_hosts [--runs 3] [--only keepalived-1s ...] [--faults kill crash ...]

Clients open one connection every 10 ms, whatever became of the others. The outage is the longest time between two answers that
follow each other, from the fault on. Two owners: for how long two living hosts had the service's address at once.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.failover.contending import at_random_phase
from bench.failover_hosts.contenders import Contender, Kind
from bench.failover_hosts.holdfast_ import Holdfast
from bench.failover_hosts.keepalived import Keepalived
from bench.failover_hosts.pacemaker import Pacemaker
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from tests.lab.history import Asked, Starved, read
from tests.lab.hosts import PYTHON
from tests.lab.judging import outage

LOAD = Path(__file__).parents[2] / "tests" / "lab" / "client_load.py"


def _holdfast(engine: str, lease: str, *, exclusive: bool) -> Callable[[Path], Contender]:
    return lambda folder: Holdfast(folder, engine, lease, exclusive=exclusive)


CONTENDERS: dict[str, tuple[type[Contender], Callable[[Path], Contender]]] = {
    "keepalived-1s": (Keepalived, lambda folder: Keepalived(folder, advert_s=1)),
    "keepalived-0.1s": (Keepalived, lambda folder: Keepalived(folder, advert_s=0.1)),
    "pacemaker-10s": (Pacemaker, lambda folder: Pacemaker(folder, monitor_s=10)),
    "holdfast-warm": (Holdfast, _holdfast("etcd", "2s", exclusive=False)),
    "holdfast-etcd-2s": (Holdfast, _holdfast("etcd", "2s", exclusive=True)),
    "holdfast-etcd-1s": (Holdfast, _holdfast("etcd", "1s", exclusive=True)),
    "holdfast-zk-1s": (Holdfast, _holdfast("zookeeper", "1s", exclusive=True)),
    "pacemaker-1s": (Pacemaker, lambda folder: Pacemaker(folder, monitor_s=1)),
}
WARM_S = 1.5
CALM_S = 1.5  # so long without a failure, and the service is back
SHOWS_WITHIN_S = 15.0  # a fault that no client has noticed by then cost nothing
GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Toll:
    """What one fault cost."""

    outage: Duration | None  # None: it did not come back
    failed: int
    two_owners: Duration
    starved: Duration  # how late the clients were themselves


def measure(name: str, kind: Kind) -> Toll:
    """Raise a contender, break it once, and return what that cost."""
    folder = Path(tempfile.mkdtemp(prefix=f"failover-{name}-"))
    try:
        with CONTENDERS[name][1](folder) as contender:
            contender.set_the_stage(kind)
            return _under_load(contender, kind, folder / "clients.jsonl")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _under_load(contender: Contender, kind: Kind, history: Path) -> Toll:
    at_random_phase(1.0)
    command = [PYTHON, "-I", str(LOAD), contender.address, str(contender.port), str(history)]
    clients = contender.network.hub.start(command, history.with_suffix(".log"))
    contender.until(lambda: len(_answered(history)) > 100, "clients are served", within_s=30)
    at_random_phase(WARM_S)
    fault_at = contender.fault(kind)
    two_owners = _watch(contender, history, fault_at)
    clients.send_signal(signal.SIGTERM)
    clients.wait()
    seen = read(history)
    asked = seen.of(Asked)
    return Toll(
        outage(asked, fault_at),
        sum(not request.is_ok for request in asked if request.at >= fault_at - SECOND),
        two_owners,
        sum(record.late for record in seen.of(Starved) if record.at >= fault_at),
    )


def _watch(contender: Contender, history: Path, fault_at: Instant) -> Duration:
    """Wait until the service is back, or was never away. Return for how long there were two owners."""
    two_owners, before = 0, time.monotonic()
    began = before
    while (now := time.monotonic()) < began + GIVE_UP_S:
        if len(contender.owners()) > 1:
            two_owners += int((now - before) * SECOND)
        before = now
        asked = [request for request in read(history).of(Asked) if request.ended >= fault_at]
        failed_at = max((request.ended for request in asked if not request.is_ok), default=None)
        if failed_at is None and now < began + SHOWS_WITHIN_S and len({request.by for request in asked}) < 2:
            time.sleep(0.1)
            continue
        calm_since = failed_at or fault_at
        if asked and asked[-1].ended - calm_since > CALM_S * SECOND and now > began + 2 * CALM_S:
            break
        time.sleep(0.1)
    return two_owners


def _answered(history: Path) -> list[Asked]:
    return [request for request in read(history).of(Asked) if request.is_ok]


def show(name: str, kind: Kind, tolls: Sequence[Toll]) -> str:
    """Return one row of the table."""
    outages = [toll.outage / MILLISECOND for toll in tolls if toll.outage is not None]
    never = len(tolls) - len(outages)
    median = f"{statistics.median(outages):.0f}" if outages else "-"
    each = " ".join(f"{value:.0f}" for value in outages) + (f" +{never} never" if never else "")
    two = max(toll.two_owners for toll in tolls) / MILLISECOND
    failed = statistics.median(toll.failed for toll in tolls)
    starved = max(toll.starved for toll in tolls) / MILLISECOND
    return (
        f"{kind:12} {name:16} outage ms {median:>6} ({each})  failed {failed:.0f}"
        f"  two owners ms {two:.0f}  clients late ms {starved:.0f}"
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--faults", nargs="+", type=Kind, choices=list(Kind), default=list(Kind))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    for name in options.only:
        CONTENDERS[name][0].prepare()
    tolls: dict[tuple[Kind, str], list[Toll]] = {}
    for _ in range(options.runs):
        for kind in options.faults:
            for name in options.only:
                if kind not in CONTENDERS[name][0].kinds:
                    continue
                toll = measure(name, kind)
                tolls.setdefault((kind, name), []).append(toll)
                print(show(name, kind, [toll]), file=sys.stderr, flush=True)
    print(f"{options.runs} runs each, one connection every 10 ms; load average {os.getloadavg()[0]:.1f}")
    for (kind, name), costs in tolls.items():
        print(show(name, kind, costs))


if __name__ == "__main__":
    main()
