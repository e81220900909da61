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
        put_in_force: Callable[[Policy], Awaitable[Result]],
        say: Callable[[Line], None],
    ) -> None:
        self._directory = directory
        self._state = state
        self._put_in_force = put_in_force
        self._say = say
        self._woken = asyncio.Event()
        self._in_force: Policy | None = None
        self.problem = ""

    def part_of(self, policy: Policy) -> Policy:
        """Return this host's part of a file, with members placed as they are now."""
        state = self._state()
        return with_balancer(localized(policy, state.me, whereabouts.placed(state)), self._directory)

    def is_in_force(self, policy: Policy) -> None:
        """Learn what is in force."""
        self._in_force = policy

    def look(self) -> None:
        """Look soon whether the part has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Keep the right part in force until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            wanted = self.part_of(self._state().policy)
            if wanted == self._in_force:
                continue
            result = await self._put_in_force(wanted)
            if result.ending is Ending.DONE:
                self._in_force, self.problem = wanted, ""
                continue
            if result.error != self.problem:
                self._say(Line(Level.ERROR, "agent", "balancer", f"the new placement waits: {result.error}"))
            self.problem = result.error
            await asyncio.sleep(_AGAIN_S)
            self._woken.set()
