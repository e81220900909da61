"""Redis Sentinel: a sentinel beside each of three servers, and a client that asks them where the primary is.

As its documentation shows it for three machines: quorum 2. Each server is started again by its supervisor 0.1 s after it ended, as
Debian's unit has it (Restart=always); without that a server that was killed would never come back.
"""

import subprocess
from pathlib import Path
from typing import Final

import msgspec

from bench.failover import environments
from bench.failover.stateful import COMES_BACK_S
from bench.failover.tolls import MEMBERS
from bench.failover_redis.servers import PARAMETERS, PASSWORD, PORT, RedisContender

SENTINEL: Final = 26379
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
CLIENT: Final = Path(__file__).with_name("sentinel_client.py")
NAME: Final = "bench"
# down-after, failover-timeout: what a user gets who sets nothing, and about the least that a busy network bears.
PROFILES: Final = {"default": (30_000, 180_000), "fast": (500, 3_000)}


class Sentinel(RedisContender):
    """Three servers, three sentinels."""

    def __init__(self, folder: Path, profile: str) -> None:
        super().__init__(folder)
        self._down_after_ms, self._failover_ms = PROFILES[profile]
        self._sentinels: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def prepare(cls) -> None:
        """Install the client library."""
        environments.prepare("redis", REQUIREMENTS)

    def start(self) -> None:
        """Start the servers, then the sentinels, and wait until they know each other."""
        first = self.network[MEMBERS[0]].address
        for host in MEMBERS:
            (self.data / host).mkdir()
            self._write(host, "server.conf", self._server(host, first))
            self._write(host, "sentinel.conf", self._sentinel(host, first))
            self._start_server(host)
        self.until(self.is_whole, "a primary and two that follow", COMES_BACK_S)
        for host in MEMBERS:
            self.start_manager(host)
        known = f"slaves={len(MEMBERS) - 1},sentinels={len(MEMBERS)}"  # what a sentinel's answer has
        self.until(
            lambda: all(known in self._cli(host, "INFO", "sentinel") for host in MEMBERS),
            "all sentinels know all",
            COMES_BACK_S,
        )

    def start_roaming(self, file: Path, *, is_new_each: bool) -> "subprocess.Popen[bytes]":
        """Start a client that asks the sentinels, from the namespace of all clients."""
        spec = self.folder / "roaming.spec"
        at = [[self.network[host].address, SENTINEL] for host in MEMBERS]
        told = {"history": str(file), "sentinels": at, "name": NAME, "password": PASSWORD}
        spec.write_bytes(msgspec.json.encode({**told, "is_new_each": is_new_each}))
        command = [str(environments.place("redis") / "python"), str(CLIENT), str(spec)]
        return self.network.hub.start(command, self.folder / "roaming.log")

    def manager_pids(self, host: str) -> list[int]:
        """Return the sentinel there."""
        return [self._sentinels[host].pid]

    def start_manager(self, host: str) -> None:
        """Start the sentinel there."""
        if host in self._sentinels:
            self._sentinels[host].wait()
        command = ["redis-server", str(self.data / host / "sentinel.conf"), "--sentinel"]
        self._sentinels[host] = self.network[host].start(command, self.folder / f"sentinel-{host}.log")

    def boot(self, host: str) -> None:
        """Start the server and the sentinel."""
        self._start_server(host)
        self.start_manager(host)

    def move(self, host: str) -> None:
        """Ask any sentinel, as its documentation says."""
        asked = next(member for member in MEMBERS if member != host)
        said = self._cli(asked, "SENTINEL", "FAILOVER", NAME)
        assert "OK" in said, said

    def _start_server(self, host: str) -> None:
        supervised = f"while :; do redis-server {self.data / host / 'server.conf'}; sleep 0.1; done"
        self.network[host].start(["sh", "-c", supervised], self.folder / f"redis-{host}.log")

    def _cli(self, host: str, *words: str) -> str:
        address = self.network[host].address
        command = ["redis-cli", "-h", address, "-p", str(SENTINEL), *words]
        asked = [*self.network.hub.prefix, *command]
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout

    def _write(self, host: str, name: str, text: str) -> None:
        (self.data / host / name).write_text(text, "utf-8")

    def _server(self, host: str, first: str) -> str:
        follows = "" if host == MEMBERS[0] else f"replicaof {first} {PORT}\n"
        parameters = "".join(f"{name} {value}\n" for name, value in PARAMETERS.items())
        return (
            f"port {PORT}\nbind 0.0.0.0\nprotected-mode no\ndir {self.data / host}\n"
            f"requirepass {PASSWORD}\nmasterauth {PASSWORD}\n{parameters}{follows}"
        )

    def _sentinel(self, host: str, first: str) -> str:
        return (
            f"port {SENTINEL}\nbind 0.0.0.0\nprotected-mode no\ndir {self.data / host}\n"
            f"sentinel monitor {NAME} {first} {PORT} 2\nsentinel auth-pass {NAME} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}\n"
            f"sentinel failover-timeout {NAME} {self._failover_ms}\n"
        )
