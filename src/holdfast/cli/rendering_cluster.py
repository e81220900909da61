"""Answers to "why" of several hosts: a service's lease, a member of another host, a host."""

from holdfast.agent.cluster_status import ClusterStatus, HostStatus
from holdfast.cli.painting import Paint
from holdfast.cli.rendering_hosts import heard, lease_lines
from holdfast.cli.standing import leases_of, role_elsewhere
from holdfast.cli.table import wrap
from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, HostName, ServiceName, member_of, service_of
from holdfast.model.standing import Status
from holdfast.model.state import State


def lease_text(cluster: ClusterStatus, service: ServiceName, paint: Paint) -> list[str]:
    """Return who holds the lease of an exclusive service, who should and why; and what is withheld of it."""
    lines: list[str] = []
    for one in cluster.leases:
        if one.service == service:
            lines += ["", "lease", *lease_lines(one, paint)]
    return lines


def elsewhere_text(
    state: State, component: ComponentId, cluster: ClusterStatus | None, paint: Paint
) -> list[str]:
    """Return what its host tells of a member, and how well that host is heard."""
    host = host_of(state, component, cluster)
    report = state.elsewhere.get(component)
    if report is None:
        report = MemberReport(Status.UNKNOWN, reason="its host has not told yet")
    head = f"{component} is {report.status}" + (f": {report.reason}" if report.reason else "")
    lines = wrap(head, paint, rest="  ")
    policy = state.policy.services[service_of(component)]
    if policy.is_exclusive:
        role = role_elsewhere(member_of(component), report, leases_of(cluster).get(policy.name))
        told = (
            f"{role}, epoch {report.epoch}"
            if role != "former"
            else f"former primary, epoch {report.epoch}: the lease is another member's"
        )
        lines += wrap(told, paint, first="  role     ")
    if report.unfit:
        lines += wrap(report.unfit, paint, first="  unfit    ")
    if report.note:
        lines += wrap(report.note, paint, first="  note     ")
    if report.leaving:
        lines += wrap(report.leaving, paint, first="  leaving  ")
    if policy.traffic is not None:
        lines += wrap(f"traffic lane {report.lane}", paint, first="  traffic  ")
    status = next((one for one in cluster.hosts if one.name == host), None) if cluster is not None else None
    lines += wrap(_of_host(host, status), paint, first="  host     ")
    if cluster is not None and policy.is_exclusive:
        lines += lease_text(cluster, policy.name, paint)
    if host:
        more = f"its process, checks and decisions: holdfast --host {host} explain {component}"
        lines += ["", *wrap(more, paint)]
    return lines


def host_of(state: State, component: ComponentId, cluster: ClusterStatus | None) -> HostName:
    """Return where a member of another host runs; empty if that is not known."""
    if cluster is not None:
        for one in cluster.elsewhere:
            if one.component == component:
                return one.host
    service = state.policy.services[service_of(component)]
    return next((m.on or "" for m in service.elsewhere if m.name == member_of(component)), "")


def _of_host(host: HostName, status: HostStatus | None) -> str:
    if status is None:
        return host or "not known"
    session = "a session" if status.has_session else "no session"
    return f"{host} ({status.address}): {heard(status)} by heartbeats, {session} with the coordinator"


def host_text(state: State, host: HostName, cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return how one host takes part in the cluster, and what it looks after."""
    status = next(one for one in cluster.hosts if one.name == host)
    takes_part = status.has_session and status.reach != "lost"
    lines = wrap(f"{host} {'takes part' if takes_part else 'does not take part'}", paint)
    lines += wrap(
        f"{status.address}" + (", the host that was asked" if status.is_me else ""),
        paint,
        first="  address  ",
    )
    session = "yes" if status.has_session else "no: its leases are free, and it takes none over"
    if not cluster.is_current:
        session = "not known: what stands in the coordinator is not being watched at the moment"
    lines += wrap(session, paint, first="  session  ")
    if not status.is_me:
        lines += wrap(heard(status), paint, first="  beats    ")
    lines += wrap("yes" if status.leads else "no", paint, first="  leads    ")
    lines += wrap(", ".join(status.leases) or "none", paint, first="  leases   ")
    lines += wrap(", ".join(_members(state, host, cluster)) or "none", paint, first="  members  ")
    runs = f"revision {status.revision or 'not known'}, holdfast {status.version or 'not known'}"
    lines += wrap(runs, paint, first="  runs     ")
    if status.problem:
        lines += wrap(status.problem, paint, first="  problem  ")
    return lines


def _members(state: State, host: HostName, cluster: ClusterStatus) -> list[str]:
    if host == cluster.me:
        return [f"{id_} {component.status}" for id_, component in state.components.items()]
    return [f"{one.component} {one.report.status}" for one in cluster.elsewhere if one.host == host]
