"""The words of several hosts: what hosts say of themselves, who holds which lease, what the leader wants.

Everything here crosses hosts, so nothing here is an Instant: an instant means nothing on another host.
"""

from holdfast.model.ids import ComponentId, Epoch, HostName, LifeId, MemberName, ServiceName
from holdfast.model.postgresql import Record
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.time import Duration
from holdfast.model.value import Value

# A lease's epoch is the head of a block of the service's epochs: what its holder grants while it holds the lease (each
# life of a singleton, each promotion) counts up inside the block, without asking the coordinator. So a restart needs
# no coordinator, and every token of a later lease is larger than every token of an earlier one.
LEASE_BLOCK = 1_000_000


class MemberReport(Value, frozen=True, omit_defaults=True):
    """What a host says of one member that it looks after. What is as usual is left out of it: beats have to be short."""

    status: Status
    role: Role = Role.STANDBY
    epoch: Epoch = 0  # under which it has or last had the role
    lane: Lane = Lane.DOWN  # where its own host would send its traffic
    share: float = 0.0  # S_i, its part in the health of its service
    reason: str = ""  # why the status is what it is, for people
    unfit: str = ""  # why it cannot be given the role (or be started, as a singleton) now; empty: it can
    leaving: str = ""  # why another member should have the role, if one is fit; empty: it should keep it
    is_stable: bool = False  # up for as long as its file asks before it is trusted again
    is_clear: bool = False  # proven not to serve: nothing of it runs, or it is a standby
    is_spent: bool = False  # it does not run, and its restart budget is spent: nobody counts on it
    # How far a database's log goes: timeline, place. Told while it stands still, and coarsely by a primary; zeros: not told.
    position: tuple[int, int] = (0, 0)
    position_under: Epoch = (
        0  # that is its last word: it streams from nobody before the primary under this lease
    )
    streams_under: Epoch = (
        0  # told where another standby streams from it: the lease of the primary that it streams from
    )
    commits: str = ""  # of a database's primary: for whom its commits wait
    note: str = ""  # what an operator should know of it though it serves, such as a restart that a parameter waits for
    unread: str = "it has not told"  # why nobody should read from it while it is a standby; empty: they may
    score: int | None = None  # how much its resource agent wants it to be primary; None: no opinion


class HostReport(Value, frozen=True):
    """What a host says of itself. It is written on change only."""

    life: LifeId
    number: int = 0  # grows with each change within a life: tells which of two is newer
    members: dict[ComponentId, MemberReport] = {}
    revision: str = ""  # of the policy that it runs
    version: str = ""  # of holdfast
    problem: str = ""  # of its agent; empty: none


class Lease(Value, frozen=True):
    """The right to serve as primary of one service, as it stands in the coordinator. It ends with its holder's session."""

    service: ServiceName
    host: HostName
    member: MemberName
    epoch: Epoch  # of the lease: grows by one each time it is taken; see LEASE_BLOCK
    life: LifeId  # of the agent that took it, or took it over from its own last life


class LastLease(Value, frozen=True):
    """The newest lease of a service, held or not: it outlives its holder's session."""

    lease: Lease
    is_settled: bool = False  # its holder serves no more: it gave it up, or its host is proven to be off


class Assignment(Value, frozen=True):
    """What the leader wants of one service."""

    service: ServiceName
    leader_epoch: Epoch  # of the leader that wrote it: agents refuse a smaller one than they have seen
    placed: dict[MemberName, HostName] = {}  # where its movable members run
    holder: MemberName | None = None  # exclusive services: who should hold the lease; None: nobody is fit
    host: HostName | None = None  # where the holder runs
    why: str = ""
    open_within: Duration | None = (
        None  # as in the wish that it is for; beside it, it cannot be seen without it
    )


class Claim(Value, frozen=True):
    """Who leads at present."""

    host: HostName
    epoch: Epoch


class Entitlement(Value, frozen=True):
    """What a host's own loop is told of a lease that the host holds."""

    member: MemberName
    epoch: Epoch  # of the lease
    is_ending: bool = False  # the member should stop serving in good order; then the lease is given up
    open_within: Duration | None = None  # as in `Demote`, if an operator's wish ends it


class OperatorWish(Value, frozen=True):
    """What an operator asked of the leader: a planned move. It is deleted when it is done or given up."""

    service: ServiceName
    to: MemberName
    by: str
    why: str = ""
    id: str = ""  # tells two wishes with the same words apart
    open_within: Duration | None = None  # as in `Demote`


class ClusterView(Value, frozen=True):
    """What stands in the coordinator, as last seen by one host."""

    leader: Claim | None = None
    hosts: dict[HostName, HostReport] = {}  # those with a session
    leases: dict[ServiceName, Lease] = {}  # those that are held
    lease_epochs: dict[ServiceName, Epoch] = {}  # the last epoch given, held or not
    last_leases: dict[ServiceName, LastLease] = {}
    assignments: dict[ServiceName, Assignment] = {}
    wishes: dict[ServiceName, OperatorWish] = {}
    records: dict[ServiceName, Record] = {}  # databases with synchronous commit: who may be promoted


def first_epoch_of(lease: Epoch) -> Epoch:
    """Return the head of the lease's block: the epochs given under it are above this."""
    return lease * LEASE_BLOCK


def lease_of(epoch: Epoch) -> Epoch:
    """Return the epoch of the lease under which `epoch` was given."""
    return epoch // LEASE_BLOCK
