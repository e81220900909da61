"""Changes: lets any number of tasks wait for the next turn that changed something."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from holdfast.agent.cluster.status import is_news
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.turning import Turned


class Changes:
    """A bell that rings once per change, and that nobody has to answer."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def __call__(self, turned: Turned) -> None:
        """Follow one turn."""
        if turned.before is not turned.after:
            self.ring()

    def of_cluster(self, turned: ClusterTurned) -> None:
        """Follow one turn of the cluster loop."""
        if is_news(turned):
            self.ring()

    def ring(self) -> None:
        """Wake everyone who waits."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    def next(self) -> Coroutine[Any, Any, bool]:
        """Return what waits for the next change from now on, also if it is awaited later than that, as by a task of its own."""
        return self._next.wait()
