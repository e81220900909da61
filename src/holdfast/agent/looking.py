"""Looking at servers again and again, each in a loop of its own: one that does not answer keeps no other from being looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from holdfast.model.ids import ComponentId

LOOK_AGAIN_S = 0.05


class _Loop(NamedTuple):
    task: asyncio.Task[None]
    woken: asyncio.Event


class Looking:
    """One loop for each server that is there. Whether something is due is for whoever looks to say: it is called often."""

    def __init__(
        self,
        who: Callable[[], Iterable[ComponentId]],
        look: Callable[[ComponentId], Awaitable[None]],
        every_s: float = LOOK_AGAIN_S,
    ) -> None:
        """`who` are there now; `look` at one of them. It is cancelled when the server is there no more."""
        self._who = who
        self._look = look
        self._every_s = every_s
        self._loops: dict[ComponentId, _Loop] = {}

    def wake(self) -> None:
        """Look at all of them at once; at one that is being looked at, as soon as that has ended."""
        for loop in self._loops.values():
            loop.woken.set()

    async def run(self) -> None:
        """Look until cancelled. What a look raises is a fault of ours, and raised here."""
        try:
            while True:
                self._keep_up()
                await asyncio.sleep(self._every_s)
        finally:
            tasks = [loop.task for loop in self._loops.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _keep_up(self) -> None:
        there = set(self._who())
        for id_, loop in tuple(self._loops.items()):
            if loop.task.done():
                loop.task.result()
            if id_ not in there:
                loop.task.cancel()
                del self._loops[id_]
        for id_ in there - self._loops.keys():
            woken = asyncio.Event()
            task = asyncio.create_task(self._look_at(id_, woken), name=f"look at {id_}")
            self._loops[id_] = _Loop(task, woken)

    async def _look_at(self, id_: ComponentId, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            await self._look(id_)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await woken.wait()
