# ruff: noqa: ARG002, ASYNC110 - a method of a port takes what the port says; what is awaited is a condition of the code under test

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from holdfast.agent import clock, control, protocol
from holdfast.agent.answering import Answering
from holdfast.agent.changes import Changes
from holdfast.agent.client import ControlClient, ControlError
from holdfast.agent.control import Control
from holdfast.agent.log import Line
from holdfast.agent.protocol import (
    DownRequest,
    DrainRequest,
    ErrorKind,
    Failure,
    PauseRequest,
    ResumeRequest,
    SwitchoverRequest,
)
from holdfast.agent.status import AgentStatus
from holdfast.agent.turning import Turning
from holdfast.journal.records import HealthPoint, IncidentRecord, TurnRecord
from holdfast.model.events import Ending, Finished, PauseRequested
from holdfast.model.time import SECOND
from tests.unit.agent.rehearsal import RememberedTurns, policy, running


class EmptyHistory:
    """A past in which nothing happened."""

    def turns(self, newest: int) -> tuple[TurnRecord, ...]:
        return ()

    def incidents(self, limit: int) -> tuple[IncidentRecord, ...]:
        return ()

    def incident(self, id_: str) -> IncidentRecord | None:
        return None

    def health(self, service: str, hours: float) -> tuple[HealthPoint, ...]:
        return ()


