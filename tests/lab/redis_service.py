"""A Redis service on the hosts of the lab, asked as its members are, and written to by clients whose notes are judged."""

import asyncio
import itertools
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from holdfast.redis.resp import Answer, MalformedError, Refusal, command, read_answer
from tests.lab.hosts import PYTHON, Cluster
from tests.lab.redis_load import Load, Written
from tests.lab.several_hosts import is_well

PORT, LISTEN, SENTINEL = 7479, 7480, 7481
SERVICE = "cache"
PASSWORD = "the clients' password"
RECOVERS_S = 60.0
ROOT = Path(__file__).parents[2]


class Told(NamedTuple):
    """What the clients' notes say."""

    acknowledged: int
    lost: list[str]  # acknowledged, and not there in the end
    twice: list[str]  # acknowledged by a former primary after a newer one acknowledged something
    outage_s: float  # the longest time without an acknowledgement


class RedisService:
    """A Redis service on a cluster of the lab."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-redis-lab-"))
        self.hosts = tuple(host.name for host in cluster.site.hosts)
        self.password = self.folder / "password"
        self.password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        self.notes = self.folder / "notes.jsonl"
        self._clients: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def service(self, parameters: dict[str, str], **more: Any) -> dict[str, Any]:
        """Return the service of the file; `more` are keys of `run.redis`."""
        return {
            "mode": "active-standby",
            "members": {host: {"on": host} for host in self.hosts},
            "port": PORT,
            "traffic": {"listen": f"0.0.0.0:{LISTEN}", "protocol": "tcp"},
            "run": {
                "redis": {
                    "data": str(self.folder / "{member}"),
                    "password": str(self.password),
                    "parameters": {"save": '""', **parameters},
                    "sentinel": f"0.0.0.0:{SENTINEL}",
                    "lag_max": "64kB",
                    "stop": "10s",
                    **more,
                }
            },
        }

    def raise_up(self, parameters: dict[str, str] | None = None, lease: str = "2s", **more: Any) -> None:
        """Start everything; append-only files are kept unless `parameters` say otherwise."""
        service = self.service({"appendonly": "yes"} if parameters is None else parameters, **more)
        self.cluster.write({SERVICE: service}, lease=lease)
        self.cluster.start_agents()
        self.cluster.until(self.is_whole, "a primary and two standbys that follow it", RECOVERS_S)
        wait = "all is well"
        self.cluster.until(lambda: all(is_well(self.cluster, host) for host in self.hosts), wait, RECOVERS_S)

    # --- asking ---------------------------------------------------------------------------------------

    def on(self, host: str, *commands: tuple[str | int, ...], within_s: float = 1.0) -> list[Answer] | None:
        """Return what the member of a host answers there; None: not all of it came in time."""
        address = (self.cluster.site.network[host].address, PORT)
        with self.cluster.site.network[host].entered():
            return exchange(address, ("AUTH", PASSWORD), *commands, within_s=within_s)

    def role(self, host: str) -> tuple[str, str]:
        """Return the role of a host's member and the state of its link, empty where it has none."""
        answers = self.on(host, ("ROLE",))
        told = answers[1] if answers else None
        if not isinstance(told, list):
            return "", ""
        words = [one.decode() if isinstance(one, bytes) else "" for one in told]
        return words[0], words[3] if len(words) > 3 else ""

    def maybe_primary(self) -> str | None:
        found = [host for host in self.hosts if self.role(host)[0] == "master"]
        return found[0] if len(found) == 1 else None

    def primary(self) -> str:
        """Return who is primary, once there is one: on a busy machine a lease may be lost meanwhile."""
        found: list[str] = []

        def is_there() -> bool:
            name = self.maybe_primary()
            found.extend([name] if name is not None else [])
            return bool(found)

        self.cluster.until(is_there, "a primary", RECOVERS_S)
        return found[-1]

    def other_than(self, host: str) -> str:
        return next(one for one in self.hosts if one != host)

    def has_moved(self, old: str) -> bool:
        return any(self.role(host)[0] == "master" for host in self.hosts if host != old)

    def is_whole(self) -> bool:
        """Tell whether one member is primary, takes writes, and all others follow it."""
        roles = [self.role(host) for host in self.hosts]
        links = [link for role, link in roles if role == "slave"]
        return len(links) == len(self.hosts) - 1 and all(link == "connected" for link in links)

    def server(self, host: str) -> int:
        """Return the process of a host's server."""
        found = self.cluster.processes(host, "redis-server")
        assert len(found) == 1, found
        return found[0]

    # --- clients --------------------------------------------------------------------------------------

    def start_clients(self) -> None:
        """Have clients in the hub write through every host's balancer until `judged`."""
        places = tuple((host.address, LISTEN) for host in self.cluster.site.hosts)
        load = Load(str(self.notes), places, PASSWORD, f"holdfast:{self.cluster.system}/{SERVICE}")
        spec = self.folder / "load.json"
        spec.write_bytes(msgspec.json.encode(load))
        words = [PYTHON, "-m", "tests.lab.redis_load", str(spec)]
        hub = self.cluster.site.network.hub
        self._clients = hub.start(words, self.cluster.log("clients"), {"PYTHONPATH": str(ROOT)})
        self.cluster.until(lambda: self.acknowledged_after(0) > 20, "the clients write", RECOVERS_S)

    def written(self) -> list[Written]:
        if not self.notes.exists():
            return []
        lines = self.notes.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(line, type=Written) for line in lines]

    def acknowledged_after(self, instant: int) -> int:
        return sum(one.is_acknowledged and one.at > instant for one in self.written())

    def serves_again(self) -> None:
        """Wait until clients of every balancer write again, and the service is whole."""
        began = now()
        self.cluster.until(lambda: self.acknowledged_after(began) > 20, "the clients write again", RECOVERS_S)
        self.cluster.until(self.is_whole, "a primary and two standbys that follow it again", RECOVERS_S)

    def judged(self) -> Told:
        """End the clients, and say what they saw."""
        assert self._clients is not None
        self._clients.send_signal(signal.SIGTERM)
        self._clients.wait(RECOVERS_S)
        answers = self.on(self.primary(), ("LRANGE", "seen", 0, -1), within_s=10)
        assert answers is not None
        assert isinstance(answers[1], list)
        there = {entry.decode() for entry in answers[1] if isinstance(entry, bytes)}
        written = [one for one in self.written() if one.is_acknowledged]
        ends = sorted(one.ended for one in written)
        outage = max((after - before for before, after in itertools.pairwise(ends)), default=0) / 1e9
        told = Told(
            len(written), [one.entry for one in written if one.entry not in there], _twice(written), outage
        )
        sys.stderr.write(
            f"{told.acknowledged} acknowledged, {len(told.lost)} lost, outage {told.outage_s:.2f}s\n"
        )
        assert not told.twice, f"two primaries took writes at once: {told.twice}\n{self.cluster.said()}"
        return told


