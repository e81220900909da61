"""What has to survive the agent gets to the disk, also one that was away for a while, and nothing waits for it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from holdfast.agent.cluster.memory import Memory, Remembering, recall
from holdfast.agent.log import Line

BOUND_S = 20


def test_what_is_noted_is_on_disk_soon(tmp_path: Path) -> None:
    memory = Memory({"web": 3}, 2, {"job": {"job-1": "h1"}})

    async def note() -> None:
        remembering = Remembering(tmp_path, recall(tmp_path), lambda _: None)
        work = asyncio.create_task(remembering.run())
        remembering.note(memory)
        await _written(tmp_path, memory)
        work.cancel()

    asyncio.run(note())


def test_a_disk_that_takes_nothing_is_told_of_once_and_asked_again(tmp_path: Path) -> None:
    said: list[Line] = []
    directory = tmp_path / "away"

    async def note() -> None:
        remembering = Remembering(directory, Memory(), said.append)
        work = asyncio.create_task(remembering.run())
        remembering.note(Memory({"web": 1}))
        await _until(lambda: bool(said))
        directory.mkdir()
        await _written(directory, Memory({"web": 1}))
        work.cancel()

    asyncio.run(note())
    assert len(said) == 1


def test_what_was_not_written_yet_is_written_at_the_end(tmp_path: Path) -> None:
    remembering = Remembering(tmp_path, Memory(), lambda _: None)
    remembering.note(Memory({"web": 7}))
    remembering.close()
    assert recall(tmp_path) == Memory({"web": 7})


async def _written(directory: Path, memory: Memory) -> None:
    await _until(lambda: recall(directory) == memory)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not is_so():  # noqa: ASYNC110 - a file, or a list, tells nobody
            await asyncio.sleep(0.01)
