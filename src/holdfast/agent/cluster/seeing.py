"""Seeing what stands in the coordinator: one watch on the system's root, kept up through every outage."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from random import Random

from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.viewing_cluster import ViewKeeper
from holdfast.model.cluster import ClusterView
from holdfast.model.time import SECOND, Duration
from holdfast.ports.coordination import Coordinator, Entry, UnavailableError, UnknownError

_AGAIN_S = 0.1


class Seeing:
    """The watch of one agent."""

    def __init__(
        self,
        coordinator: Coordinator,
        book: ClusterBook,
        *,
        on_view: Callable[[ClusterView], None],
        on_policy: Callable[[Entry], None],
        chance: Random,
    ) -> None:
        self._coordinator = coordinator
        self._book = book
        self._on_view = on_view
        self._on_policy = on_policy
        self._chance = chance
        self.is_current = False  # the watch stands: what was seen last is what stands there
        self.not_understood: dict[str, str] = {}
        self._is_due = False
        self._shown: ClusterView | None = None
        self._policy: Entry | None = None

    async def run(self, beat: Duration = SECOND) -> None:
        """Watch until cancelled."""
        keeper = self._book.keeper()
        while True:
            try:
                async with aclosing(self._coordinator.watch(self._book.root, beat=beat)) as seen:  # type: ignore[type-var]  # drivers' watches are generators
                    async for sighting in seen:
                        keeper.see(sighting)
                        self.is_current = True
                        # What came together is seen together: a transaction may arrive key by key.
                        if not self._is_due:
                            self._is_due = True
                            asyncio.get_running_loop().call_soon(self._show, keeper)
            except (UnavailableError, UnknownError):
                self.is_current = False
            await asyncio.sleep(_AGAIN_S * (0.5 + self._chance.random()))

    def _show(self, keeper: ViewKeeper) -> None:
        self._is_due = False
        self.not_understood = keeper.not_understood
        if keeper.view is not self._shown:
            self._shown = keeper.view
            self._on_view(keeper.view)
        if keeper.policy is not None and keeper.policy != self._policy:
            self._policy = keeper.policy
            self._on_policy(keeper.policy)
