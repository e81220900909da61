"""What contenders for Redis share: the servers' settings, and how servers are asked.

Both sides keep an append-only file, synced once a second, which is more than Redis does by itself: with less, a server that is started
again without its data would be followed by all that still have theirs.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from bench.failover.stateful import BALANCER, Contender
from bench.failover.tolls import FOLLOWERS, MEMBERS
from tests.lab.database_history import Listed
from tests.lab.database_load import ClientSpec
from tests.lab.database_sampler import Sampling
from tests.lab.database_sessions import NotDone, Where
from tests.lab.history import now
from tests.lab.network import own_name
from tests.lab.redis_sessions import RedisSession, open_redis

T = TypeVar("T")

PORT: Final = 7479
LISTEN: Final = 7480
PASSWORD: Final = "bench"  # noqa: S105 - of servers in namespaces of our own
PARAMETERS: Final = {"appendonly": "yes", "appendfsync": "everysec", "save": '""'}
ASKED_WITHIN_S: Final = 5.0


class RedisContender(Contender):
    """A manager of Redis."""

    kind = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = Path(tempfile.mkdtemp(prefix=own_name("redis-")))

    def primary(self) -> str:
        """Return the one server that takes writes."""
        found = [host for host in MEMBERS if self._followers(host) is not None]
        assert len(found) == 1, f"there is no one primary: {found}"
        return found[0]

    def is_whole(self) -> bool:
        """Tell whether one takes writes and all others follow it."""
        followers = [self._followers(host) for host in MEMBERS]
        return sorted(count for count in followers if count is not None) == [FOLLOWERS]

    def server_pid(self, host: str) -> int:
        """Return the server."""
        found = [pid for pid in self.cluster.processes(host, "redis-server") if self._is_server(pid)]
        assert found, f"no server on {host}"
        return found[0]

    def roaming(self, *, is_new_each: bool) -> ClientSpec:
        """Go through the balancer."""
        where = self._where(self.network[BALANCER].address, LISTEN)
        return ClientSpec("roaming", "append", (where,), not is_new_each, patience_s=1, every_s=0.01)

    def pinned(self, host: str) -> ClientSpec:
        """Go straight to the server, and wait."""
        where = self._where(self.network[host].address, PORT)
        return ClientSpec("pinned", "append", (where,), is_pinned=True, patience_s=60, every_s=0.02)

    def sampling(self) -> Sampling:
        """Ask each server from its own host."""
        return Sampling(self.kind, str(self.files[-1]), {host: self._inside(host) for host in MEMBERS})

    def listed(self, host: str) -> Listed:
        """Read the list."""
        told = self._asked(host, RedisSession.listed)
        assert told is not None
        pairs = (line.split() for line in told[1])
        return Listed(now(), host, is_primary=True, entries=tuple((name, int(n)) for name, n in pairs))

    def end(self) -> None:
        """Leave nothing, the data neither."""
        super().end()
        shutil.rmtree(self.data, ignore_errors=True)

    def _followers(self, host: str) -> int | None:
        """Return how many follow the server of this host; None: it takes no writes."""
        told = self._asked(host, lambda session: session.sample(host))
        return None if told is None else told[1]

    def _asked(self, host: str, question: Callable[[RedisSession], Awaitable[T]]) -> T | None:
        async def ask() -> T:
            async with asyncio.timeout(ASKED_WITHIN_S):
                session = await open_redis(self._inside(host))
                try:
                    return await question(session)
                finally:
                    session.close()

        try:
            return asyncio.run(ask())
        except (NotDone, TimeoutError):
            return None

    def _inside(self, host: str) -> Where:
        there = self.network[host]
        return Where(there.address, PORT, password=PASSWORD, inside=there.namespace)

    def _where(self, address: str, port: int) -> Where:
        return Where(
            address, port, password=PASSWORD, hosts={host.address: host.name for host in self.site.hosts}
        )

    @staticmethod
    def _is_server(pid: int) -> bool:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"redis-server" in title.split(b"\0")[0] and b"sentinel" not in title
