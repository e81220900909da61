"""Real ensembles of coordination engines on loopback, whose members can be killed, frozen and brought back.

Each member has a loopback address of its own and a folder of its own; it dies with the test run (by the parent-death
signal), is always ended by its process id, and never touches a server that somebody else runs.
"""

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.components import procfs

READY_WITHIN_S = 60.0  # a generous bound: a JVM starts in one second on an idle core and in ten on a busy one
POLL_S = 0.05


def is_stopped(pid: int) -> bool:
    """Tell whether every thread of a process is stopped by a signal."""
    threads = [procfs.read_stat(int(each.name)) for each in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat is not None and stat.is_stopped for stat in threads)


class Member:
    """One server of an ensemble."""

    def __init__(self, address: str, command: Sequence[str], folder: Path) -> None:
        self.address = address
        self.folder = folder
        self._command = tuple(command)
        self.prefix: Sequence[str] = ()  # what has it run elsewhere, such as in a network namespace
        self._process: subprocess.Popen[bytes] | None = None
        self.is_frozen = False

    @property
    def pid(self) -> int:
        """Return the server's process id; 0 if it does not run."""
        return self._process.pid if self._process is not None and self.is_running else 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_serving(self) -> bool:
        return self.is_running and not self.is_frozen

    def start(self) -> None:
        assert not self.is_running
        with (self.folder / "log").open("ab") as log:
            # It ends with us even if the test run is killed and no fixture gets to clean up.
            self._process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *self.prefix, *self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self.is_frozen = False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.is_frozen = False

    def freeze(self) -> None:
        """Keep its sockets open and let it do nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        self.is_frozen = True
        # On a busy machine the thread that takes the signal may wait for its turn, while others answer on.
        give_up_at = time.monotonic() + READY_WITHIN_S
        while not is_stopped(self._process.pid):
            assert time.monotonic() < give_up_at, "it was never stopped"
            time.sleep(0.001)

    def thaw(self) -> None:
        if self._process is not None and self.is_frozen:
            os.kill(self._process.pid, signal.SIGCONT)
        self.is_frozen = False

    def said(self) -> str:
        """Return the end of its log, for a test that failed."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]


class Ensemble(ABC):
    """All servers of one engine."""

    scheme: str

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        # From where the lab asks the members: their own network, if that is not the machine's.
        self.inside: Callable[[], AbstractContextManager[object]] = nullcontext

    @abstractmethod
    def leads(self, member: Member) -> bool:
        """Return whether this member says that it leads; False where it does not answer."""

    @abstractmethod
    def hand_over(self, leader: Member, to: Member) -> None:
        """Have the leader be followed by another, by this one where the engine lets itself be told."""

    @abstractmethod
    def serves(self, member: Member) -> bool:
        """Return whether this member belongs to a majority and answers."""

    @abstractmethod
    def port(self) -> int:
        """Return the port for clients."""

    def url(self, *members: Member, prefix: str = "", query: str = "") -> str:
        """Return how to connect to these members, or to all."""
        hosts = ",".join(f"{member.address}:{self.port()}" for member in members or self.members)
        return f"{self.scheme}://{hosts}{prefix}" + (f"?{query}" if query else "")

    def leader(self) -> Member:
        """Return the member that leads; waits until there is one."""
        found: list[Member] = []

        def is_known() -> bool:
            with self.inside():
                found[:] = [m for m in self.members if m.is_serving and self.leads(m)]
            return len(found) == 1

        until(is_known, f"one leader of {self.scheme}", self.said)
        return found[0]

    def followers(self) -> tuple[Member, ...]:
        """Return the other members."""
        leader = self.leader()
        return tuple(member for member in self.members if member is not leader)

    def have_lead(self, member: Member) -> None:
        """Have this member lead, while all of them serve. What is written meanwhile may have to wait."""

        def leads() -> bool:
            leader = self.leader()
            if leader is not member:
                self.hand_over(leader, member)
            return leader is member

        until(leads, f"{member.address} leads", self.said)

    def heal(self) -> None:
        """Bring every member back and wait until all serve."""
        for member in self.members:
            member.thaw()
            if not member.is_running:
                member.start()
        self.await_service()

    def await_service(self) -> None:
        """Wait until every running member serves."""

        def is_ready() -> bool:
            with self.inside():
                return all(self.serves(member) for member in self.members if member.is_serving)

        until(is_ready, f"all members of {self.scheme} serve", self.said)

    def said(self) -> str:
        return "\n".join(f"--- {member.address}\n{member.said()}" for member in self.members)

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            self.await_service()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        for member in self.members:
            member.kill()


def until(condition: Callable[[], bool], what: str, said: Callable[[], str] = str) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + READY_WITHIN_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {what}\n{said()}")
        time.sleep(POLL_S)


def _networks() -> Iterator[str]:
    # Test runs beside each other begin at different places; who still collides moves on.
    for step in range(4000):
        at = (os.getpid() * 7 + step) % 40000
        yield f"127.{60 + at // 250}.{1 + at % 250}"


def free_addresses(count: int, ports: Sequence[int]) -> list[str]:
    """Return loopback addresses on which nobody listens at any of `ports`."""
    for network in _networks():
        addresses = [f"{network}.{number}" for number in range(1, count + 1)]
        if all(_is_free(address, port) for address in addresses for port in ports):
            return addresses
    raise AssertionError("no free loopback addresses")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
