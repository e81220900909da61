"""Why a service whose role goes by lease does not move to another host: the leader's rules, what each needs and has.

Asked of what the hosts report of their members, which is all that the leader has to go by.
"""

from holdfast.agent.cluster_status import ClusterStatus, LeaseStatus
from holdfast.cli.why_not import Rule, WhyNot, one_is_enough
from holdfast.loop.reporting import report_members
from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, HostName, ServiceName, component_id
from holdfast.model.state import State
from holdfast.model.time import Instant


def why_not_moved(state: State, service: ServiceName, cluster: ClusterStatus, now: Instant) -> WhyNot:
    """Return why another member does not take the service's lease now."""
    policy = state.policy.services[service]
    reports = {**state.elsewhere, **report_members(state, now)}
    known = next((one for one in cluster.leases if one.service == service), None)
    holder = known.lease.member if known is not None and known.lease is not None else None
    leader = next((host.name for host in cluster.hosts if host.leads), None)
    rules = [
        Rule("coordinator", "a sure session", "yes" if cluster.is_connected else "no", cluster.is_connected),
        Rule("a host leads", "one", leader or "none", leader is not None),
        _holder(known, service, reports, cluster),
    ]
    for member in policy.everywhere:
        if member.name != holder:
            id_ = component_id(service, member.name)
            rules.append(_candidate(id_, reports.get(id_), _host(id_, cluster), cluster))
    recorded = [
        f"{subject}: {why}"
        for subject, why in cluster.withheld.items()
        if service in (subject, subject.removeprefix("lease "), subject.partition("/")[0])
    ]
    return WhyNot("failover", service, one_is_enough(rules), tuple(recorded))


def _holder(
    known: LeaseStatus | None,
    service: ServiceName,
    reports: dict[ComponentId, MemberReport],
    cluster: ClusterStatus,
) -> Rule:
    if known is None or known.lease is None:
        return Rule("the holder has to give up", "-", "nobody holds the lease", is_met=True)
    lease = known.lease
    report = reports.get(component_id(service, lease.member))
    need = f"{lease.member} unfit, or its host without a session"
    if why := _why_away(lease.host, cluster, needs_beats=False):
        return Rule("the holder has to give up", need, why, is_met=True)
    leaving = report.leaving if report is not None else ""
    have = leaving or f"{lease.member} on {lease.host} serves"
    return Rule("the holder has to give up", need, have, is_met=bool(leaving))


def _candidate(
    component: ComponentId, report: MemberReport | None, host: HostName, cluster: ClusterStatus
) -> Rule:
    why = _why_away(host, cluster, needs_beats=True)
    if not why:
        why = "its host has not told yet how it is" if report is None else report.unfit
    have = why or f"fit, on {host}"
    return Rule(f"candidate {component.partition('/')[2]}", "fit to take over", have, is_met=not why)


def _why_away(name: HostName, cluster: ClusterStatus, *, needs_beats: bool) -> str:
    host = next((one for one in cluster.hosts if one.name == name), None)
    if host is None:
        return "it is placed on no host"
    if not host.has_session:
        return f"its host {name} has no session"
    return f"its host {name} is silent" if needs_beats and host.reach == "lost" else ""


def _host(component: ComponentId, cluster: ClusterStatus) -> HostName:
    there = next((one.host for one in cluster.elsewhere if one.component == component), None)
    return there or cluster.me
