"""What the tests of Redis share: real servers in a temporary folder, on loopback."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from holdfast.model.redis import RedisServer
from holdfast.model.tags import Tags
from holdfast.model.time import SECOND
from holdfast.redis.asking import Standing, Unanswered, Where, ask, ask_standing
from holdfast.redis.resp import Answer, Word
from holdfast.redis.settings import text_of, write_settings

T = TypeVar("T")
PASSWORD = "the members'"
CLIENTS = "the clients'"
STAMP = "holdfast:test/cache"
WITHIN_S = 30.0
GENEROUS = 20 * SECOND


class Stage:
    """Servers of one test."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("there is no redis-server on this host: tools/bootstrap installs it")
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-redis-"))
        self.folder.chmod(0o755)
        self._processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def server(self, name: str, **more: Any) -> "Server":
        """Make and start a server as holdfast does: as a standby that follows nobody."""
        parameters = {"save": "", "appendonly": "no"} | more.pop("parameters", {})
        parameters = {key: value or '""' for key, value in parameters.items()}
        policy = RedisServer(
            data=str(self.folder / name), host="127.0.0.1", port=free_port(), parameters=parameters, **more
        )
        made = Server(policy, self._processes)
        made.start()
        return made


class Server:
    """One server."""

    def __init__(self, policy: RedisServer, processes: list[subprocess.Popen[bytes]]) -> None:
        self.policy = policy
        self.where = Where(policy.host, policy.port, PASSWORD)
        self.place = (policy.host, policy.port)
        self._processes = processes
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        path = write_settings(self.policy, text_of(self.policy, PASSWORD, CLIENTS, Tags()))
        log = Path(f"{self.policy.data}.log")
        account = pwd.getpwuid(os.geteuid())
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [self.policy.program, str(path)], stdout=out, stderr=out, user=account.pw_uid
            )
        self._processes.append(self.process)
        until_now(self.answers, log)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(WITHIN_S)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self.place, 1):
            return True
        return False

    async def ask(self, *words: Word) -> Answer:
        return (await ask(self.where, words, within=GENEROUS))[0]

    async def standing(self) -> Standing:
        return await ask_standing(self.where, STAMP, GENEROUS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_now(holds: Callable[[], object], log: Path) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < give_up_at, log.read_text("utf-8", "replace")
        time.sleep(0.01)


async def until(holds: Callable[[], Awaitable[object]], what: str) -> None:
    """Wait until it holds."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        with contextlib.suppress(Unanswered):
            if await holds():
                return
        assert time.monotonic() < give_up_at, f"never came: {what}"
        await asyncio.sleep(0.02)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
