"""Names of things. A component is one managed thing on one host: `service/member`."""

from functools import lru_cache
from typing import TypeAlias

HostName: TypeAlias = str
LifeId: TypeAlias = str  # one life of one agent, drawn by chance when it starts
ServiceName: TypeAlias = str
MemberName: TypeAlias = str
ComponentId: TypeAlias = str  # "service/member"
DecisionId: TypeAlias = int  # grows by one with each decision of one host
IncidentId: TypeAlias = str  # "i-1", "i-2", ... of one host
Epoch: TypeAlias = int  # fencing token of a service; only grows
# One life of one process under one boot, "pid:start-ticks"; of what is no process "KIND:NUMBER".
Incarnation: TypeAlias = str


def component_id(service: ServiceName, member: MemberName) -> ComponentId:
    """Return the id of `member` of `service`."""
    return f"{service}/{member}"


@lru_cache(maxsize=8192)  # every turn takes the same few names apart, hundreds of times
def service_of(component: ComponentId) -> ServiceName:
    """Return the service that `component` belongs to."""
    return component.partition("/")[0]


@lru_cache(maxsize=8192)
def member_of(component: ComponentId) -> MemberName:
    """Return the member that `component` is."""
    return component.partition("/")[2]


def pid_of(incarnation: Incarnation) -> int | None:
    """Return the process id that `incarnation` names; None if it names none."""
    pid = incarnation.partition(":")[0]
    return int(pid) if pid.isdigit() else None
