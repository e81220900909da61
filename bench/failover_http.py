"""Failover of an HTTP service behind HAProxy: what a fault of the active member costs the clients.

200 requests/s, open loop, a new connection each, 20 ms of service time; `kill -9` and SIGSTOP of the active
backend; side by side in one run, interleaved:

  defaults   HAProxy alone, default checks (inter 2s, fall 3), the second server as `backup`
  fastest    HAProxy alone, its fastest sensible checks: inter 100ms, fastinter 20ms, fall 2, L7 check and retries
  holdfast   the file of `holdfast demo`, nothing tuned

    python bench/failover_http.py [--runs 5] [--only holdfast]
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.demo.load import Load, Toll, toll
from holdfast.demo.ports import free_ports
from holdfast.demo.running import FILE
from holdfast.demo.stage import Stage, send_signal, until

RATE = 200
FAULTS = {"kill -9": signal.SIGKILL, "SIGSTOP": signal.SIGSTOP}

PLAIN = """
global
    maxconn 4000
defaults
    mode http
    timeout connect {connect}
    timeout client 10s
    timeout server 10s
frontend front
    bind 127.0.0.1:{front}
    default_backend web
backend web
    option httpchk GET /
    {lines}
    server web-1 127.0.0.1:{web1} check {check}
    server web-2 127.0.0.1:{web2} check {check} {backup}
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run HAProxy alone."""

    check: str
    lines: str
    backup: str
    connect: str
    lasts_s: float  # how long its slowest failover takes, generously


ALONE = {
    "defaults": Setting("inter 2s fall 3 rise 2", "", "backup", "1s", 14.0),
    "fastest": Setting(
        "inter 100ms fastinter 20ms downinter 100ms fall 2 rise 2 on-marked-down shutdown-sessions",
        "balance first\n    timeout check 100ms\n    option redispatch 1\n    retries 3\n"
        "    retry-on conn-failure empty-response response-timeout",
        "",
        "50ms",
        4.0,
    ),
}


@contextlib.asynccontextmanager
async def haproxy_alone(setting: Setting) -> AsyncIterator[tuple[int, int]]:
    """Run HAProxy with two backends; yield its port and the first backend's pid."""
    front, web1, web2 = free_ports(3)
    text = PLAIN.format(
        front=front,
        web1=web1,
        web2=web2,
        check=setting.check,
        lines=setting.lines,
        backup=setting.backup,
        connect=setting.connect,
    )
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        file = Path(folder) / "haproxy.cfg"
        file.write_text(text)
        web = (sys.executable, "-m", "holdfast.demo.web", "--takes-ms", "20", "--port")
        backends = [_run(*web, str(port)) for port in (web1, web2)]
        await until(lambda: _listens(web1) and _listens(web2), "the backends", within_s=20)
        balancer = _run("haproxy", "-db", "-f", str(file))
        try:
            await until(lambda: _listens(front), "haproxy", within_s=20)
            await asyncio.sleep(1.0)
            yield front, backends[0].pid
        finally:
            for process in (balancer, *backends):
                process.kill()
                process.wait()


def _run(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def run_alone(name: str, which: signal.Signals) -> Toll:
    """Return what one fault costs with HAProxy alone."""
    setting = ALONE[name]
    async with haproxy_alone(setting) as (front, pid):
        load = Load(front, RATE)
        load.start()
        await asyncio.sleep(1.0 + random.random())
        fault_at = time.monotonic()
        os.kill(pid, which)
        await asyncio.sleep(setting.lasts_s)
        ends = time.monotonic()
        await load.stop()
        return toll(load.requests, fault_at, until=ends)


async def run_holdfast(which: signal.Signals) -> Toll:
    """Return what one fault costs with holdfast."""
    front, web1, web2, worker = free_ports(4)
    text = FILE.format(front=front, web1=web1, web2=web2, worker=worker, python=sys.executable)
    async with Stage(text) as stage:
        await stage.all_up()
        load = Load(front, RATE)
        load.start()
        await asyncio.sleep(1.0 + random.random())
        fault_at = send_signal(stage.active_member("web"), which)
        await asyncio.sleep(4.0)
        ends = time.monotonic()
        await load.stop()
        return toll(load.requests, fault_at, until=ends)


def show(name: str, fault: str, tolls: list[Toll]) -> str:
    """Return one row of the table: median/max over the runs."""

    def both(values: list[float]) -> str:
        return f"{statistics.median(values):.0f}/{max(values):.0f}"

    return (
        f"{fault:8} {name:10} failed {both([t.failed for t in tolls]):>10}"
        f"  beyond in flight {both([max(0, t.failed - t.in_flight) for t in tolls]):>10}"
        f"  outage ms {both([t.outage_ms for t in tolls]):>13}"
        f"  longest gap ms {both([t.longest_gap_ms for t in tolls]):>13}"
        f"  slowest answer ms {both([t.slowest_ms for t in tolls]):>11}"
    )


async def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=[*ALONE, "holdfast"])
    options = parser.parse_args()
    names = [name for name in (*ALONE, "holdfast") if options.only in (None, name)]
    tolls: dict[tuple[str, str], list[Toll]] = {}
    for _ in range(options.runs):
        for fault, which in FAULTS.items():
            for name in names:
                cost = await (run_holdfast(which) if name == "holdfast" else run_alone(name, which))
                tolls.setdefault((fault, name), []).append(cost)
    load = os.getloadavg()[0]
    print(f"{RATE} requests/s, {options.runs} runs each, median/max; load average {load:.1f}")
    for (fault, name), costs in sorted(tolls.items()):
        print(show(name, fault, costs))


if __name__ == "__main__":
    asyncio.run(main())
