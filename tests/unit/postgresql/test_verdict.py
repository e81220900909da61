"""The verdict names the cause that explains the rest."""

import pytest

from holdfast.model.standing import Status
from holdfast.model.value import replace
from holdfast.postgresql.asking import Room, Standing
from holdfast.postgresql.faults import Doubt, Fault
from holdfast.postgresql.files import Unfinished
from holdfast.postgresql.position import Position
from holdfast.postgresql.postmaster import Look, Phase, Process
from holdfast.postgresql.verdict import Limits, Seen, Verdict, judge

MAIN = Process(10, 1, "S", 1)
CHILD = Process(11, 1, "S", 10)
LOOK = Look(MAIN, (CHILD,), Phase.READY)
STOPPED = Look(replace(MAIN, state="T"), (CHILD,), Phase.READY)
FROZEN = Look(replace(MAIN, state="T"), (replace(CHILD, state="T"),), Phase.READY)
PRIMARY = Standing("1", is_primary=True, position=Position(2, 500), connections=1, connections_max=97)
STANDBY = Standing("1", is_primary=False, position=Position(2, 500), upstream="10.0.0.1:5432")
ROOM = Room(10**10, 10**11, is_read_only=False)
WELL = Seen(LOOK, PRIMARY, room=ROOM)


def doubted(fault: Fault, look: Look = LOOK, room: Room = ROOM) -> Seen:
    return Seen(look, None, Doubt(fault, "so it says"), room)


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (WELL, Status.UP, ""),
        (replace(WELL, standing=STANDBY), Status.UP, ""),
        (replace(WELL, standing=STANDBY, doubt=Doubt(Fault.READ_ONLY, "")), Status.UP, ""),
        (Seen(Look()), Status.DOWN, "it does not run"),
        (Seen(Look(None, (CHILD,), is_stale=True)), Status.DOWN, "its postmaster is gone, and 1 of its"),
        (doubted(Fault.SILENT, FROZEN), Status.DOWN, "all of its processes are stopped"),
        (doubted(Fault.SILENT, STOPPED), Status.DOWN, "its postmaster is stopped"),
        (doubted(Fault.SILENT), Status.DOWN, "it hangs: so it says"),
        (doubted(Fault.SILENT, Look(MAIN, (replace(CHILD, state="D"),))), Status.DOWN, "it hangs, and 1 of"),
        (doubted(Fault.DISK_FULL), Status.DOWN, "its disk is full: so it says"),
        (doubted(Fault.OTHER, room=Room(0, 10, is_read_only=False)), Status.DOWN, "its disk is full: 0 KiB"),
        (
            doubted(Fault.IO, room=Room(99, 100, is_read_only=True)),
            Status.DOWN,
            "its file system is read-only",
        ),
        (
            doubted(Fault.DENIED, room=Room(99, 100, is_read_only=True)),
            Status.DOWN,
            "its file system is read-only",
        ),
        (doubted(Fault.FULL), Status.DOWN, "all of its connections are taken"),
        (doubted(Fault.SLOW), Status.SUSPECT, "it lets us in and does not finish"),
        (doubted(Fault.NOT_READY), Status.SUSPECT, "it is not open"),
        (
            replace(doubted(Fault.NOT_READY), progress="recovering 0001", is_progressing=True),
            Status.UNKNOWN,
            "it recovers: recovering 0001",
        ),
        (replace(WELL, standing=replace(PRIMARY, connections=97)), Status.SUSPECT, "97 of 97"),
        (replace(WELL, room=Room(1000, 10**9, is_read_only=False)), Status.DOWN, "its disk is full"),
        (replace(WELL, standing=replace(STANDBY, upstream="")), Status.SUSPECT, "it streams from nobody"),
        (replace(WELL, standing=None), Status.UNKNOWN, "it was not asked yet"),
    ],
)
def test_the_status_has_its_reason(seen: Seen, status: Status, reason: str) -> None:
    verdict = judge(seen, Limits())
    assert verdict.status is status
    assert reason in verdict.reason


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_meaning(fault: Fault) -> None:
    verdict = judge(doubted(fault), Limits())
    assert verdict.reason
    assert verdict.unfit
    assert verdict.status is not Status.UP


@pytest.mark.parametrize(
    ("seen", "limits", "unfit"),
    [
        (replace(WELL, standing=STANDBY), Limits(primary=Position(2, 600)), ""),
        (replace(WELL, standing=STANDBY), Limits(lag_max=50, primary=Position(2, 600)), "100 bytes behind"),
        (replace(WELL, standing=STANDBY), Limits(primary=Position(3, 10)), "on timeline 2"),
        (replace(WELL, standing=STANDBY), Limits(lag_max=0, primary=Position(1, 9999)), ""),
        (replace(WELL, standing=STANDBY, nofailover=True), Limits(), "tagged nofailover"),
        (
            replace(WELL, standing=STANDBY, too_small="max_connections is 20"),
            Limits(),
            "max_connections is 20",
        ),
        (replace(WELL, standing=STANDBY, unfinished=Unfinished("rewind")), Limits(), "a rewind of its data"),
        (Seen(Look()), Limits(), "it does not run"),
        (WELL, Limits(), ""),
    ],
)
def test_who_may_not_have_the_role_is_told_why(seen: Seen, limits: Limits, unfit: str) -> None:
    verdict: Verdict = judge(seen, limits)
    assert unfit in verdict.unfit
    assert bool(verdict.unfit) is bool(unfit)
