"""Rolling a new file out: one host after the other, in the file's order, each once the one before it runs it well.

So a file that breaks a service breaks it on one host, and the others go on with the old one until somebody looks.
"""

from holdfast.loop.cluster.state import ClusterState, latest_report
from holdfast.model.standing import Status

_SETTLED = frozenset({Status.UP, Status.DRAINING, Status.STOPPED})


def why_wait(state: ClusterState, revision: str) -> str:
    """Return why this host does not take `revision` over yet; empty if it may."""
    if state.view is None:
        return "what stands in the coordinator is not known yet"
    for host in state.policy.hosts:
        if host == state.me:
            return ""
        if host not in state.view.hosts:
            continue  # it takes it over when it comes back
        report = latest_report(state, host)
        if report is None or report.revision != revision:
            why = f": {report.problem}" if report is not None and report.problem else ""
            return f"{host} takes it over first{why}"
        for component, member in report.members.items():
            if member.status not in _SETTLED:
                return f"{host} runs it, but {component} there is {member.status}: {member.reason}"
    return ""
