"""The stage: a folder, a file, an agent as a process of its own; cleared away at the end whatever happens."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.agent import protocol
from holdfast.agent.client import ControlClient, ControlError
from holdfast.agent.status import MemberStatus, SystemStatus
from holdfast.journal.records import IncidentRecord


class StageError(Exception):
    """What was waited for did not come."""


class Stage:
    """A holdfast agent on a file of our own."""

    def __init__(self, text: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
        self.file = self.folder / "holdfast.yaml"
        self.directory = self.folder / "state"
        self.log = self.folder / "agent.log"
        self.file.write_text(text)
        self._agent: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._agent = self._run_agent()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        agent = self._agent
        assert agent is not None
        try:
            with ControlClient(self.directory) as client:
                client.do(protocol.DownRequest())
            await until(lambda: agent.poll() is not None, "the agent stopping everything", within_s=30)
        except (ControlError, StageError) as failure:
            print(f"could not stop everything in order: {failure}", file=sys.stderr)
            agent.kill()
            print(f"the folder is left for you to look at: {self.folder}", file=sys.stderr)
            return
        shutil.rmtree(self.folder)

    def _run_agent(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "holdfast.agent", str(self.file), "--directory", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us; we end the agent in order
            )

    def status(self) -> SystemStatus | None:
        """Return how things are; None while the agent does not answer."""
        try:
            with ControlClient(self.directory) as client:
                return client.status()
        except ControlError:
            return None

    async def all_up(self, *, within_s: float = 30.0) -> SystemStatus:
        """Wait until every service is fully up and nothing is wrong."""
        last: list[SystemStatus] = []

        def is_calm() -> bool:
            assert self._agent is not None
            if self._agent.poll() is not None:
                raise StageError(f"the agent ended:\n{self.log.read_text()}")
            status = self.status()
            if status is None:
                return False
            last.append(status)
            return not status.incidents and all(
                service.serving and service.health == 1.0 for service in status.services
            )

        await until(is_calm, "everything being up", within_s=within_s)
        return last[-1]

    def active_member(self, service: str) -> MemberStatus:
        """Return the member that serves now."""
        status = self.status()
        if status is None:
            raise StageError("the agent does not answer")
        entry = next(entry for entry in status.services if entry.name == service)
        return next(m for m in entry.members if m.component == f"{service}/{entry.active}")

    async def incident_after(self, fault: Callable[[], None], *, within_s: float = 30.0) -> IncidentRecord:
        """Inject `fault`, wait for the incident that it opens to close, and return it."""
        with ControlClient(self.directory) as client:
            known = {record.incident.id for record in client.incidents()}
        fault()
        found: list[IncidentRecord] = []

        def has_closed() -> bool:
            with ControlClient(self.directory) as client:
                found[:] = [
                    record
                    for record in client.incidents()
                    if record.incident.id not in known and not record.incident.is_open
                ]
            return bool(found)

        await until(has_closed, "the incident being closed", within_s=within_s)
        return found[0]


async def until(condition: Callable[[], bool], what: str, *, within_s: float) -> None:
    """Wait for `condition`; StageError naming `what` when it takes too long."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            raise StageError(f"gave up after {within_s:g}s waiting for {what}")
        await asyncio.sleep(0.05)


def send_signal(member: MemberStatus, which: signal.Signals) -> float:
    """Signal a member's process and return when that was (CLOCK_MONOTONIC, seconds)."""
    assert member.pid is not None
    at = time.monotonic()
    os.kill(member.pid, which)
    return at
