"""Localizing: keeping this host's own loop on its part of the file, as the file and the leader's placement change."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.agent.log import Level, Line
from holdfast.loop.cluster import whereabouts
from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.localizing import localized
from holdfast.model.events import Ending
from holdfast.model.policy import Policy
from holdfast.ports.components import Result
from holdfast.traffic.balancer import with_balancer

_AGAIN_S = 1.0


class Localizing:
    """This host's part of the file, and how it gets into force."""

    def __init__(
        self,
        directory: Path,
        state: Callable[[], ClusterState],
        put_in_force: Callable[[Callable[[], Policy]], Awaitable[tuple[Policy, Result]]],
        say: Callable[[Line], None],
    ) -> None:
        self._directory = directory
        self._state = state
        self._put_in_force = put_in_force
        self._say = say
        self._woken = asyncio.Event()
        self._in_force: Policy | None = None
        self._whole: Policy | None = None  # the file, which the cluster loop may not have turned yet
        self.problem = ""

    def part_of(self, policy: Policy) -> Policy:
        """Return this host's part of a file, with members placed as they are now."""
        state = self._state()
        return with_balancer(localized(policy, state.me, whereabouts.placed(state)), self._directory)

    def give(self, policy: Policy) -> None:
        """Learn of the whole file that took force: what is put in force from now on is a part of it."""
        self._whole = policy

    def look(self) -> None:
        """Look soon whether the part has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Keep the right part in force until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._part() == self._in_force:
                continue
            wanted, result = await self._put_in_force(self._part)
            if result.ending is Ending.DONE:
                self._in_force, self.problem = wanted, ""
                continue
            if result.error != self.problem:
                self._say(Line(Level.ERROR, "agent", "balancer", f"the new placement waits: {result.error}"))
            self.problem = result.error
            await asyncio.sleep(_AGAIN_S)
            self._woken.set()

    def _part(self) -> Policy:
        return self.part_of(self._whole or self._state().policy)
