"""The databases that the lab breaks, each as the stage sees it: how it is written down, reached, and asked for what it holds."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from tests.contract.postgresql.stage import owner
from tests.lab.database_history import Listed
from tests.lab.database_sessions import LISTING, REGISTERS, REIGN, SCHEMA, NotDone, Where
from tests.lab.databases import LISTEN, PORT, Database
from tests.lab.history import now
from tests.lab.hosts import Cluster
from tests.lab.network import own_name
from tests.lab.redis_sessions import RedisSession, open_redis

T = TypeVar("T")

_ASK_WITHIN_S: Final = 30.0


class Kind(Protocol):
    """One kind of database on the hosts of a cluster."""

    name: str  # as clients and samplers know it
    port: int
    listen: int
    folder: Path  # each host keeps its data below a folder of its own, called after it
    user: str | None  # who owns that; None: we do
    has_drawn_reigns: bool  # and none that grow

    def service(self, clients: list[str], wiring: Mapping[str, Any]) -> dict[str, Any]: ...
    def is_whole(self) -> bool: ...
    def make_room(self) -> None: ...
    def reached(self, address: str, port: int, hosts: dict[str, str]) -> Where: ...
    def sampled(self, host: str) -> Where: ...
    def listed(self, host: str) -> Listed | None: ...
    def rank(self, command: bytes) -> int | None: ...


class PostgresKind:
    """PostgreSQL."""

    name = "postgresql"
    port, listen = PORT, LISTEN
    has_drawn_reigns = False

    def __init__(self, cluster: Cluster) -> None:
        self._database = Database(cluster, below="data")
        self.folder = self._database.folder
        self.user = owner()

    def service(self, clients: list[str], wiring: Mapping[str, Any]) -> dict[str, Any]:
        return self._database.service(clients=clients, **wiring)

    def is_whole(self) -> bool:
        return self._database.is_whole()

    def make_room(self) -> None:
        """Make what clients write to."""
        done = self._database.on(self._database.primary(), SCHEMA, _ASK_WITHIN_S)
        assert done is not None, "the schema could not be made"

    def reached(self, address: str, port: int, hosts: dict[str, str]) -> Where:
        return Where(address, port, hosts=hosts)

    def sampled(self, host: str) -> Where:
        """Return how the server of a host is asked on the host: over its socket, and waiting for no standby."""
        socket = f"{self._database.data(host)}.holdfast"
        options = "-c synchronous_commit=local -c log_min_messages=panic"
        return Where(socket, self.port, user="postgres", options=options)

    def listed(self, host: str) -> Listed | None:
        told = self._database.on(host, LISTING, _ASK_WITHIN_S)
        if told is None:
            return None
        reign = self._database.on(host, f"select {REIGN}")  # a standby has none
        entries = (line.split("|") for line in told.splitlines())
        listed = tuple((client, int(number)) for client, number in entries)
        return Listed(now(), host, reign is not None, listed, int(reign or 0))

    def rank(self, command: bytes) -> int | None:
        """Return 0 for the postmaster, 1 for its other processes, 2 for those of clients; None: it is none."""
        if command.endswith(b"/bin/postgres"):
            return 0
        if command.startswith(b"postgres: app"):
            return 2
        return 1 if command.startswith(b"postgres: ") else None


class RedisKind:
    """Redis."""

    name = "redis"
    port, listen = 7479, 7480
    user: str | None = None
    has_drawn_reigns = True

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.folder = Path(tempfile.mkdtemp(prefix=own_name("redis-")))
        self._password = self.folder / "password"
        self._password.write_text("lab\n", encoding="utf-8")
        self._hosts = tuple(host.name for host in cluster.site.hosts)

    def service(self, clients: list[str], wiring: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - it lets in by password
        parameters = {"appendonly": "yes", "appendfsync": "everysec", "save": '""'}
        server = {"data": str(self.folder / "{member}" / "data"), "password": str(self._password)}
        return {
            "mode": "active-standby",
            "members": {host: {"on": host} for host in self._hosts},
            "port": self.port,
            "traffic": {"listen": f"0.0.0.0:{self.listen}", "protocol": "tcp"},
            "run": {"redis": {**server, "parameters": parameters, "stop": "10s", **wiring}},
        }

    def is_whole(self) -> bool:
        return any(self._followers(host) == len(self._hosts) - 1 for host in self._hosts)

    def make_room(self) -> None:
        """Make the registers: whichever server takes them is the primary."""
        made = [self._asked(host, _make_registers) for host in self._hosts]
        assert any(made), "no server took the registers"

    def reached(self, address: str, port: int, hosts: dict[str, str]) -> Where:
        return Where(address, port, password="lab", hosts=hosts)

    def sampled(self, host: str) -> Where:
        """Return how the server of a host is asked on the host: from its own namespace, which no partition cuts."""
        there = self._cluster.site.network[host]
        return Where(there.address, self.port, password="lab", inside=there.namespace)

    def listed(self, host: str) -> Listed | None:
        told = self._asked(host, RedisSession.listed)
        if told is None:
            return None
        is_primary, lines, reign = told
        entries = tuple((client, int(number)) for client, number in (line.split() for line in lines))
        return Listed(now(), host, is_primary, entries, reign if is_primary else 0)

    def _followers(self, host: str) -> int:
        told = self._asked(host, lambda session: session.sample(host))
        return 0 if told is None else told[1]

    def _asked(self, host: str, question: Callable[[RedisSession], Awaitable[T]]) -> T | None:
        async def ask() -> T:
            async with asyncio.timeout(_ASK_WITHIN_S):
                session = await open_redis(self.sampled(host))
                try:
                    return await question(session)
                finally:
                    session.close()

        try:
            return asyncio.run(ask())
        except (NotDone, TimeoutError):
            return None

    def rank(self, command: bytes) -> int | None:
        """Return 0 for the server, 1 for the children that save; None: it is none."""
        if b"redis-server" in command:
            return 0
        return 1 if command.startswith(b"redis-") else None


async def _make_registers(session: RedisSession) -> bool:
    for key in REGISTERS:
        await session.write(key, 0)
    return True
