"""The verdict: how an instance is, why, and why it may not have the role, from all that was seen of it.

Pure. The order of the questions is the order of causes: who does not run cannot answer, who is frozen cannot write, and
a full disk explains more than the statement that failed on it.
"""

from holdfast.model.standing import Status
from holdfast.model.value import Value
from holdfast.postgresql.asking import Room, Standing
from holdfast.postgresql.control import Control
from holdfast.postgresql.faults import Doubt, Fault
from holdfast.postgresql.files import Unfinished
from holdfast.postgresql.position import Position
from holdfast.postgresql.postmaster import Look

# Bytes. The log's segments are used again, so a write of ours may work when users' tables cannot grow any more.
ROOM_MIN = 1024 * 1024


class Seen(Value, frozen=True):
    """All that was seen of an instance in one look."""

    look: Look
    standing: Standing | None = None
    doubt: Doubt | None = None  # why there is no standing, or why it did not write
    room: Room | None = None
    control: Control | None = None
    unfinished: Unfinished | None = None
    progress: str = ""  # of a recovery
    is_progressing: bool = False  # and whether it moved since the last look
    too_small: str = ""  # which parameter is smaller than the primary's was; see running.py
    nofailover: bool = False  # the operator's tag


class Limits(Value, frozen=True):
    """What a standby may lack to be fit."""

    lag_max: int = 1024 * 1024  # bytes behind `primary`
    primary: Position = Position()  # as it was last published
    system: str = ""  # identifier; empty: not known yet


class Verdict(Value, frozen=True):
    """How the instance is."""

    status: Status
    reason: str = ""
    unfit: str = ""  # why it must not be given the role; empty: it may


def judge(seen: Seen, limits: Limits) -> Verdict:
    """Return how the instance is."""
    status, reason = _status(seen)
    return Verdict(status, reason, _unfit(seen, limits, status, reason))


def _status(seen: Seen) -> tuple[Status, str]:
    if told := _processes(seen.look):
        return Status.DOWN, told
    if seen.doubt is not None and not _is_a_standbys(seen, seen.doubt):
        return _doubted(seen, seen.doubt)
    if seen.standing is None:
        return Status.UNKNOWN, "it was not asked yet"
    return _answered(seen.standing, why_no_room(seen.room))


def _processes(look: Look) -> str:
    """Return what is wrong with its processes."""
    if look.postmaster is None:
        if look.others:
            return f"its postmaster is gone, and {len(look.others)} of its processes are left"
        return "its postmaster is gone" if look.is_stale else "it does not run"
    if look.is_frozen:
        return "all of its processes are stopped by a signal"
    if look.postmaster.is_stopped:
        return "its postmaster is stopped by a signal: it lets nobody in"
    return ""


def _answered(standing: Standing, room: str) -> tuple[Status, str]:
    if standing.is_primary:
        if room:
            return Status.DOWN, room
        if standing.connections >= standing.connections_max > 0:
            taken = f"{standing.connections} of {standing.connections_max}"
            return (
                Status.SUSPECT,
                f"clients get no connection: {taken} are taken, only reserved ones are left",
            )
        return Status.UP, ""
    if standing.is_replay_paused:
        return Status.SUSPECT, "its replay is paused"
    if not standing.upstream:
        return Status.SUSPECT, "it streams from nobody"
    return Status.UP, ""


def _is_a_standbys(seen: Seen, doubt: Doubt) -> bool:
    """Tell whether it refused to write because it is a standby, as it should."""
    return doubt.fault is Fault.READ_ONLY and seen.standing is not None and not seen.standing.is_primary


# What each fault means, where nothing else explains it.
_MEANINGS = {
    Fault.REFUSED: (Status.DOWN, "it lets nobody in"),
    Fault.SILENT: (Status.DOWN, "it hangs"),
    Fault.NOT_READY: (Status.SUSPECT, "it is not open"),
    Fault.FULL: (Status.DOWN, "all of its connections are taken, the reserved ones too"),
    Fault.DENIED: (Status.SUSPECT, "we are not let in"),
    Fault.BROKEN: (Status.SUSPECT, "the connection broke"),
    Fault.READ_ONLY: (Status.DOWN, "its transactions are read-only"),
    Fault.DISK_FULL: (Status.DOWN, "its disk is full"),
    Fault.IO: (Status.DOWN, "its disk fails"),
    Fault.DAMAGED: (Status.DOWN, "its data is damaged"),
    Fault.MEMORY: (Status.SUSPECT, "it has no memory left"),
    Fault.SLOW: (Status.SUSPECT, "it lets us in and does not finish in time"),
    Fault.LIMIT: (Status.SUSPECT, "one of its limits is reached"),
    Fault.OTHER: (Status.DOWN, "it does not do what it is asked"),
}
# A file that cannot be opened for writing is told as missing rights.
_BY_A_DISK = {Fault.SLOW, Fault.IO, Fault.OTHER, Fault.BROKEN, Fault.DENIED, Fault.REFUSED}


def _doubted(seen: Seen, doubt: Doubt) -> tuple[Status, str]:
    if doubt.fault is Fault.NOT_READY and seen.is_progressing:
        return Status.UNKNOWN, f"it recovers: {seen.progress}"
    if doubt.fault in _BY_A_DISK and (room := why_no_room(seen.room)):
        return Status.DOWN, f"{room}: {doubt.text}"
    status, meaning = _MEANINGS[doubt.fault]
    asleep = sum(process.state == "D" for process in seen.look.everything)
    if doubt.fault is Fault.SILENT and asleep:
        meaning = f"{meaning}, and {asleep} of its processes wait for a disk"
    return status, f"{meaning}: {seen.progress or doubt.text}"


def why_no_room(room: Room | None) -> str:
    """Return why nothing can be written to the disk; empty: it can, or that is not known."""
    if room is None:
        return ""
    if room.is_read_only:
        return "its file system is read-only"
    if room.free < ROOM_MIN:
        return f"its disk is full: {room.free >> 10} KiB are free"
    return ""


def _unfit(seen: Seen, limits: Limits, status: Status, reason: str) -> str:
    if seen.unfinished is not None:
        return f"a {seen.unfinished.work} of its data began and did not end"
    if limits.system and seen.control is not None and seen.control.system != limits.system:
        return f"its data is of another system, {seen.control.system}"
    if seen.nofailover:
        return "it is tagged nofailover"
    if status is Status.DOWN:
        return reason
    standing = seen.standing
    if standing is None:
        return reason or "it was not asked yet"
    if standing.is_primary:
        return reason if status is not Status.UP and why_no_room(seen.room) else ""
    return why_no_room(seen.room) or seen.too_small or _behind(standing, limits)


def _behind(standing: Standing, limits: Limits) -> str:
    """Tell why a standby's log is not good enough. A larger place on an older timeline is behind."""
    primary = limits.primary
    if standing.position.timeline < primary.timeline:
        return f"it is on timeline {standing.position.timeline}, and the primary was on {primary.timeline}"
    behind = primary.lsn - standing.position.lsn
    if standing.position.timeline == primary.timeline and behind > limits.lag_max:
        return f"it is {behind} bytes behind the primary, and {limits.lag_max} are allowed"
    return ""
