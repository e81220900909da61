"""What can go wrong between several hosts, and what operators may do meanwhile."""

from enum import StrEnum

from holdfast.model.ids import HostName
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value
from holdfast.sim.faults import FaultKind


class Trouble(StrEnum):
    """The closed list of what is done to a cluster. Most end after `lasts`."""

    AGENT_CRASH = "agent_crash"  # and is back after `lasts`; components go on
    AGENT_PAUSE = "agent_pause"  # SIGSTOP
    GUARD_PAUSE = "guard_pause"
    MACHINE_PAUSE = "machine_pause"  # everything on a host, as in a virtual machine that is moved
    HOST_CRASH = "host_crash"  # and is back after `lasts`, with nothing on it
    ISOLATE = "isolate"  # a host is cut off from everything
    DEAFEN = "deafen"  # a host hears no other host, and is heard
    MUTE = "mute"  # a host is heard by no other host, and hears
    BRIDGE = "bridge"  # two hosts are cut off from each other
    APART = "apart"  # a host is cut off from the other hosts, and reaches the coordinator
    STORE_CUT = "store_cut"  # a host is cut off from the coordinator
    STORE_CUT_ALL = "store_cut_all"  # all are, and it goes on counting
    STORE_AWAY = "store_away"  # the coordinator answers nobody, and counts nothing
    REVOKE = "revoke"  # the coordinator ends a session before its time
    LOSS = "loss"  # window: a third of what a host sends and gets is lost
    SLOW_LINKS = "slow_links"  # window: it comes late
    SLOW_STOPS = "slow_stops"  # window: stopping takes its whole grace
    FENCE_FAILS = "fence_fails"  # window: the fence device does not work
    POLICY = "policy"  # another file is applied
    UPGRADE = "upgrade"  # the agents of all hosts are restarted, one after the other
    SWITCHOVER = "switchover"
    DRAIN = "drain"  # of a component; ended after `lasts`
    LOCAL = "local"  # one of the faults of a single host: `kind`


LOCAL_KINDS = (
    FaultKind.CRASH,
    FaultKind.HANG,
    FaultKind.FREEZE,
    FaultKind.FAIL_START,
    FaultKind.CRASH_AT_START,
    FaultKind.FAIL_STOP,
    FaultKind.FAIL_PROMOTE,
    FaultKind.FAIL_DEMOTE,
    FaultKind.UNREADY,
)


PRIMARY: HostName = "*"  # whichever host serves when the fault is put in
STANDBY: HostName = "?"  # one that does not


class ClusterFault(Value, frozen=True):
    """One fault."""

    kind: Trouble
    at: Instant  # from the beginning of the simulation
    host: HostName = ""
    lasts: Duration = 0
    target: str = ""  # a component or a service; bridge: the other host
    local: FaultKind | None = None
