"""What one check costs: our probe engine beside HAProxy's checks, same targets, same pace, same minute.

Each prober asks every target once per second, alone on one CPU; the targets are one HAProxy on another CPU that
answers on all of 127.0.0.0/8. Only the prober's own CPU time counts, as the kernel accounts it. Rounds are
interleaved, so that whatever else this machine does falls on all alike; the table shows medians.

All runs in a network namespace of its own where that is permitted: nothing else is counted, and nothing is disturbed.

    python bench/probes.py [--rounds 3] [--seconds 3] [--targets 2000]
"""

import argparse
import asyncio
import fcntl
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Observation, Outcome
from holdfast.model.policy import HttpCheck, ProbePolicy, Purpose, TcpCheck
from holdfast.probing import ProbeEngine
from holdfast.probing.engine import FRESH_EVERY

PORT = 9000
WARM_UP = 2.5  # seconds: all targets asked twice, all connections made
NEW = "holdfast, new"  # as HAProxy does it: a new connection for every check
INSIDE = "HOLDFAST_BENCH_NAMESPACE"


class Result(NamedTuple):
    """What one prober did in one round."""

    checks: int
    failed: int
    cpu: float
    wall: float

    @property
    def per_cpu_second(self) -> float:
        """Return how many checks one second of CPU time is good for."""
        return self.checks / self.cpu

    @property
    def microseconds(self) -> float:
        """Return the CPU time of one check."""
        return self.cpu / self.checks * 1e6


def address(index: int) -> str:
    return f"127.1.{index // 250}.{1 + index % 250}"


# --- ours, in a process of its own --------------------------------------------------------------------


async def probe(kind: str, targets: int, seconds: float) -> Result:
    engine = ProbeEngine(random.Random(1), fresh_every=1 if kind == "http-new" else FRESH_EVERY)
    checks = failed = 0

    def count(_: ComponentId, __: str, ___: Incarnation, observation: Observation) -> None:
        nonlocal checks, failed
        checks += 1
        failed += observation.outcome is not Outcome.PASSED

    engine.watch(count)
    for index in range(targets):
        host = address(index)
        check = TcpCheck(host, PORT) if kind == "tcp" else HttpCheck(host, PORT, "/health")
        engine.set(f"bench/{index}", "1:1", (ProbePolicy("check", Purpose.READINESS, check),))
    await asyncio.sleep(WARM_UP)
    checks = failed = 0
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    result = Result(checks, failed, time.process_time() - cpu, time.perf_counter() - began)
    await engine.close()
    return result


