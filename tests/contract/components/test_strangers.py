"""A state directory that was removed while no agent ran: what it started must not be started a second time."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from holdfast.components.local import LocalProcesses
from holdfast.components.marking import StrangersError
from holdfast.model.policy import ProcessSpec

SLEEPER = ProcessSpec(command=("sleep", "300"))


async def _start_and_leave(directory: Path) -> int:
    processes = LocalProcesses(directory)
    result = await processes.start("db/db-1", SLEEPER, 1, is_primary=True)
    await processes.close()
    assert result.incarnation is not None, result.error
    return int(result.incarnation.partition(":")[0])


def test_an_agent_on_a_removed_directory_refuses_and_names_what_runs(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    pid = asyncio.run(_start_and_leave(directory))
    try:
        shutil.rmtree(directory)
        with pytest.raises(
            StrangersError, match=rf"db/db-1 \(pid {pid}\).*Put the old directory back, or end them"
        ):
            LocalProcesses(directory)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_agents_of_other_directories_are_no_strangers(tmp_path: Path) -> None:
    pid = asyncio.run(_start_and_leave(tmp_path / "one"))
    try:
        asyncio.run(LocalProcesses(tmp_path / "two").close())
        asyncio.run(LocalProcesses(tmp_path / "one").close())
    finally:
        os.kill(pid, signal.SIGKILL)