class Desk:
    """A control socket over a turning loop in which two members run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[Line] = []
        self.failure: Failure | None = None
        self.turning = Turning(running(policy(), at=clock.now()), RememberedTurns())
        self.changes = Changes()
        self.turning.follow(self.changes)
        answering = Answering(self.turning, self.changes, EmptyHistory(), self.agent, self.reload)
        self.control = Control(answering, lambda: None, self.lines.append)

    def is_paused(self) -> bool:
        return self.turning.state.pause is not None

    def agent(self) -> AgentStatus:
        return AgentStatus(os.getpid(), "1", 0.0, "file", str(self.folder), "r1")

    async def reload(self, by: str) -> Failure | None:
        return self.failure


Scene = Callable[[Desk], Awaitable[None]]


def play(folder: Path, scene: Scene) -> None:
    async def whole() -> None:
        desk = Desk(folder)
        await desk.control.open(folder / "control.sock")
        try:
            async with asyncio.timeout(60):
                await scene(desk)
        finally:
            await desk.control.close()

    asyncio.run(whole())


async def connect(desk: Desk) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(desk.folder / "control.sock"), limit=1 << 22)


def test_client_gets_what_it_asks_for(tmp_path: Path) -> None:
    def ask() -> None:
        with ControlClient(tmp_path) as client:
            assert client.ping().pid == os.getpid()
            status = client.status()
            assert [member.pid for member in status.services[0].members] == [100, 101]
            assert client.state().state.policy.system == "rehearsal"
            assert client.explain_data().turns == ()
            assert client.incidents() == ()
            assert client.health() == ()
            with pytest.raises(ControlError, match="there is no incident i-9") as unknown:
                client.incident("i-9")
            assert unknown.value.kind is ErrorKind.USAGE
            assert client.do(protocol.ReloadRequest()).done

    async def scene(desk: Desk) -> None:
        await asyncio.to_thread(ask)

    play(tmp_path, scene)


def test_failed_reload_tells_each_reason(tmp_path: Path) -> None:
    def ask() -> None:
        with ControlClient(tmp_path) as client, pytest.raises(ControlError) as refused:
            client.do(protocol.ReloadRequest())
        assert refused.value.kind is ErrorKind.CONFIGURATION
        assert str(refused.value) == "2 errors\n  one\n  two"

    async def scene(desk: Desk) -> None:
        desk.failure = Failure(ErrorKind.CONFIGURATION, "2 errors", ("one", "two"))
        await asyncio.to_thread(ask)

    play(tmp_path, scene)


def test_command_is_the_kernels_user_and_is_turned_before_it_is_answered(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        def ask() -> None:
            with ControlClient(tmp_path) as client:
                client.do(PauseRequest(for_s=60, why="upgrade", dry_run=True))
                assert not desk.is_paused()
                client.do(PauseRequest(for_s=60, why="upgrade"))
                assert desk.is_paused()
                assert client.status().paused is not None
                assert client.do(ResumeRequest(wait_s=5)).done
                assert client.status().paused is None

        await asyncio.to_thread(ask)

    play(tmp_path, scene)


def test_wait_that_runs_out_says_what_is_still_missing(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        def ask() -> None:
            with ControlClient(tmp_path) as client, pytest.raises(ControlError) as late:
                client.do(DownRequest(wait_s=0.2))
            assert late.value.kind is ErrorKind.TIMEOUT
            assert "still running: web/web-1, web/web-2" in str(late.value)

        await asyncio.to_thread(ask)
        assert desk.turning.state.is_going_down

    play(tmp_path, scene)


def test_down_is_done_when_the_last_one_is_stopped(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        def ask() -> protocol.Accepted:
            with ControlClient(tmp_path) as client:
                return client.do(DownRequest(wait_s=30))

        asking = asyncio.create_task(asyncio.to_thread(ask))
        while not desk.turning.state.flights:
            await asyncio.sleep(0.01)
        for decision in tuple(desk.turning.state.flights):
            desk.turning.turn(Finished(decision, Ending.DONE))
        accepted = await asking
        assert accepted.done
        assert accepted.outcome == "everything is stopped"
        assert accepted.begins_with[0].startswith("stop web/web-1")

    play(tmp_path, scene)


def test_slip_of_the_pen_is_told_with_what_there_is(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        def ask() -> None:
            with ControlClient(tmp_path) as client, pytest.raises(ControlError) as unknown:
                client.do(DrainRequest(component="web/web-3"))
            assert unknown.value.kind is ErrorKind.USAGE
            assert "there are: web/web-1, web/web-2" in str(unknown.value)

        await asyncio.to_thread(ask)

    play(tmp_path, scene)


def test_open_transactions_are_refused_for_what_has_none(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        def ask() -> None:
            with ControlClient(tmp_path) as client, pytest.raises(ControlError) as refused:
                client.do(SwitchoverRequest(service="web", open_transactions_s=0.0))
            assert refused.value.kind is ErrorKind.USAGE
            assert "web is not PostgreSQL" in str(refused.value)

        await asyncio.to_thread(ask)
        assert desk.turning.state.services["web"].switchover is None

    play(tmp_path, scene)


def test_watch_tells_of_changes_and_of_nothing_else(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        reader, writer = await connect(desk)
        writer.write(b'{"verb": "watch"}\n')
        first = json.loads(await reader.readline())
        assert first["result"]["paused"] is None
        desk.changes.ring()  # somebody turned, and nothing that is shown changed
        desk.turning.request(PauseRequested(None, clock.now() + 60 * SECOND, "ann", "why"))
        second = json.loads(await reader.readline())
        assert second["result"]["paused"]["why"] == "why"
        writer.close()

    play(tmp_path, scene)


def test_silence_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "FIRST_LINE_WITHIN_S", 0.1)

    async def scene(desk: Desk) -> None:
        reader, writer = await connect(desk)
        assert b"no request within" in await reader.readline()
        assert await reader.read() == b""
        writer.close()

    play(tmp_path, scene)


def test_one_connection_too_many_is_told_so(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        open_ones = [await connect(desk) for _ in range(protocol.CONNECTIONS_MAX)]
        while len(desk.control._talks) < protocol.CONNECTIONS_MAX:
            await asyncio.sleep(0.01)
        reader, writer = await connect(desk)
        assert json.loads(await reader.readline())["error"]["kind"] == "busy"
        for _, other in (*open_ones, (reader, writer)):
            other.close()

    play(tmp_path, scene)


def test_request_of_a_megabyte_and_more_is_refused(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        reader, writer = await connect(desk)
        writer.write(b"x" * (protocol.LINE_MAX + 10) + b"\n")
        assert "at most 1048576 bytes" in json.loads(await reader.readline())["error"]["message"]
        writer.close()

    play(tmp_path, scene)


def test_several_requests_share_a_connection_and_nonsense_between_them_does_no_harm(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        reader, writer = await connect(desk)
        for line, is_ok in ((b'{"verb":"ping"}\n', True), (b"{\n", False), (b'{"verb":"status"}\n', True)):
            writer.write(line)
            assert json.loads(await reader.readline())["ok"] is is_ok
        writer.close()

    play(tmp_path, scene)


def test_who_may_not_is_refused_and_the_log_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "why_denied", lambda peer, _group: f"user {peer.name} may not")

    async def scene(desk: Desk) -> None:
        reader, writer = await connect(desk)
        writer.write(b'{"verb": "down"}\n')
        assert json.loads(await reader.readline())["error"]["kind"] == "denied"
        assert not desk.turning.state.is_going_down
        assert desk.lines[0].word == "denied"
        assert f"pid {os.getpid()}" in desk.lines[0].text
        writer.close()

    play(tmp_path, scene)


def test_socket_works_in_a_folder_whose_path_is_longer_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)

    async def scene(desk: Desk) -> None:
        def ask() -> None:
            with ControlClient(folder) as client:
                assert client.ping().directory == str(folder)

        await asyncio.to_thread(ask)

    play(folder, scene)


def test_client_without_an_agent_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ControlError, match="no agent runs on") as unreachable:
            ControlClient(folder).ping()
        assert unreachable.value.kind is ErrorKind.UNREACHABLE


def test_client_does_not_wait_for_ever(tmp_path: Path) -> None:
    listener = control.listen(tmp_path / "control.sock")
    with listener, pytest.raises(ControlError, match="did not answer within") as late:
        ControlClient(tmp_path, within_s=0.1).ping()
    assert late.value.kind is ErrorKind.TIMEOUT
    assert "may be done yet" in str(late.value)


def test_client_tells_an_answer_of_another_version(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(msgspec.json.encode({"ok": True, "result": {"unheard": "of"}}) + b"\n")
        await writer.drain()
        writer.close()

    def ask() -> None:
        with pytest.raises(ControlError, match="is it of another version"), ControlClient(tmp_path) as client:
            client.ping()

    async def scene() -> None:
        server = await asyncio.start_unix_server(answer, str(tmp_path / "control.sock"))
        async with server:
            await asyncio.to_thread(ask)

    asyncio.run(scene())