def _twice(written: list[Written]) -> list[str]:
    """Return what was begun after a newer primary had acknowledged something, and acknowledged by an older one."""
    first: dict[int, int] = {}
    for one in written:
        first[one.epoch] = min(one.ended, first.get(one.epoch, one.ended))
    return [
        one.entry for one in written if any(e > one.epoch and ended < one.at for e, ended in first.items())
    ]


def exchange(
    address: tuple[str, int], *commands: tuple[str | int, ...], within_s: float = 1.0
) -> list[Answer] | None:
    """Return the answers of a server over a new connection, from this thread's network."""
    try:
        with socket.create_connection(address, within_s) as line:
            line.settimeout(within_s)
            line.sendall(b"".join(command(*words) for words in (*commands, ("QUIT",))))
            said = b""
            give_up_at = time.monotonic() + within_s
            while (more := line.recv(1 << 16)) and time.monotonic() < give_up_at:
                said += more
        answers = asyncio.run(_parsed(said, len(commands)))
    except (OSError, EOFError, MalformedError):
        return None
    return None if any(isinstance(answer, Refusal) for answer in answers) else answers


async def _parsed(said: bytes, count: int) -> list[Answer]:
    reader = asyncio.StreamReader(limit=1 << 24)
    reader.feed_data(said)
    reader.feed_eof()
    return [await read_answer(reader) for _ in range(count)]


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
