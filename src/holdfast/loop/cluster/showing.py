"""What follows from the cluster loop's state without any order: asked for after each turn, passed on when it changed."""

from holdfast.detect.reach import Reach
from holdfast.loop.cluster import promising
from holdfast.loop.cluster.state import ClusterState, SentBeat, latest_report
from holdfast.loop.cluster.whereabouts import host_of
from holdfast.model.beats import Beat, Heard
from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, HostName, component_id
from holdfast.model.policy import ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.time import Instant
from holdfast.model.value import replace


def elsewhere(state: ClusterState) -> dict[ComponentId, MemberReport]:
    """Return how the members on other hosts are, as seen from here: what their host says, unless it is silent."""
    found: dict[ComponentId, MemberReport] = {}
    for service in state.policy.services.values():
        for member in service.members:
            host = host_of(state, service, member.name)
            if host is not None and host != state.me:
                id_ = component_id(service.name, member.name)
                found[id_] = _seen(state, service, id_, host)
    return found


def _seen(state: ClusterState, service: ServicePolicy, id_: ComponentId, host: HostName) -> MemberReport:
    reported = latest_report(state, host)
    report = reported.members.get(id_) if reported is not None else None
    if report is None:
        return MemberReport(
            Status.UNKNOWN, reason=f"{host} has not told yet", unfit="not known", unread="not known"
        )
    if is_silent(state, host):
        lane = Lane.OUT if service.is_exclusive else Lane.DOWN
        return replace(report, status=Status.DOWN, lane=lane, share=0.0, reason=f"{host} is silent")
    lane = _lane(state, service, host, report)
    return report if lane is report.lane else replace(report, lane=lane)


def is_silent(state: ClusterState, host: HostName) -> bool:
    """Tell whether nothing is heard of the host. Where beats never came, its session speaks for it."""
    how = state.reach.get(host, Reach.UNKNOWN)
    if how is Reach.LOST:
        return True
    has_session = state.view is not None and host in state.view.hosts
    return how is Reach.UNKNOWN and not has_session


def _lane(state: ClusterState, service: ServicePolicy, host: HostName, report: MemberReport) -> Lane:
    """Cut the traffic of a primary whose lease is in another's hands, whatever it says itself."""
    if not service.is_exclusive or report.role is not Role.PRIMARY or state.view is None:
        return report.lane
    lease = state.view.leases.get(service.name)
    return Lane.OUT if lease is not None and lease.host != host else report.lane


def next_beat(state: ClusterState, now: Instant) -> tuple[ClusterState, Beat]:
    """Return the beat to send now, and the state that remembers it was sent."""
    sequence = state.sequence + 1
    holds = promising.asked(state, now)
    heard = {
        host: Heard(peer.life, peer.sequence, max(0, now - peer.heard_at), peer.report_number)
        for host, peer in state.peers.items()
        if peer.life
    }
    beat = Beat(
        state.me,
        state.life,
        sequence,
        heard,
        report_number=state.report.number,
        report=None if _is_acknowledged(state) else state.report,
        is_connected=state.session.is_sure(now) and not state.session.is_strained(now),
        holds=holds,
        promises=promising.granted(state),
        promises_last=promising.promise_lasts(state),
    )
    sent = promising.remembered(state, sequence, SentBeat(now, holds), now)
    return replace(state, sequence=sequence, sent=sent), beat


def _is_acknowledged(state: ClusterState) -> bool:
    """Tell whether every host that is heard has our newest report."""
    for host, peer in state.peers.items():
        if state.reach.get(host) is Reach.LOST:
            continue
        echo = peer.heard.get(state.me)
        if echo is None or echo.life != state.life or echo.report < state.report.number:
            return False
    return bool(state.peers)
