"""Whoever waits for the next change misses none."""

import asyncio

from holdfast.agent.changes import Changes


def test_a_change_before_the_task_that_waits_for_it_has_begun_is_not_missed() -> None:
    async def wait() -> None:
        changes = Changes()
        waiting = asyncio.create_task(changes.next())
        changes.ring()
        async with asyncio.timeout(20):
            await waiting

    asyncio.run(wait())


def test_a_change_of_before_is_not_waited_for_again() -> None:
    async def wait() -> None:
        changes = Changes()
        changes.ring()
        waiting = asyncio.create_task(changes.next())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        changes.ring()
        async with asyncio.timeout(20):
            await waiting

    asyncio.run(wait())
