"""Orphans: what fell to us is reaped, and nobody's exit status is taken."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.cgroups import Cgroups
from holdfast.components.orphans import Orphans, become_subreaper
from tests.contract.components.stage import Stage, program, run, staged, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, use_cgroups=Cgroups.find("try").of("a/b") is not None) as stage:
        yield stage


def _orphan() -> int:
    """Return the pid of a process that fell to us as a zombie, in a session that is not its own."""
    reading, writing = os.pipe()
    if (parent := os.fork()) == 0:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.write(writing, str(child).encode())
        os._exit(0)
    os.waitpid(parent, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())


def test_what_a_component_left_behind_is_reaped(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = program("daemonise")
            await agent.start(spec)
            await until(lambda: "daemons away" in stage.output())
            left = stage.marked()
            assert len(left) == 4
            await agent.stop(spec)
            await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))

    run(story())


def test_exit_codes_of_other_children_are_not_taken(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(program("daemonise"))
            codes = []
            for _ in range(20):
                asked = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {code}") for code in (3, 4)]
                codes += [await process.wait() for process in asked]
            assert codes == [3, 4] * 20

    run(story())


def test_an_orphan_of_nobody_is_left_for_a_while_and_then_reaped() -> None:
    become_subreaper()
    orphan, orphans = _orphan(), Orphans("none")
    stat = Path(f"/proc/{orphan}/stat")
    deadline = time.monotonic() + 20
    while b") Z" not in stat.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.005)
    for now in (0.0, 1.0, 29.0):
        orphans.reap(now, lambda _: False)
        assert stat.exists()
    orphans.reap(31.0, lambda _: False)
    assert not stat.exists()


def test_a_child_that_somebody_waits_for_is_never_reaped() -> None:
    become_subreaper()
    child = os.fork()
    if child == 0:
        os._exit(5)
    orphans = Orphans("none")
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    for now in (0.0, 100.0):
        orphans.reap(now, lambda pid: pid == child)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
