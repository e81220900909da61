"""Everything one host's cluster loop knows, as one value. It is replaced, never edited."""

from holdfast.detect.reach import Peer, Reach
from holdfast.model.cluster import ClusterView, Entitlement, HostReport, Lease, MemberReport
from holdfast.model.cluster_events import Order
from holdfast.model.ids import ComponentId, Epoch, HostName, LifeId, MemberName, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value, replace

NOTES_KEPT = 100


class Session(Value, frozen=True):
    """This host's session with the coordinator."""

    number: int = 0  # of this agent's life; grows with each that is opened
    until: Instant = 0  # it is surely alive until then; 0: there is none
    budget: Duration = 0  # how long one renewal carries

    def is_sure(self, now: Instant) -> bool:
        """Tell whether the session is surely alive."""
        return now < self.until

    def is_strained(self, now: Instant) -> bool:
        """Tell whether a renewal is overdue: half of what the last one carries is used up."""
        return self.until - now < self.budget // 2


class HeldLease(Value, frozen=True):
    """A lease that this host holds."""

    member: MemberName
    epoch: Epoch
    session: int  # number of the session that it is bound to; an older one: it has to be adopted
    until: Instant  # nobody else can hold it before that, by the session
    promised: dict[HostName, Instant] = {}  # nor before that, by this host's word
    is_ending: bool = False  # its member is being stopped in good order, then it is given up
    why_ending: str = ""
    open_within: Duration | None = None  # as in `Demote`


class Promise(Value, frozen=True):
    """Our word not to take a lease over."""

    to: HostName
    epoch: Epoch
    until: Instant


class LastHeld(Value, frozen=True):
    """A lease that was seen to be held and is not any more."""

    lease: Lease
    free_since: Instant
    was_given: bool  # its member was seen not to serve when it became free: nobody has to be waited for


class Flight(Value, frozen=True):
    """An order on its way."""

    order: Order
    deadline: Instant  # without an answer it is in doubt from then on; in doubt: it may be asked again
    session: int  # number of the session under which it was given
    is_doubtful: bool = False  # no answer came to it, or to an equal one before: it may have taken effect


class SentBeat(Value, frozen=True):
    """A beat that we sent: what answers it counts from then."""

    at: Instant
    holds: dict[ServiceName, Epoch]


class Note(Value, frozen=True):
    """A line of what the cluster loop saw, did or held back, and why."""

    at: Instant
    level: str  # "info", "warn", "error"
    subject: str
    word: str  # what happened, in one word: "lost", "leads", "assigned", ...
    text: str


class Fencing(Value, frozen=True):
    """How far the fencing of one host has come."""

    life: LifeId  # of the agent that it ran when it was lost
    confirmed_at: Instant = 0  # 0: not confirmed
    not_before: Instant = 0  # it failed: try again then


class ClusterState(Value, frozen=True):
    """What one host's agent knows of the cluster, and what it has promised."""

    me: HostName
    life: LifeId
    policy: Policy  # of all hosts, not localized
    started_at: Instant
    session: Session = Session()
    leads_under: Epoch = 0  # this host leads under that epoch; 0: it does not lead
    leads_since: Instant = 0
    assigned_under: dict[
        ServiceName, Epoch
    ] = {}  # the highest leader's epoch seen on each assignment; kept on disk
    leases_seen: dict[ServiceName, Epoch] = {}  # the highest epoch of each lease; kept on disk
    placed: dict[
        ServiceName, dict[MemberName, HostName]
    ] = {}  # where the leader last placed the members that the file binds to no host; kept on disk
    view: ClusterView | None = None  # None: never seen
    report: HostReport = HostReport("")
    known: dict[ServiceName, Entitlement] | None = None  # what our own loop knows of leases
    is_looked_at: bool = False  # our own loop has told once how the members here are
    is_leaving: bool = False
    held: dict[ServiceName, HeldLease] = {}
    recalled: dict[
        ServiceName, HeldLease
    ] = {}  # held by our last life, and not bound to a session of ours yet
    given_up: dict[ServiceName, Epoch] = {}  # the newest lease that this life gave back
    promises: dict[ServiceName, Promise] = {}
    last_held: dict[ServiceName, LastHeld] = {}
    peers: dict[HostName, Peer] = {}
    reach: dict[HostName, Reach] = {}  # how well other hosts are heard
    sequence: int = 0  # of the last beat that we sent
    sent: dict[int, SentBeat] = {}  # the newest beats, by sequence
    late: Duration = 0  # how late our own loop was of late
    flights: dict[str, Flight] = {}  # by subject
    not_before: dict[str, Instant] = {}  # an order failed: the next one about its subject waits
    next_order: int = 1
    gone_since: dict[HostName, Instant] = {}  # as leader: hosts of the file without a session
    fencings: dict[HostName, Fencing] = {}
    moved_at: tuple[Instant, ...] = ()  # members placed elsewhere of late
    wake_at: Instant | None = None  # a rule that says "not yet" says until when
    withheld: dict[str, str] = {}  # by subject: what is not done now, and why
    notes: tuple[Note, ...] = ()  # the newest
    noted: int = 0  # how many there have ever been

    def noting(self, now: Instant, level: str, subject: str, word: str, text: str) -> "ClusterState":
        """Return the state with one more note."""
        notes = (*self.notes[-NOTES_KEPT + 1 :], Note(now, level, subject, word, text))
        return replace(self, notes=notes, noted=self.noted + 1)

    def with_held(self, service: ServiceName, held: HeldLease | None) -> "ClusterState":
        """Return the state in which this host holds the service's lease so, or not at all."""
        rest = {name: other for name, other in self.held.items() if name != service}
        return replace(self, held=rest if held is None else {**rest, service: held})

    def leads(self, now: Instant) -> bool:
        """Tell whether this host surely leads."""
        return self.leads_under > 0 and self.session.is_sure(now)

    def leader_epoch_of(self, service: ServiceName) -> Epoch:
        """Return the smallest leader's epoch that an assignment of the service may have."""
        return self.assigned_under.get(service, 0)

    @property
    def others(self) -> tuple[HostName, ...]:
        """Return the other hosts of the file."""
        return tuple(name for name in self.policy.hosts if name != self.me)


def latest_report(state: ClusterState, host: HostName) -> HostReport | None:
    """Return what the host last said of itself, by beat or through the coordinator; None if it said nothing yet."""
    if host == state.me:
        return state.report
    written = state.view.hosts.get(host) if state.view is not None else None
    peer = state.peers.get(host)
    beaten = peer.report if peer is not None else None
    if written is None or beaten is None:
        return written or beaten
    if (
        beaten.life != written.life
    ):  # the coordinator's is of a life that has a session; a beat may be of its next one
        return beaten if state.reach.get(host) is Reach.HEARD else written
    return beaten if beaten.number >= written.number else written


def member_report(state: ClusterState, host: HostName, component: ComponentId) -> MemberReport | None:
    """Return what the host last said of one member."""
    report = latest_report(state, host)
    return report.members.get(component) if report is not None else None
