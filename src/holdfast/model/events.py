"""What happened, in the past tense. Everything the core learns comes in as one of these.

An event may come late, twice or never: each carries enough (an incarnation, an instant, an id) for
`observe` to tell whether it is still news.
"""

from enum import StrEnum
from typing import TypeAlias

from holdfast.model.cluster import Entitlement, MemberReport
from holdfast.model.decisions import Decision
from holdfast.model.ids import ComponentId, DecisionId, Epoch, Incarnation, MemberName, ServiceName
from holdfast.model.observation import Observation
from holdfast.model.policy import Policy
from holdfast.model.routing import Lane
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Tagged, Value


class Exit(Value, frozen=True):
    """How a process ended. Neither is set when it was not our child and nobody could tell us."""

    code: int | None = None
    signal: str | None = None  # "KILL", "SEGV", ...
    detail: str = ""  # evidence: "killed by the kernel: out of memory", last lines of its output


class AgentStarted(Tagged, frozen=True):
    """The agent runs (again). What it remembers of processes is doubtful until the next survey."""

    boot: str  # the kernel's boot id
    version: str
    wall_offset: Duration  # wall clock minus CLOCK_BOOTTIME, for rendering only
    salt: int  # seed of the jitter: differs from start to start
    epoch_floors: dict[
        ServiceName, Epoch
    ] = {}  # each service's next epoch is above its floor: what disk remembers


class ProcessSeen(Value, frozen=True):
    """One managed process found running."""

    component: ComponentId
    incarnation: Incarnation
    is_stopped: bool = False  # by a signal (state T)
    is_primary: bool = False  # role as recorded beside the process, not as remembered by the core
    epoch: Epoch = 0
    run_digest: str = ""  # of the ProcessSpec that it was started with
    adopted: bool = False  # not our child: its exit status will not be known


class Surveyed(Tagged, frozen=True):
    """Every managed process was looked for; what is not listed does not run."""

    taken_at: Instant  # when looking began
    processes: tuple[ProcessSeen, ...]


class ProcessExited(Tagged, frozen=True):
    """A process ended."""

    component: ComponentId
    incarnation: Incarnation
    exit: Exit


class ProcessStopped(Tagged, frozen=True):
    """A process was stopped by a signal (SIGSTOP, SIGTSTP) and does nothing."""

    component: ComponentId
    incarnation: Incarnation


class ProcessContinued(Tagged, frozen=True):
    """A stopped process runs again."""

    component: ComponentId
    incarnation: Incarnation


class ProcessDying(Tagged, frozen=True):
    """A process began to end: it serves nothing any more, but it is not proven gone."""

    component: ComponentId
    incarnation: Incarnation


class Probed(Tagged, frozen=True):
    """A probe was answered, or was not."""

    component: ComponentId
    probe: str
    incarnation: Incarnation  # of the process that was asked
    observation: Observation


class MemberTraffic(Value, frozen=True):
    """What the balancer does with one member right now."""

    lane: Lane
    sessions: int
    is_up: bool  # as the balancer's own checks see it


class TrafficSeen(Tagged, frozen=True):
    """What the balancer does with one service right now, read back from it."""

    taken_at: Instant
    service: ServiceName
    active: MemberName | None
    members: dict[MemberName, MemberTraffic]
    readers: dict[MemberName, MemberTraffic] = {}  # where those go who read only


class TrafficLost(Tagged, frozen=True):
    """The balancer does not answer: what it was told is no longer known to hold."""

    taken_at: Instant
    detail: str


class Ending(StrEnum):
    """How carrying out a decision ended."""

    DONE = "done"
    FAILED = "failed"  # proven not done
    UNKNOWN = "unknown"  # it may have been done: a time limit passed


class Finished(Tagged, frozen=True):
    """A decision was carried out, or could not be."""

    decision: DecisionId
    ending: Ending
    error: str = ""
    incarnation: Incarnation | None = None  # Start: of the new process
    exit: Exit | None = None  # Stop: how the process ended
    is_unbegun: bool = False  # FAILED: not permitted now, so it says nothing of the component


class PolicyChanged(Tagged, frozen=True):
    """The operator's file was read and is valid."""

    policy: Policy
    run_digests: dict[ComponentId, str]  # of each ProcessSpec, as `run_digest` in a survey


class SwitchoverRequested(Tagged, frozen=True):
    """The operator wants another member to serve. `to` None: the best candidate."""

    service: ServiceName
    to: MemberName | None
    by: str
    why: str = ""


class DrainRequested(Tagged, frozen=True):
    """The operator wants no new work on a component."""

    component: ComponentId
    by: str
    why: str = ""
    force: bool = False  # even if it is the last member


class PauseRequested(Tagged, frozen=True):
    """The operator wants failures detected but not acted on. `service` None: the whole system."""

    service: ServiceName | None
    until: Instant
    by: str
    why: str


class ResumeRequested(Tagged, frozen=True):
    """End a pause or a drain. `target`: a service, a component, or None for the whole system."""

    target: str | None
    by: str


class RestartRequested(Tagged, frozen=True):
    """The operator wants a service or a component restarted, one member at a time."""

    target: str
    by: str
    why: str = ""


class DownRequested(Tagged, frozen=True):
    """The operator wants everything stopped, dependents first."""

    by: str


class Entitled(Tagged, frozen=True):
    """Which leases this host holds. It replaces what was known of them: a service that is not named has none here."""

    entitlements: dict[ServiceName, Entitlement]


class ElsewhereSeen(Tagged, frozen=True):
    """How the members on other hosts are. It replaces what was known of them."""

    members: dict[ComponentId, MemberReport]


class Ticked(Tagged, frozen=True):
    """Time passed: a deadline of the core's own is due, or the regular full look."""


Command: TypeAlias = (
    SwitchoverRequested | DrainRequested | PauseRequested | ResumeRequested | RestartRequested | DownRequested
)

Event: TypeAlias = (
    AgentStarted
    | Surveyed
    | ProcessExited
    | ProcessStopped
    | ProcessContinued
    | ProcessDying
    | Probed
    | TrafficSeen
    | TrafficLost
    | Finished
    | PolicyChanged
    | SwitchoverRequested
    | DrainRequested
    | PauseRequested
    | ResumeRequested
    | RestartRequested
    | DownRequested
    | Entitled
    | ElsewhereSeen
    | Ticked
)

__all__ = ["Command", "Decision", "Event"]
