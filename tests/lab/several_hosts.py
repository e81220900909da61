"""What the tests of several hosts share: raising a cluster of real agents, asking it, and judging it."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.history import Mark
from tests.lab.hosts import PYTHON, Cluster
from tests.lab.judging import BrokenPromiseError, Judgement, Verdict, epochs_only_grow, never_two

PORT = 7100
LISTEN = 7000
LEASE = "2s"
WELL_AGAIN_S = 60.0


def raise_up(
    cluster: Cluster, service: dict[str, Any] | None = None, *, lease: str = LEASE, **settings: Any
) -> str:
    """Start everything, wait until there is a primary and every host looks well, and return the primary's host."""
    cluster.write({"db": service or cluster.witnesses("db", PORT)}, lease=lease, **settings)
    return start_up(cluster)


def start_up(cluster: Cluster) -> str:
    """Do the same with the file as it is."""
    cluster.start_agents()
    cluster.until(lambda: primary(cluster), "a first primary")
    cluster.until(lambda: all(is_well(cluster, host.name) for host in cluster.site.hosts), "all is well")
    host = primary(cluster)
    assert host is not None
    return host


def ask(cluster: Cluster, host: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a verb against the agent of a host."""
    directory = str(cluster.directory(host))
    command = [
        str(Path(PYTHON).parent / "holdfast"),
        *words,
        "--file",
        str(cluster.file),
        "--directory",
        directory,
    ]
    return subprocess.run(
        [*cluster.site.network[host].prefix, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def seen_from(cluster: Cluster, host: str) -> dict[str, Any]:
    """Return the cluster as the agent of a host sees it, spoken to over its socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        folder = os.open(cluster.directory(host), os.O_PATH)
        try:
            line.connect(f"/proc/self/fd/{folder}/control.sock")
        finally:
            os.close(folder)
        line.sendall(b'{"verb": "cluster"}\n')
        answer = json.loads(line.makefile().readline())
    found: dict[str, Any] = answer["result"]
    return found


def is_well(cluster: Cluster, host: str) -> bool:
    try:
        seen = seen_from(cluster, host)
    except OSError:
        return False
    hosts = {one["name"]: one for one in seen["hosts"]}
    everybody = all(one["has_session"] and one["reach"] in {"me", "heard"} for one in hosts.values())
    return bool(seen["is_connected"] and everybody and all(one["lease"] for one in seen["leases"]))


def newest_epoch(cluster: Cluster) -> int:
    return max((mark.epoch for mark in cluster.so_far().of(Mark)), default=0)


def primary(cluster: Cluster) -> str | None:
    """Return the host whose witness marked last, if it is marking now."""
    marks = cluster.so_far().of(Mark)
    if not marks:
        return None
    last = max(marks, key=lambda mark: mark.at)
    return last.host


def moved_from(cluster: Cluster, old: str) -> bool:
    marks = cluster.so_far().of(Mark)
    newest = max(marks, key=lambda mark: mark.epoch)
    return newest.host != old


def judge(cluster: Cluster, *, accepted_only: bool = False) -> None:
    """End the cluster, and judge what the witnesses wrote down.

    `accepted_only`: after a pause of a whole host, its guard included, only what the store accepted counts: there the
    epochs are the last line, as they are in life.
    """
    history = cluster.end()
    for told in (never_two(history, "db", accepted_only=accepted_only), epochs_only_grow(history, "db")):
        _hold_to(told, cluster)


def _hold_to(told: Judgement, cluster: Cluster) -> None:
    if told.verdict is Verdict.BROKEN:
        raise BrokenPromiseError(f"{told}\n{cluster.said()}")
    if told.verdict is Verdict.UNKNOWN:
        pytest.skip(f"the machine was too busy to tell: {told}")


def healed(cluster: Cluster) -> None:
    """End all faults; everything has to be well again by itself."""
    cluster.nemesis.heal()
    cluster.until(
        lambda: all(is_well(cluster, host.name) for host in cluster.site.hosts), "all is well again", 60
    )


def witness_pid(cluster: Cluster, host: str) -> int:
    for pid in cluster.site.network[host].pids():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if any(word.endswith(b"witness.py") for word in command) and b"serve" in command:
            return pid
    raise AssertionError(f"no witness runs on {host}\n{cluster.said()}")
