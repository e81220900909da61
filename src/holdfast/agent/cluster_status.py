"""The cluster as one host sees it: the part of the status that tells of other hosts. All ages in seconds.

Names in here are a promise to scripts, as in `status`. It stands apart from what fills it in, so that the command line can
read it without loading an agent.
"""

from holdfast.loop.cluster.state import Note
from holdfast.model.cluster import Assignment, Lease, MemberReport
from holdfast.model.ids import ComponentId, HostName, ServiceName
from holdfast.model.postgresql import Record
from holdfast.model.value import Value, replace


class HostStatus(Value, frozen=True):
    """One host as seen from here."""

    name: HostName
    address: str
    is_me: bool
    leads: bool
    has_session: bool  # with the coordinator
    reach: str  # by heartbeats: heard, suspect, lost, unknown; "me"
    silent_s: float | None  # since its last beat
    revision: str  # of the policy that it runs
    version: str
    problem: str
    leases: tuple[ServiceName, ...]


class LeaseStatus(Value, frozen=True):
    """One exclusive service: who holds its lease, and who should."""

    service: ServiceName
    lease: Lease | None
    assignment: Assignment | None
    left_s: float | None  # held here: until nobody else can hold it
    promised_by: dict[HostName, float] = {}  # held here: seconds that others still keep their word
    withheld: str = ""
    commits: str = ""  # of a database: for whom its primary's commits wait
    member_notes: dict[
        str, str
    ] = {}  # of a database: what an operator should know of members though they serve
    record: Record | None = None  # of one with synchronous commit: who may be promoted


class ElsewhereStatus(Value, frozen=True):
    """One member on another host, as seen from here."""

    component: ComponentId
    host: HostName
    report: MemberReport


class ClusterStatus(Value, frozen=True):
    """The cluster as one host sees it."""

    me: HostName
    is_connected: bool  # this host's session is sure
    is_current: bool  # what stands in the coordinator is being watched
    problem: str
    hosts: tuple[HostStatus, ...]
    leases: tuple[LeaseStatus, ...]
    elsewhere: tuple[ElsewhereStatus, ...]
    policy_number: int  # of the file shared by `holdfast apply`; 0: each host has its own
    policy_waiting: str  # a newer one is there, and why it is not in force here
    withheld: dict[str, str]
    refused_beats: dict[str, int]
    notes: tuple[Note, ...]
    assignments: tuple[Assignment, ...] = ()  # what the leader wants, of services that are not exclusive too


def without_ages(cluster: ClusterStatus) -> ClusterStatus:
    """Return it without what changes by merely waiting: two that are equal tell a watcher nothing new."""
    return replace(
        cluster,
        hosts=tuple(replace(host, silent_s=None) for host in cluster.hosts),
        leases=tuple(
            replace(lease, left_s=None, promised_by=dict.fromkeys(lease.promised_by, 0.0))
            for lease in cluster.leases
        ),
        refused_beats=dict.fromkeys(cluster.refused_beats, 0),
    )
