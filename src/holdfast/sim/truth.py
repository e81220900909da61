"""The truth: what really runs and what the balancer really does, which the core can only learn about.

The checkers judge by this alone. The core never sees it: it hears events, late, twice or not at all.
"""

from dataclasses import dataclass, field

from holdfast.model.duty import is_wanted
from holdfast.model.events import MemberTraffic, ProcessSeen
from holdfast.model.ids import (
    ComponentId,
    Epoch,
    Incarnation,
    MemberName,
    ServiceName,
    component_id,
    service_of,
)
from holdfast.model.policy import Mode, Policy, Purpose, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.sim.faults import Fault, FaultKind

NEVER: Instant = 1 << 62


@dataclass(slots=True)
class Life:
    """One process that runs."""

    incarnation: Incarnation
    digest: str  # of what it was really started with
    ready_at: Instant  # it answers from then on
    is_adopted: bool = False
    is_frozen: bool = False
    is_hung: bool = False
    is_primary: bool = False  # as recorded beside the process
    epoch: Epoch = 0


@dataclass(slots=True)
class Carried:
    """What the balancer does with one service."""

    active: MemberName | None
    lanes: dict[MemberName, Lane]
    busy_until: dict[MemberName, Instant] = field(default_factory=dict)  # its last session ends then
    readers: dict[MemberName, Lane] = field(default_factory=dict)


class World:
    """Everything that is so, whoever knows it."""

    def __init__(self) -> None:
        self.lives: dict[ComponentId, Life] = {}
        self.balancer: dict[ServiceName, Carried] = {}
        self.windows: list[tuple[Instant, Fault]] = []  # open faults and when they end
        self.ceilings: dict[ServiceName, Epoch] = {}  # the epoch book, on disk
        self.modes: dict[ServiceName, Mode] = {}  # also of services that the file no longer names
        self.hooked: set[ComponentId] = set()  # those with a promote hook
        self.probed: set[ComponentId] = set()  # those whose hanging can be noticed
        self.next_pid = 100

    def learn(self, policy: Policy) -> None:
        """Know the modes of what the file names."""
        for name, service in policy.services.items():
            self.modes[name] = service.mode
            for member in service.members:
                id_ = component_id(name, member.name)
                if member.run.has_roles:
                    self.hooked.add(id_)
                if any(probe.purpose is Purpose.LIVENESS for probe in member.probes):
                    self.probed.add(id_)

    def has(self, kind: FaultKind, subject: str, now: Instant) -> bool:
        """Tell whether a window of this fault is open for `subject`."""
        windows = self.windows
        if not windows:
            return False
        return any(fault.kind is kind and now < ends and fault.names(subject) for ends, fault in windows)

    def lives_of(self, service: ServiceName) -> list[tuple[ComponentId, Life]]:
        """Return what runs of one service, named by the file or not."""
        return [(id_, life) for id_, life in self.lives.items() if service_of(id_) == service]

    def balancer_life(self, policy: Policy) -> Life | None:
        """Return the process of our balancer, if it runs."""
        for service in policy.services.values():
            if service.is_builtin:
                return next((self.lives[id_] for id_ in service.components if id_ in self.lives), None)
        return None

    def route(self, service: ServiceName, routing: Routing, ends: Instant, now: Instant) -> None:
        """Do what the balancer was told; a member that drains keeps its sessions until `ends`."""
        before = self.balancer.get(service)
        busy = dict(before.busy_until) if before else {}
        for name, lane in routing.lanes.items():
            was_in = before is None or before.lanes.get(name) is Lane.IN
            if lane is Lane.DRAIN and was_in:
                busy[name] = ends
            elif lane in (Lane.OUT, Lane.DOWN):
                busy[name] = now
        self.balancer[service] = Carried(routing.active, dict(routing.lanes), busy, dict(routing.readers))

    def traffic(
        self, policy: ServicePolicy, now: Instant
    ) -> tuple[MemberName | None, dict[MemberName, MemberTraffic]]:
        """Return what the balancer says of one service."""
        carried = self.balancer.get(policy.name)
        seen: dict[MemberName, MemberTraffic] = {}
        for member in policy.members:
            lane = carried.lanes.get(member.name, Lane.OUT) if carried else Lane.OUT
            life = self.lives.get(component_id(policy.name, member.name))
            is_up = lane is Lane.IN and life is not None and now >= life.ready_at
            is_busy = carried is not None and (
                lane is Lane.IN or now < carried.busy_until.get(member.name, 0)
            )
            seen[member.name] = MemberTraffic(lane, int(is_busy and life is not None), is_up)
        return (carried.active if carried else None), seen

    def readers(self, policy: ServicePolicy) -> dict[MemberName, MemberTraffic]:
        """Return what the balancer says of those of one service who are read from: it opens to nobody by itself."""
        if policy.traffic is None or policy.traffic.read_only is None:
            return {}
        carried = self.balancer.get(policy.name)
        lanes = carried.readers if carried is not None else {}
        return {
            member.name: MemberTraffic(
                lanes.get(member.name, Lane.OUT), 0, component_id(policy.name, member.name) in self.lives
            )
            for member in policy.members
        }

    def seen(self) -> tuple[ProcessSeen, ...]:
        """Return what a look at the processes finds now."""
        return tuple(
            ProcessSeen(
                id_,
                life.incarnation,
                life.is_frozen,
                life.is_primary,
                life.epoch,
                life.digest,
                life.is_adopted,
            )
            for id_, life in self.lives.items()
        )


def wanted(state: State) -> list[ComponentId]:
    """Return the components that should run, as the core decided."""
    return [
        id_
        for service in state.policy.services.values()
        for id_ in service.components
        if is_wanted(state, id_)
    ]
