"""What the operator asked of a PostgreSQL, as a value: one more kind of component."""

from enum import StrEnum

from holdfast.model.ids import Epoch, MemberName
from holdfast.model.secrets import SecretFrom
from holdfast.model.time import MINUTE, SECOND, Duration
from holdfast.model.value import Tagged, Value

# Parameters that holdfast sets itself. Never left to chance or to ALTER SYSTEM: following, durability, and how we reach the server.
OWN_PARAMETERS = frozenset(
    {
        "port",
        "listen_addresses",
        "unix_socket_directories",
        "hba_file",
        "ident_file",
        "hot_standby",
        "primary_conninfo",
        "primary_slot_name",
        "recovery_target_timeline",
        "synchronous_standby_names",
    }
)
OWN_ROLES = frozenset({"holdfast_replicator", "holdfast_rewinder"})


class Commit(StrEnum):
    """What a commit waits for before it is acknowledged."""

    ASYNCHRONOUS = "asynchronous"  # its own disk
    SYNCHRONOUS = "synchronous"  # certain standbys' disks too
    QUORUM = "quorum"  # any so many standbys' disks too


class Record(Value, frozen=True):
    """Who may be promoted, as it stands in the coordinator beside the lease. See postgresql/synchronous.py."""

    primary: MemberName
    voters: tuple[MemberName, ...] = ()  # sorted; none: only the primary itself may come back
    electing: int = 1  # how many voters have to be compared
    epoch: Epoch = 0  # of the lease under which its primary was promoted, or wrote it

    @property
    def names(self) -> tuple[MemberName, ...]:
        """Return all who could be promoted."""
        return (self.primary, *self.voters)

    @property
    def words(self) -> str:
        """Return it for people."""
        if not self.voters:
            return f"nobody but {self.primary} may be primary"
        if self.electing == 1:
            return f"one of {', '.join(self.names)} may be primary"
        return (
            f"{self.primary} may be primary, or the furthest of {self.electing} of {', '.join(self.voters)}"
        )


class Kept(Value, frozen=True):
    """What the coordinator has of a record; None: nothing."""

    record: Record | None
    version: int | None


class Outside(Value, frozen=True):
    """A PostgreSQL server outside of the cluster, whose log the holder of the role streams instead of being promoted."""

    host: str
    user: str  # its role for replication; members stream from each other under it, too: nothing else is in the data
    password: SecretFrom
    port: int = 5432
    slot: str = ""  # a replication slot there, made if it is missing; empty: it keeps no log for us

    @property
    def words(self) -> str:
        """Return it for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PostgresServer(Tagged, frozen=True):
    """A PostgreSQL server that follows whoever holds its service's lease, and serves when that is its own member."""

    data: str  # its data directory: absolute, and not itself a mount point
    programs: str  # the folder of `postgres`, `pg_rewind` and so on
    user: str | None = (
        None  # who owns the data and runs the server; None: the agent's own user, if that is not root
    )
    superuser: str = "postgres"  # the role that we use over the local socket
    config: str = ""  # the user's postgresql.conf where it is not in the data directory, as Debian has it
    parameters: dict[str, str] = {}  # of postgresql.conf
    clients: tuple[
        str, ...
    ] = ()  # networks from which users may log in with a password, written at bootstrap
    initdb: tuple[str, ...] = ()  # more options for initdb
    bootstrap: tuple[
        str, ...
    ] = ()  # makes the first data in place of initdb, such as a restore from a backup
    clone: tuple[
        tuple[str, ...], ...
    ] = ()  # each makes a copy of the primary's data; pg_basebackup comes last
    lag_max: int = 1_000_000  # bytes: a standby that is known to lack more is not promoted
    commit: Commit = Commit.ASYNCHRONOUS
    acknowledged_by: int = 1  # how many standbys a commit waits for, unless it is asynchronous
    is_strict: bool = False  # rather wait for standbys than commit with fewer
    follows: Outside | None = (
        None  # the whole cluster is a standby of that one; None: its primary is promoted
    )
    open_within: Duration = 5 * SECOND  # a planned demotion waits so long for transactions that are open
    host: str = (
        ""  # where it listens, and members elsewhere reach it; filled in from its member, as is `port`
    )
    port: int = 0
    start_timeout: Duration = 30 * SECOND  # a start that waits longer is told as not begun, and tried again
    stop_timeout: Duration = 30 * SECOND  # to shut down in good order; then at once
    promote_timeout: Duration = MINUTE
    demote_timeout: Duration = MINUTE
    monitor_timeout: Duration = 2 * SECOND

    @property
    def is_promotable(self) -> bool:
        """Tell whether it runs as a standby until it is promoted: a server always does."""
        return True


class PostgresCheck(Tagged, frozen=True):
    """Over a new connection: it answers, has the role that it should have and, as primary, commits a row to the disk."""
