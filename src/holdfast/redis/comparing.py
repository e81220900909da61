"""Comparing data before one member is promoted: what only the furthest one has would be lost otherwise.

A position is (history, place). Offsets of the stream of writes mean something within one history only, and a history begins with each
promotion: its epoch is in the data itself, see `asking.Stamp`, so a copy has it and a server that lost its memory does not.
A member gives its *last word* once it has seen that a lease was taken and follows nobody: words under the lease that a
candidate holds can be compared, as none of them becomes old before it is promoted.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.standing import Status
from holdfast.redis.asking import Standing
from holdfast.redis.books import Books

Position: TypeAlias = tuple[int, int]

NOT_TOLD: Position = (0, 0)
EMPTY: Position = (0, 1)  # it has no data at all
_FOREIGN = 1  # data that no primary of ours has written
_WAIT_S, _LOOK_AGAIN_S = 1.0, 0.02


def position_of(standing: Standing) -> Position:
    """Return how far the data of a server goes."""
    if standing.stamp is not None:
        # A server that was started from its disk may not know its place: what the data itself tells is at most half a second older.
        return history_of(standing.stamp.epoch), max(standing.place, standing.stamp.place)
    return (_FOREIGN, standing.keys) if standing.keys else EMPTY


def history_of(epoch: Epoch) -> int:
    """Return the history of data that was written under `epoch`."""
    return _FOREIGN + epoch


def why_behind(component: ComponentId, own: Position, books: Books, *, under: Epoch | None = None) -> str:
    """Return why data that is at `own` must not be everybody's; empty: it may. `under`: only words under that lease count as empty."""
    service, others = service_of(component), books.others(component)
    if own == EMPTY:
        return _why_not_empty(component, books, under)
    for name, report in sorted(others.items()):
        told = report.position
        if own[0] == told[0] == _FOREIGN:
            return f"{name} has data that holdfast does not know, too: move away that of one of them"
        is_last = report.is_clear and report.position_under == books.newest_lease(service)
        if told > own and (could_serve(report) or is_last):
            return f"{name} has more: {told} against {own}"
    return ""


def _why_not_empty(component: ComponentId, books: Books, under: Epoch | None) -> str:
    """An empty server is promoted at the very first start only, or when nobody has anything: all others have to say so."""
    others = books.others(component)
    names = [name for name in books.members(service_of(component)) if name != component.partition("/")[2]]
    for name in names:
        report = others.get(name)
        is_empty = report is not None and report.position == EMPTY
        if not is_empty or (under is not None and report is not None and report.position_under != under):
            return f"it has no data, and {name} has not said that it has none"
    return ""


async def until_heard(
    component: ComponentId, books: Books, lease: Epoch, is_wanted: Callable[[MemberReport], bool]
) -> None:
    """Await that every other member that `is_wanted` gave its last word under `lease`, for a second at most.

    Who does not answer must not keep the service down longer than that.
    """
    for _ in range(int(_WAIT_S / _LOOK_AGAIN_S)):
        if all(
            report.position_under == lease for report in books.others(component).values() if is_wanted(report)
        ):
            return
        await asyncio.sleep(_LOOK_AGAIN_S)


def could_serve(report: MemberReport) -> bool:
    """Tell whether the member runs, and nothing speaks against its promotion."""
    return report.status in (Status.UP, Status.SUSPECT) and not report.unfit


def could_speak(report: MemberReport) -> bool:
    """Tell whether the member runs, or is proven not to: its agent can tell what it has."""
    return report.status in (Status.UP, Status.SUSPECT) or report.is_clear
