"""Rolling a new file out: one host after the other, in the file's order, each once the one before it runs it well.

So a file that breaks a service breaks it on one host, and the others go on with the old one until somebody looks. What was down
before proves nothing against the file, and would be waited for without end: it is left out, and that is said.
"""

from collections.abc import Mapping

from holdfast.loop.cluster.state import ClusterState, latest_report
from holdfast.model.ids import ComponentId, HostName
from holdfast.model.policy import Policy
from holdfast.model.standing import Status
from holdfast.model.time import SECOND, Duration

_SETTLED = frozenset({Status.UP, Status.DRAINING, Status.STOPPED})
FIXED = ("coordinator", "secret", "lease", "heartbeat", "port")  # of the file's `cluster`
TO_CHANGE_THEM = (
    "end the agents of all hosts, remove shared-policy.json from their state directories if it is there, "
    "change the file on each, and start them again"
)
WATCHED_MIN: Duration = SECOND
WATCHED_MAX: Duration = 30 * SECOND


def watched_for(policy: Policy) -> Duration:
    """Return for how long hosts have to run a file well before the next one trusts it: until any probe could have failed.

    A changed probe, and a program that dies of its new settings after a moment, take that long to show.
    """
    probes = (
        probe for service in policy.services.values() for member in service.members for probe in member.probes
    )
    slowest = max((probe.every * probe.fall + probe.timeout for probe in probes), default=WATCHED_MIN)
    return min(max(slowest, WATCHED_MIN), WATCHED_MAX)


def forerunners(state: ClusterState) -> tuple[HostName, ...]:
    """Return the hosts with a session that take a new file over before this one."""
    hosts = list(state.policy.hosts)
    earlier = (
        hosts[: hosts.index(state.me)] if state.me in hosts else hosts
    )  # one that was taken out comes last
    return tuple(name for name in earlier if state.view is not None and name in state.view.hosts)


def down_before(state: ClusterState, revision: str) -> dict[HostName, frozenset[ComponentId]]:
    """Return what is down, by host, at the first sight of a new file. Who runs `revision` already tells nothing of before."""
    found: dict[HostName, frozenset[ComponentId]] = {}
    for host in state.policy.hosts:
        report = latest_report(state, host)
        if report is None or report.revision == revision:
            continue
        down = frozenset(id_ for id_, member in report.members.items() if member.status is Status.DOWN)
        if down:
            found[host] = down
    return found


def why_wait(
    state: ClusterState, revision: str, excused: Mapping[HostName, frozenset[ComponentId]] | None = None
) -> str:
    """Return why this host does not take `revision` over yet; empty if it may. `excused`: what was down before."""
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
        left_out = (excused or {}).get(host, frozenset())
        for component, member in report.members.items():
            if member.status not in _SETTLED and component not in left_out:
                return f"{host} runs it, but {component} there is {member.status}: {member.reason}"
    return ""


def why_not_while_running(before: Policy, after: Policy) -> tuple[str, ...]:
    """Return what the file changes that agents which run cannot take over, each in words; empty if nothing.

    Hosts that differ in one of these do not hear each other, call each other silent, or promise for another time than is counted on;
    and while a file is rolled out they differ.
    """
    old, new = before.cluster, after.cluster
    if old is None or new is None:
        return ()
    found = [f"cluster.{name}" for name in FIXED if getattr(old, name) != getattr(new, name)]
    found += [
        f"hosts.{name}.address"
        for name, host in before.hosts.items()
        if name in after.hosts and after.hosts[name].address != host.address
    ]
    return tuple(f"{name} cannot change while agents run" for name in found)
