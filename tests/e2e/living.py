"""A real agent in a folder of its own, for the tests: started, asked, ended, and cleaned up after."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.agent.client import ControlClient, ControlError
from holdfast.agent.protocol import Accepted, CommandRequest, ReloadRequest
from holdfast.agent.status import MemberStatus, ServiceStatus, SystemStatus
from holdfast.components.cgroups import Cgroups
from holdfast.components.marking import read_instance

WITHIN_S = 15.0  # a generous bound: the tests run beside others on few cores
POLL_S = 0.03
SERVING = Path(__file__).with_name("serving.py")

Done = Callable[[SystemStatus], object]


class LivingSystem:
    """One system in one folder: its file, its state directory, and at most one agent at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "holdfast.yaml"
        self.directory = folder / "state"
        self.log = folder / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None

    # --- the file -------------------------------------------------------------------------------------

    def write(self, services: dict[str, Any], **more: Any) -> None:
        # JSON is YAML too.
        self.file.write_text(json.dumps({"system": "test", **more, "services": services}), encoding="utf-8")

    def notes(self, name: str) -> Path:
        return self.folder / f"{name}.notes"

    def noted(self, name: str) -> list[str]:
        """Return the first words of what the servers of that name wrote down."""
        path = self.notes(name)
        return [line.split()[0] for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def server(self, name: str = "{member}", port: str = "{port}", notes: str = "{member}") -> list[str]:
        """Return the command of a server that notes its life."""
        return [sys.executable, "-I", "-S", str(SERVING), port, name, str(self.notes(notes))]

    # --- the agent ------------------------------------------------------------------------------------

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "holdfast.agent", str(self.file), "--directory", str(self.directory)]
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        return self.agent

    def end(self, number: signal.Signals) -> int:
        """Send the agent a signal and return its exit code."""
        assert self.agent is not None
        self.agent.send_signal(number)
        code = self.agent.wait(WITHIN_S)
        self.agent = None
        return code

    def client(self) -> ControlClient:
        return ControlClient(self.directory)

    def do(self, request: CommandRequest | ReloadRequest) -> Accepted:
        with self.client() as client:
            return client.do(request)

    def status(self) -> SystemStatus:
        with self.client() as client:
            return client.status()

    def until(self, done: Done, what: str, within_s: float = WITHIN_S) -> SystemStatus:
        """Ask for the status until `done` says so; the agent's log is shown if it never does."""
        give_up_at = time.monotonic() + within_s
        last: SystemStatus | ControlError | None = None
        while time.monotonic() < give_up_at:
            try:
                last = self.status()
                if done(last):
                    return last
            except ControlError as error:
                last = error
            time.sleep(POLL_S)
        message = f"never came: {what}\nlast: {last}\n--- the agent's log\n{self.log.read_text('utf-8')}"
        raise AssertionError(message)

    def said(self, *words: str) -> bool:
        """Tell whether one line of the agent's log holds all the words."""
        return any(all(word in line for word in words) for line in self.log.read_text("utf-8").splitlines())

    # --- what is left ---------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """Return every process that has this folder in its command line: agents, components, HAProxy."""
        mine = tuple(os.fsencode(self.folder) + end for end in (b"/", b"\0"))
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if any(each in command for each in mine):
                    found.append(int(entry.name))
        return found

    def clean_up(self) -> None:
        self._kill_all()
        if self.agent is not None:
            self.agent.wait(WITHIN_S)
            self.agent = None
        # One may have been about to start another one, such as a guard its understudy.
        await_that(lambda: not self._kill_all(), "the last process of this test is gone")
        if (self.directory / "components").is_dir():
            for _, group in Cgroups.find(read_instance(self.directory)).occupied():
                group.remove()

    def _kill_all(self) -> list[int]:
        """Kill what is left, and return what that was."""
        left = self.processes()
        for number in (signal.SIGCONT, signal.SIGKILL):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        return left


def await_that(holds: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, f"never came: {what}"
        time.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, next to each other in no order."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def fetch(port: int) -> str:
    """Return what the server behind `port` says; empty if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def service(status: SystemStatus, name: str) -> ServiceStatus:
    return next(found for found in status.services if found.name == name)


def member(status: SystemStatus, component: str) -> MemberStatus:
    found = service(status, component.partition("/")[0])
    return next(one for one in found.members if one.component == component)


def pid_of(status: SystemStatus, component: str) -> int:
    pid = member(status, component).pid
    assert pid is not None
    return pid


def is_up(status: SystemStatus, *components: str) -> bool:
    return all(member(status, component).status == "up" for component in components)


def fast(port_key: str = "{port}") -> dict[str, Any]:
    """Return probes that tell quickly."""
    return {
        "alive": {"http": f"http://127.0.0.1:{port_key}/", "every": "200ms", "timeout": "200ms", "fall": 2}
    }
