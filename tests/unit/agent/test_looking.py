import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from holdfast.agent.looking import Looking
from holdfast.model.ids import ComponentId

ONE, OTHER = ComponentId("web/one"), ComponentId("web/other")
WITHIN_S = 30.0
NEVER_S = 3600.0


class Looks:
    """How often each was looked at; who is among `hung` answers no more."""

    def __init__(self) -> None:
        self.there = [ONE, OTHER]
        self.seen: Counter[ComponentId] = Counter()
        self.hung: set[ComponentId] = set()
        self.cancelled: list[ComponentId] = []
        self.fault: Exception | None = None

    async def look(self, id_: ComponentId) -> None:
        self.seen[id_] += 1
        if self.fault is not None:
            raise self.fault
        if id_ in self.hung:
            try:
                await asyncio.sleep(NEVER_S)
            except asyncio.CancelledError:
                self.cancelled.append(id_)
                raise


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is awaited is a condition of the code under test
            await asyncio.sleep(0.001)


def test_one_that_does_not_answer_keeps_no_other_from_being_looked_at() -> None:
    async def scene() -> None:
        looks = Looks()
        looks.hung.add(ONE)
        looking = asyncio.create_task(Looking(lambda: looks.there, looks.look, 0.001).run())
        await until(lambda: looks.seen[OTHER] > 10)
        assert looks.seen[ONE] == 1
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert looks.cancelled == [ONE]

    asyncio.run(scene())


def test_whoever_comes_is_looked_at_and_whoever_goes_is_left_alone() -> None:
    async def scene() -> None:
        looks = Looks()
        looks.there, looks.hung = [ONE], {ONE}
        looking = asyncio.create_task(Looking(lambda: looks.there, looks.look, 0.001).run())
        await until(lambda: looks.seen[ONE] == 1)
        looks.there = [OTHER]
        await until(lambda: looks.seen[OTHER] > 1 and looks.cancelled == [ONE])
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(scene())


def test_all_are_looked_at_when_woken_and_once_more_if_that_came_during_a_look() -> None:
    async def scene() -> None:
        looks, gate = Looks(), asyncio.Event()

        async def look(id_: ComponentId) -> None:
            await looks.look(id_)
            await gate.wait()

        looking = Looking(lambda: looks.there, look, NEVER_S)
        running = asyncio.create_task(looking.run())
        await until(lambda: looks.seen.total() == 2)
        looking.wake()
        assert looks.seen.total() == 2
        gate.set()
        await until(lambda: looks.seen.total() == 4)
        looking.wake()
        await until(lambda: looks.seen.total() == 6)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


def test_a_fault_of_ours_in_a_look_ends_the_care_and_is_told() -> None:
    async def scene() -> None:
        looks = Looks()
        looks.fault = ZeroDivisionError("ours")
        with pytest.raises(ZeroDivisionError, match="ours"):
            async with asyncio.timeout(WITHIN_S):
                await Looking(lambda: looks.there, looks.look, 0.001).run()

    asyncio.run(scene())
