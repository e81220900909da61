"""What has to survive the agent gets to the disk, also one that was away for a while, and nothing waits for it."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from holdfast.agent.cluster.memory import FILE, Memory, Remembering, recall
from holdfast.agent.log import Line
from holdfast.components.records import put_in_place

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


def test_the_end_waits_for_what_is_being_written_and_writes_the_newest_after_it(tmp_path: Path) -> None:
    beside = tmp_path / f"{FILE}.new"
    os.mkfifo(beside)  # a disk that takes its time: until somebody reads

    async def note() -> None:
        remembering = Remembering(tmp_path, Memory(), lambda _: None)
        work = asyncio.create_task(remembering.run())
        remembering.note(Memory({"web": 1}))
        await _until(lambda: _runs(put_in_place))
        remembering.note(Memory({"web": 2}))
        work.cancel()
        closing = asyncio.create_task(asyncio.to_thread(remembering.close))
        await _until(lambda: _runs(Remembering.close))
        with beside.open("rb") as disk:
            assert msgspec.json.decode(disk.read(), type=Memory) == Memory({"web": 1})
        await closing

    asyncio.run(note())
    assert (tmp_path / FILE).is_file()
    assert recall(tmp_path) == Memory({"web": 2})


def _runs(function: Callable[..., object]) -> bool:
    """Tell whether any thread is inside of the function."""
    code = getattr(function, "__code__", None)
    frames: list[FrameType | None] = [*sys._current_frames().values()]
    while frames:
        frame = frames.pop()
        if frame is not None and frame.f_code is code:
            return True
        if frame is not None:
            frames.append(frame.f_back)
    return False


async def _written(directory: Path, memory: Memory) -> None:
    await _until(lambda: recall(directory) == memory)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not is_so():  # noqa: ASYNC110 - a file, or a list, tells nobody
            await asyncio.sleep(0.01)
