"""What killed servers left in memory is removed; what living ones use, and what may be somebody else's, is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.postgresql.instance import Instance
from tests.contract.postgresql.stage import Stage, crash, play, query
from tests.lab import shared_memory
from tests.lab.shared_memory import Segment, files_of

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not shared_memory.have_own(), reason="a System V namespace of our own needs root"
)


def segment_of(instance: Instance) -> Segment:
    """Return the segment that a server names in its pid file."""
    *_, number = (instance.folder / "postmaster.pid").read_text().splitlines()[6].split()
    return next(each for each in shared_memory.segments() if each.number == int(number))


def numbers() -> set[int]:
    return {each.number for each in shared_memory.segments()}


def test_what_a_killed_server_left_in_memory_is_removed_though_its_folder_is_gone() -> None:
    async def story(stage: Stage) -> None:
        killed, living = await stage.primary("killed"), await stage.primary("living")
        left, used = segment_of(killed), segment_of(living)
        files, kept = files_of(left), files_of(used)
        assert len(files) > 1, "the list, and what it lists"
        assert all(file.exists() for file in (*files, *kept))
        await crash(killed)
        shutil.rmtree(killed.folder)
        assert {left.number, used.number} <= numbers()
        shared_memory.clear()
        assert numbers() & {left.number, used.number} == {used.number}
        assert not any(file.exists() for file in files)
        assert all(file.exists() for file in kept)
        assert await query(living, "select 1") == [("1",)]

    play(story)


def test_a_process_without_a_namespace_of_its_own_removes_nothing() -> None:
    made = python("print(libc.shmget(0, 4096, 0o600))")
    python("from tests.lab import shared_memory; shared_memory.clear()")
    assert int(made) in numbers()
    shared_memory.clear()
    assert int(made) not in numbers()


def python(program: str) -> str:
    """Run it in a process that shares our namespace, and knows no other."""
    whole = f"import ctypes; libc = ctypes.CDLL(None); {program}"
    done = subprocess.run(
        [sys.executable, "-c", whole], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    return done.stdout
