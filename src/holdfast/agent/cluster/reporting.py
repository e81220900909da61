"""Reporting: this host's report is kept in the coordinator as it is, bound to the present session."""

import asyncio
from collections.abc import Callable

from holdfast.agent.cluster.session import SessionKeeping
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.log import Level, Line
from holdfast.coordination.recipes.answers import Done
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.loop.cluster.state import ClusterState

_AGAIN_S = 0.2


class Reporting:
    """What was written, and what is to be."""

    def __init__(
        self,
        book: ClusterBook,
        keeping: SessionKeeping,
        state: Callable[[], ClusterState],
        say: Callable[[Line], None],
    ) -> None:
        self._book = book
        self._keeping = keeping
        self._state = state
        self._say = say
        self._written = (0, 0)  # number of the session and of the report
        self._told = ""
        self._woken = asyncio.Event()

    def __call__(self, turned: ClusterTurned) -> None:
        """Follow the cluster loop."""
        if (turned.after.session.number, turned.after.report.number) != self._written:
            self._woken.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            session, report = self._keeping.session, self._state().report
            wanted = (self._keeping.number, report.number)
            if session is None or wanted == self._written or not self._state().is_looked_at:
                continue
            answer = await self._book.report(report, session)
            if isinstance(answer, Done):
                self._written, self._told = wanted, ""
                continue
            if answer.why != self._told:
                self._told = answer.why
                self._say(
                    Line(
                        Level.WARN,
                        "agent",
                        "report",
                        f"what this host says of itself is not written: {answer.why}",
                    )
                )
            await asyncio.sleep(_AGAIN_S)
            self._woken.set()
