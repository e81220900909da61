"""A host's part of the file, while the file and the placement change at once: what was overtaken is never put in force."""

import asyncio
from pathlib import Path

from holdfast.agent.cluster.localizing import Localizing
from holdfast.agent.notify import Notifier
from holdfast.agent.reloading import Reloading
from holdfast.agent.turning import Turning
from holdfast.config.loading import load_text
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import ObedientBalancer, RememberedTurns

FILE = """
system: s
cluster: {coordinator: "etcd://127.0.0.1:2379", secret: {env: K}}
hosts: {h1: {address: 127.0.0.1}, h2: {address: 127.0.0.2}}
services:
  job: {mode: active-active, members: 2, run: [PROGRAM]}
"""


def _file(program: str) -> Policy:
    return load_text(FILE.replace("PROGRAM", program))


def test_a_new_placement_does_not_put_the_file_of_before_in_force_again(tmp_path: Path) -> None:
    async def scene() -> None:
        balancer, turning = ObedientBalancer(), Turning(State(policy=_file("old")), RememberedTurns())
        balancer.gate = asyncio.Event()
        reloading = Reloading(
            tmp_path / "file", tmp_path, turning, balancer, say=lambda _: None, notifier=Notifier(None, None)
        )
        state = ClusterState("h1", "l1", _file("old"), 0, placed={"job": {"job-1": "h1", "job-2": "h2"}})
        localizing = Localizing(tmp_path, lambda: state, reloading.put_part_in_force, lambda _: None)
        reloading.part_of, reloading.when_whole = localizing.part_of, localizing.give
        work = asyncio.create_task(localizing.run())
        taking_over = asyncio.create_task(reloading.take_over(_file("new"), "holdfast apply"))
        await _settle()
        state = replace(state, placed={"job": {"job-1": "h1", "job-2": "h1"}})
        localizing.look()
        await _settle()
        balancer.gate.set()
        assert await taking_over == ""
        async with asyncio.timeout(20):
            while len(balancer.policies) < 2:  # noqa: ASYNC110 - what is awaited is a condition of the code under test
                await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        (first, second) = (
            [member.run.command for member in one.services["job"].members] for one in balancer.policies
        )
        assert first == [("new",)]
        assert second == [("new",), ("new",)]

    asyncio.run(scene())


async def _settle() -> None:
    for _ in range(20):  # nothing but turns of the loop is waited for
        await asyncio.sleep(0)