def ours(kind: str, arguments: argparse.Namespace) -> Result:
    command = [sys.executable, __file__, "--prober", kind]
    command += ["--targets", str(arguments.targets), "--seconds", str(arguments.seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Result(*json.loads(done.stdout))


# --- HAProxy ------------------------------------------------------------------------------------------


@contextmanager
def haproxy(folder: Path, name: str, configuration: str, cpu: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run HAProxy on one CPU; end it by the pid that we started."""
    path = folder / f"{name}.cfg"
    path.write_text(configuration)
    process = subprocess.Popen(
        ["haproxy", "-db", "-q", "-f", str(path)],
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),  # noqa: PLW1509 - this program has one thread
        stderr=subprocess.DEVNULL,
    )
    try:
        while not ask(folder / f"{name}.sock", b"show info\n"):
            if process.poll() is not None:
                sys.exit(f"HAProxy did not start with {path}: try `haproxy -db -f` with it")
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def target(folder: Path) -> str:
    return f"""
global
    nbthread 1
    maxconn 6000
    stats socket {folder}/target.sock mode 600 level admin
defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend target
    bind 0.0.0.0:{PORT}
    http-request return status 200 content-type text/plain string ok
"""


def prober(folder: Path, kind: str, targets: int) -> str:
    option = "option httpchk GET /health" if kind == "http" else ""
    servers = "\n".join(f"    server s{i} {address(i)}:{PORT} check" for i in range(targets))
    return f"""
global
    nbthread 1
    maxconn 2000
    stats socket {folder}/prober.sock mode 600 level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 5s
    timeout server 5s
    timeout check 500ms
backend checked
    {option}
    default-server inter 1s fall 3 rise 2
{servers}
"""


def theirs(kind: str, arguments: argparse.Namespace, folder: Path) -> Result:
    with haproxy(folder, "prober", prober(folder, kind, arguments.targets), cpu=0) as process:
        time.sleep(WARM_UP)
        began, cpu, opened = time.perf_counter(), cpu_seconds(process.pid), connections_opened()
        time.sleep(arguments.seconds)
        checks = connections_opened() - opened
        result = cpu_seconds(process.pid) - cpu, time.perf_counter() - began
        up = ask(folder / "prober.sock", b"show stat -1 4 -1\n").count(b",UP,")
        return Result(checks, arguments.targets - up, *result)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of `pid`, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def connections_opened() -> int:
    """Return how many connections were begun in this network namespace."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("ActiveOpens")])


def ask(path: Path, command: bytes) -> bytes:
    """Return the answer of the HAProxy that listens at `path`, nothing while it does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return b""
        connection.sendall(command)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


# --- the measurement ----------------------------------------------------------------------------------


def enter_namespace() -> None:
    """Begin anew in a network namespace of our own, if that is permitted."""
    if INSIDE not in os.environ:
        trial = ["unshare", "--net", "true"]
        if (
            shutil.which("unshare") is None
            or subprocess.run(trial, check=False, stderr=subprocess.DEVNULL).returncode
        ):
            print(
                "note: no network namespace of our own; other traffic on this host is counted as HAProxy's checks"
            )
            return
        os.execvpe(  # noqa: S606 - ourselves
            "unshare", ["unshare", "--net", sys.executable, *sys.argv], os.environ | {INSIDE: "1"}
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up = struct.pack("16sh", b"lo", 1 | 64)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS


def measure(arguments: argparse.Namespace) -> dict[tuple[str, str], list[Result]]:
    results: dict[tuple[str, str], list[Result]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with haproxy(folder, "target", target(folder), cpu=1 % (os.cpu_count() or 1)):
            for number in range(arguments.rounds):
                for kind in ("tcp", "http"):
                    results.setdefault((kind, "HAProxy"), []).append(theirs(kind, arguments, folder))
                    results.setdefault((kind, "holdfast"), []).append(ours(kind, arguments))
                results.setdefault(("http", NEW), []).append(ours("http-new", arguments))
                print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    return results


def show(results: dict[tuple[str, str], list[Result]]) -> None:
    print(
        f"{'check':6}{'prober':14}{'checks/s':>10}{'us/check':>10}{'checks/CPU-s':>14}{'failed':>8}{'ratio':>8}"
    )
    for (kind, name), rounds in results.items():
        ratio = statistics.median(
            mine.per_cpu_second / other.per_cpu_second
            for mine, other in zip(rounds, results[kind, "HAProxy"], strict=True)
        )
        print(
            f"{kind:6}{name:14}"
            f"{statistics.median(r.checks / r.wall for r in rounds):10.0f}"
            f"{statistics.median(r.microseconds for r in rounds):10.1f}"
            f"{statistics.median(r.per_cpu_second for r in rounds):14.0f}"
            f"{sum(r.failed for r in rounds):8}{ratio:8.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--targets", type=int, default=2000, help="asked once per second (default 2000)")
    parser.add_argument("--prober", choices=("tcp", "http", "http-new"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prober:
        with suppress(OSError):
            os.sched_setaffinity(0, {0})
        print(json.dumps(asyncio.run(probe(arguments.prober, arguments.targets, arguments.seconds))))
        return
    if shutil.which("haproxy") is None:
        sys.exit("bench/probes.py needs haproxy on the PATH: apt-get install haproxy")
    enter_namespace()
    show(measure(arguments))


if __name__ == "__main__":
    main()
