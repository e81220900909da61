"""Faults: what can go wrong in the simulated world, and what operators may do to it meanwhile.

A schedule is a list of these and a seed. A fault with `lasts` is a window: while it is open, what it names
goes wrong about every other time. The others happen once.
"""

from enum import StrEnum

from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value


class FaultKind(StrEnum):
    """The closed list of what the simulator can do to a system."""

    CRASH = "crash"  # a process ends
    HANG = "hang"  # it answers nothing, and ignores a gentle stop, until it is ended
    FREEZE = "freeze"  # stopped by a signal; continued after `lasts`
    SLOW = "slow"  # window: answers come after the probe's timeout
    UNREADY = "unready"  # window: readiness fails, liveness does not
    DEGRADED = "degraded"  # window: answers with a warning
    FAIL_START = "fail_start"  # window: starting fails
    CRASH_AT_START = "crash_at_start"  # window: what starts ends at once
    NEVER_READY = "never_ready"  # window: what starts never gets ready
    FAIL_STOP = "fail_stop"  # window: stopping fails, and it may end later
    FAIL_PROMOTE = "fail_promote"  # window: the hook fails or passes its time limit
    FAIL_DEMOTE = "fail_demote"  # the same
    FAIL_ROUTE = "fail_route"  # window: the balancer refuses
    LOSE_FINISHED = "lose_finished"  # window: it was done, but nobody hears of it
    LATE_FINISHED = "late_finished"  # window: it is heard after its deadline
    LOSE_EVENTS = "lose_events"  # window: ends, stops and answers are not heard
    DOUBLE_EVENTS = "double_events"  # window: they are heard twice
    LATE_EVENTS = "late_events"  # window: they are heard late, and in another order
    LATE_SURVEYS = "late_surveys"  # window: a survey takes long
    AGENT_CRASH = "agent_crash"  # the agent dies, forgets its newest turns, and is back after `lasts`
    REBOOT = "reboot"  # the host restarts: nothing runs, another boot id
    DRIFT = "drift"  # somebody sets a lane by hand
    SWITCHOVER = "switchover"  # the operator's wishes from here on
    DRAIN = "drain"  # ended after `lasts`
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    DOWN = "down"  # everything is to be stopped; for stories, not drawn by seeds
    POLICY = "policy"  # the file changes: `to` names the variant


class Fault(Value, frozen=True):
    """One fault. `target` is a component or a service; empty: the agent, or everything."""

    kind: FaultKind
    at: Instant  # from the beginning of the simulation
    target: str = ""
    lasts: Duration = 0
    to: str = ""  # switchover: the member; drift: member=lane; policy: the variant

    def names(self, subject: str) -> bool:
        """Tell whether the fault concerns `subject`: itself, or its service, or everything."""
        return self.target in ("", subject) or subject.partition("/")[0] == self.target


class Harm(Value, frozen=True):
    """A fault that was put in, and what came of it: why it did nothing, or why a command was refused."""

    fault: Fault
    note: str = ""


OF_COMPONENTS = (
    FaultKind.CRASH,
    FaultKind.HANG,
    FaultKind.FREEZE,
    FaultKind.SLOW,
    FaultKind.UNREADY,
    FaultKind.DEGRADED,
    FaultKind.FAIL_START,
    FaultKind.CRASH_AT_START,
    FaultKind.NEVER_READY,
    FaultKind.FAIL_STOP,
    FaultKind.DRAIN,
)
OF_WHOLE = (
    FaultKind.FAIL_START,
    FaultKind.CRASH_AT_START,
    FaultKind.FAIL_STOP,
    FaultKind.SLOW,
    FaultKind.UNREADY,
)
OF_PAIRS = (FaultKind.FAIL_PROMOTE, FaultKind.FAIL_DEMOTE, FaultKind.SWITCHOVER)
OF_NOBODY = (
    FaultKind.LOSE_FINISHED,
    FaultKind.LATE_FINISHED,
    FaultKind.LOSE_EVENTS,
    FaultKind.DOUBLE_EVENTS,
    FaultKind.LATE_EVENTS,
    FaultKind.LATE_SURVEYS,
    FaultKind.AGENT_CRASH,
    FaultKind.REBOOT,
)
