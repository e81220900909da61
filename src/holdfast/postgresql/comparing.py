"""Comparing logs before one member is promoted: what only the furthest one has would be lost otherwise.

A member tells its position only while it stands still: it streams from nobody. So positions that are told can be compared, and a
member that tells none streams still, or cannot be asked.
"""

import asyncio

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId
from holdfast.model.standing import Status
from holdfast.postgresql.books import Books
from holdfast.postgresql.position import Position

_NOT_TOLD = (0, 0)
_WAIT_S, _LOOK_AGAIN_S = 1.0, 0.02


def why_behind(component: ComponentId, own: Position, books: Books) -> str:
    """Return whose log goes further than `own`; empty: nobody's who could serve."""
    for name, report in sorted(books.others(component).items()):
        if _could_serve(report) and Position(*report.position) > own:
            return f"the log of {name} goes further: {Position(*report.position)} against {own}"
    return ""


async def until_compared(component: ComponentId, books: Books) -> None:
    """Await that every other member that could serve has told its position, for a second at most.

    Asynchronous commit promises nothing beyond that: who does not answer must not keep the service down.
    """
    for _ in range(int(_WAIT_S / _LOOK_AGAIN_S)):
        reports = books.others(component).values()
        if all(report.position != _NOT_TOLD for report in reports if _could_serve(report)):
            return
        await asyncio.sleep(_LOOK_AGAIN_S)


def _could_serve(report: MemberReport) -> bool:
    return report.status in (Status.UP, Status.SUSPECT) and not report.unfit
