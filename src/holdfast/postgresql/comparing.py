"""Comparing logs before one member is promoted: what only the furthest one has would be lost otherwise.

A member gives its *last word* once it has seen that a lease was taken and is at rest: it streams from nobody, and will not before
the holder of that lease, or of a later one, tells that it is primary. So words under the lease that a candidate holds can be
compared: none of them can become old before it is promoted.
"""

import asyncio
from collections.abc import Callable

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, Epoch, MemberName, member_of, service_of
from holdfast.model.standing import Status
from holdfast.postgresql import files
from holdfast.postgresql.books import Books
from holdfast.postgresql.control import State, Unreadable, read_control
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Position

_NOT_TOLD = (0, 0)
_RUNNING = (Status.UP, Status.SUSPECT, Status.DRAINING)
_WAIT_S, _LOOK_AGAIN_S = 1.0, 0.02
# Bytes of a shutdown checkpoint's record, at least. What is received ends with a record or with a page: so whoever
# has so much of it has the whole of it.
_SHUTDOWN_RECORD = 114


def why_behind(component: ComponentId, own: Position, books: Books) -> str:
    """Return whose log goes further than `own`; empty: nobody's who could serve, nor of who was shut down in good order and may be started again."""
    newest = books.newest_lease(service_of(component))
    for name, report in sorted(books.others(component).items()):
        if Position(*report.position) <= own:
            continue
        if could_serve(report):
            return f"the log of {name} goes further: {Position(*report.position)} against {own}"
        # One whose starts have failed for good is as lost as a host that died: what only it has is what asynchronous commit risks.
        is_awaited = report.is_clear and not is_running(report) and not report.is_spent
        if is_awaited and report.position_under == newest:
            return f"{name} was shut down at {Position(*report.position)}, and this has its log up to {own}"
    return ""


def why_unrecorded(component: ComponentId, own: Position, books: Books) -> str:
    """Return why a standby may lack commits that were acknowledged, as far as is seen; empty: it may be a candidate."""
    me, record = member_of(component), books.record(service_of(component))
    if record is None or me == record.primary:
        return ""
    others = books.others(component)
    primary = others.get(record.primary)
    words = heard(component, books, books.newest_lease(service_of(component)))
    if record.primary in words and own >= words[record.primary]:
        return ""  # it has all of a log that ended
    if me not in record.voters:
        return f"it may lack acknowledged commits: it is not among {', '.join(record.names)}"
    if primary is not None and could_speak(primary):
        return ""  # while the primary is there, it is asked for nobody else's word
    there = [name for name in record.voters if name == me or (name in others and could_speak(others[name]))]
    if len(there) < record.electing:
        return (
            f"it may lack acknowledged commits: {record.electing} of {', '.join(record.voters)} "
            f"have to be compared, and {len(there)} of them {'is' if len(there) == 1 else 'are'} there"
        )
    return ""


def heard(component: ComponentId, books: Books, lease: Epoch) -> dict[MemberName, Position]:
    """Return the last words of the other members under `lease`."""
    return {
        name: Position(*report.position)
        for name, report in books.others(component).items()
        if report.position_under == lease and report.position != _NOT_TOLD
    }


async def until_heard(
    component: ComponentId,
    books: Books,
    lease: Epoch,
    is_wanted: Callable[[MemberReport], bool],
    are_enough: Callable[[], bool] = lambda: False,
) -> None:
    """Await that every other member that `is_wanted` gave its last word under `lease`, for a second at most.

    `are_enough` tells that those that did suffice. Who does not answer must not keep the service down longer than that. One that has nothing to tell says so.
    """
    for _ in range(int(_WAIT_S / _LOOK_AGAIN_S)):
        reports = books.others(component).values()
        if are_enough() or all(report.position_under == lease for report in reports if is_wanted(report)):
            return
        await asyncio.sleep(_LOOK_AGAIN_S)


def is_running(report: MemberReport) -> bool:
    """Tell whether the member runs, as its host says."""
    return report.status in _RUNNING


def could_serve(report: MemberReport) -> bool:
    """Tell whether the member runs, and nothing speaks against its promotion."""
    return is_running(report) and not report.unfit


def could_speak(report: MemberReport) -> bool:
    """Tell whether the member runs, or is proven not to: its agent can tell how far its log goes."""
    return is_running(report) or report.is_clear


async def end_at_rest(instance: Instance) -> Position:
    """Return where the log of a primary that was shut down in good order ends; nothing known of any other that does not run."""
    if files.unfinished(instance) is not None:
        return Position()
    try:
        control = await read_control(instance)
    except (Unreadable, OSError):
        return Position()
    if control.state is not State.SHUT_DOWN:
        return Position()
    return Position(control.timeline, control.checkpoint + _SHUTDOWN_RECORD)
