import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path

from holdfast.agent import notify
from holdfast.agent.agent import Agent
from holdfast.agent.client import ControlClient
from holdfast.agent.directory import StateDirectory
from holdfast.agent.log import Log
from holdfast.agent.turning import Turned
from holdfast.model.policy import Policy

During = Callable[[Agent], bool]  # True: then leave


def live(folder: Path, during: During) -> tuple[int, str]:
    """Run an agent that has nothing to look after; return its exit code and its log."""
    out = io.StringIO()
    log = Log(0, to=out)

    async def whole(directory: StateDirectory) -> int:
        agent = Agent(folder / "file", directory, Policy("empty", {}), log, notify.Notifier(None, None))
        running = asyncio.create_task(agent.run())
        try:
            async with asyncio.timeout(30):
                if await asyncio.to_thread(during, agent):
                    agent._leave.set()
                return await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    with StateDirectory.take(folder / "state") as directory:
        code = asyncio.run(whole(directory))
    log.close()
    return code, out.getvalue()


def await_socket(agent: Agent) -> None:
    for _ in range(3000):
        if agent._directory.socket.exists():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never listened")


def test_agent_without_anything_to_do_lives_and_leaves(tmp_path: Path) -> None:
    def during(agent: Agent) -> bool:
        await_socket(agent)
        with ControlClient(tmp_path / "state") as client:
            assert client.status().system == "empty"
        return True

    code, said = live(tmp_path, during)
    assert code == 0
    assert "leaving" in said
    assert not (tmp_path / "state" / "control.sock").exists()


def test_agent_with_a_fault_of_ours_ends_with_an_error_and_says_which(tmp_path: Path) -> None:
    def stumble(_turned: Turned) -> None:
        raise AssertionError("this cannot be")

    def during(agent: Agent) -> bool:
        await_socket(agent)
        agent._turning.follow(stumble)
        return False

    code, said = live(tmp_path, during)
    assert code == 1
    assert "turning ended" in said
    assert "this cannot be" in said


def test_each_warning_of_the_journal_is_told_once_however_many_came_before(tmp_path: Path) -> None:
    def during(agent: Agent) -> bool:
        await_socket(agent)
        for number in range(25):  # the journal keeps the newest ten
            agent._journal._reading_warnings.append(f"damage {number};")
            agent._on_idle()
            agent._on_idle()
        return True

    _, said = live(tmp_path, during)
    assert [said.count(f"damage {number};") for number in range(25)] == [1] * 25
