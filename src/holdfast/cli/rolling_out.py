"""How far a shared file has come: which hosts run it, and what the others wait for. Pure."""

import re
from enum import StrEnum

from holdfast.agent.cluster_status import ClusterStatus, HostStatus
from holdfast.model.ids import HostName
from holdfast.model.value import Value


class Stand(StrEnum):
    """Where one host stands."""

    RUNS = "runs"
    WAITS = "waits"
    AWAY = "away"  # without a session: nobody waits for it


class HostProgress(Value, frozen=True):
    """One host, and why it does not run the file yet."""

    host: HostName
    stand: Stand
    text: str


class RollOut(Value, frozen=True):
    """All hosts of the file, in the order in which they take it over."""

    hosts: tuple[HostProgress, ...]

    @property
    def is_done(self) -> bool:
        """Tell whether every host with a session runs the file, and there is one."""
        stands = [one.stand for one in self.hosts]
        return Stand.RUNS in stands and Stand.WAITS not in stands

    @property
    def waiting(self) -> tuple[HostProgress, ...]:
        """Return the hosts that do not run it yet."""
        return tuple(one for one in self.hosts if one.stand is not Stand.RUNS)


def roll_out(cluster: ClusterStatus, revision: str) -> RollOut:
    """Return how far the file of that revision has come, as the asked host sees it."""
    return RollOut(tuple(_progress(cluster, host, revision) for host in cluster.hosts))


def _progress(cluster: ClusterStatus, host: HostStatus, revision: str) -> HostProgress:
    if host.revision == revision and (host.has_session or host.is_me):
        return HostProgress(host.name, Stand.RUNS, "runs it")
    if not host.has_session and not host.is_me:
        return HostProgress(host.name, Stand.AWAY, "has no session: it takes it over when it is back")
    told = cluster.policy_waiting if host.is_me else host.problem
    why = re.sub(r"^policy \d+ by .*? waits: ", "", told) or "it has not taken it over yet"
    return HostProgress(host.name, Stand.WAITS, f"waits: {why}")
