"""What the operator asked of a Redis, as a value: one more kind of component."""

from holdfast.model.time import MINUTE, SECOND, Duration
from holdfast.model.value import Tagged

# Parameters of redis.conf that are holdfast's to set, by all their names: neither the file nor what it includes changes them.
OWN_PARAMETERS = frozenset(
    {
        "port",
        "bind",
        "dir",
        "daemonize",
        "supervised",
        "logfile",
        "pidfile",
        "replicaof",
        "slaveof",
        "masteruser",
        "masterauth",
        "requirepass",
        "user",
        "aclfile",
        "protected-mode",
        "cluster-enabled",
        "min-replicas-to-write",
        "min-slaves-to-write",
        "min-replicas-max-lag",
        "min-slaves-max-lag",
        "replica-announce-ip",
        "replica-announce-port",
        "replica-priority",
        "slave-priority",
        "replica-read-only",
        "slave-read-only",
        "replica-serve-stale-data",
        "slave-serve-stale-data",
        "repl-diskless-load",
        "rename-command",
    }
)


class RedisServer(Tagged, frozen=True):
    """A Redis server that follows whoever serves, and serves when that is its own member."""

    data: str  # its folder: what it saves, and holdfast's own redis.conf for it
    program: str = "redis-server"
    user: str | None = None  # who owns the data and runs the server; None: the agent's own user
    include: str | None = None  # a redis.conf of the operator's, read before all that is said here
    parameters: dict[str, str] = {}  # of redis.conf
    password: str | None = None  # the file of what clients log in with; None: the default user is off
    min_replicas_to_write: int = 0  # a primary with fewer takes no writes
    min_replicas_max_lag: Duration = 10 * SECOND  # of those that count
    lag_max: int = 1_000_000  # bytes: a standby that is known to lack more is not promoted
    sentinel: str = ""  # "host:port" where this host answers clients that ask a Sentinel; empty: nowhere
    host: str = ""  # where it listens and is reached; filled in from its member, as is `port`
    port: int = 0
    hand_over_within: Duration = (
        5 * SECOND
    )  # a planned demotion waits so long for a standby to have every write
    start_timeout: Duration = 10 * SECOND
    stop_timeout: Duration = 30 * SECOND  # to save and end in good order; then at once
    promote_timeout: Duration = 10 * SECOND
    demote_timeout: Duration = MINUTE
    monitor_timeout: Duration = 2 * SECOND

    @property
    def is_promotable(self) -> bool:
        """Tell whether it runs as a standby until it is promoted: a server always does."""
        return True


class RedisCheck(Tagged, frozen=True):
    """Over a new connection: it answers, has the role that it should have and, as primary, takes a write."""
