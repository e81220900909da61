"""What an agent tells of the cluster: hosts, leader, leases, promises, and what is held back."""

from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.cluster_status import ClusterStatus, ElsewhereStatus, HostStatus, LeaseStatus
from holdfast.detect.reach import Reach
from holdfast.loop.cluster import leasing
from holdfast.loop.cluster.state import ClusterState, latest_report, member_report
from holdfast.loop.cluster.whereabouts import host_of
from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, HostName, ServiceName, component_id
from holdfast.model.time import SECOND, Instant


def cluster_status(clustering: Clustering, now: Instant) -> ClusterStatus:
    """Return how the cluster is."""
    state = clustering.turning.state
    not_understood = [f"{key}: {why}" for key, why in clustering.seeing.not_understood.items()]
    problems = [
        clustering.keeping.problem,
        clustering.arming.problem,
        clustering.localizing.problem,
        *not_understood,
    ]
    return ClusterStatus(
        me=state.me,
        is_connected=state.session.is_sure(now),
        is_current=clustering.seeing.is_current,
        problem="; ".join(problem for problem in problems if problem),
        hosts=tuple(_host(state, name, now) for name in state.policy.hosts),
        leases=tuple(
            _lease(state, name, now)
            for name, service in state.policy.services.items()
            if service.is_exclusive
        ),
        elsewhere=tuple(_elsewhere(state, clustering.elsewhere)),
        policy_number=clustering.sharing.number,
        policy_waiting=clustering.sharing.waiting,
        withheld=state.withheld,
        refused_beats=clustering.beating.refused,
        notes=state.notes,
        assignments=tuple(state.view.assignments.values()) if state.view is not None else (),
    )


def is_news(turned: ClusterTurned) -> bool:
    """Tell whether a turn changed what is told; most only heard one more beat."""
    before, after = turned.before, turned.after
    return (
        before.view is not after.view
        or before.reach != after.reach
        or before.session.is_sure(turned.at) != after.session.is_sure(turned.at)
        or before.policy is not after.policy
        or before.report.number != after.report.number
        or before.held.keys() != after.held.keys()
        or before.withheld != after.withheld
        or before.noted != after.noted
    )


def _host(state: ClusterState, name: HostName, now: Instant) -> HostStatus:
    report = latest_report(state, name)
    peer = state.peers.get(name)
    view = state.view
    return HostStatus(
        name=name,
        address=state.policy.hosts[name].address,
        is_me=name == state.me,
        leads=view is not None and view.leader is not None and view.leader.host == name,
        has_session=view is not None and name in view.hosts,
        reach="me" if name == state.me else str(state.reach.get(name, Reach.UNKNOWN)),
        silent_s=round((now - peer.heard_at) / SECOND, 3) if peer is not None and peer.life else None,
        revision=report.revision if report is not None else "",
        version=report.version if report is not None else "",
        problem=report.problem if report is not None else "",
        leases=tuple(s for s, lease in view.leases.items() if lease.host == name) if view is not None else (),
    )


def _lease(state: ClusterState, service: ServiceName, now: Instant) -> LeaseStatus:
    view, held = state.view, state.held.get(service)
    left = (leasing.deadlines(state)[service] - now) / SECOND if held is not None else None
    promised = held.promised if held is not None else {}
    return LeaseStatus(
        service=service,
        lease=view.leases.get(service) if view is not None else None,
        assignment=view.assignments.get(service) if view is not None else None,
        left_s=round(left, 3) if left is not None else None,
        promised_by={
            host: round((until - now) / SECOND, 3) for host, until in promised.items() if until > now
        },
        commits=_commits(state, service),
        member_notes=_notes(state, service),
        record=view.records.get(service) if view is not None else None,
        withheld=state.withheld.get(service, "") or state.withheld.get(f"lease {service}", ""),
    )


def _commits(state: ClusterState, service: ServiceName) -> str:
    """Return for whom commits of who holds the lease wait."""
    lease = state.view.leases.get(service) if state.view is not None else None
    report = (
        member_report(state, lease.host, component_id(service, lease.member)) if lease is not None else None
    )
    return report.commits if report is not None else ""


def _notes(state: ClusterState, service: ServiceName) -> dict[str, str]:
    found, policy = {}, state.policy.services[service]
    for member in policy.members:
        host = host_of(state, policy, member.name)
        report = member_report(state, host, component_id(service, member.name)) if host is not None else None
        if report is not None and report.note:
            found[member.name] = report.note
    return found


def _elsewhere(state: ClusterState, members: dict[ComponentId, MemberReport]) -> list[ElsewhereStatus]:
    found = []
    for service in state.policy.services.values():
        for member in service.members:
            id_ = component_id(service.name, member.name)
            host = host_of(state, service, member.name)
            if host is not None and id_ in members:
                found.append(ElsewhereStatus(id_, host, members[id_]))
    return found
