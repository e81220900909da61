"""What of the cluster has to survive the agent: the highest leader's epoch obeyed for each service, and the policy's number.

The highest epoch of each lease is there because the coordinator may lose it: one that was wiped, or put back from a backup, would
give the same epochs again, and who saw the earlier ones would refuse them for good.

Beside them stands where the leader placed members: who runs here goes on running when the agent comes again, though the coordinator
cannot be asked at that moment.

An assignment that was written under a smaller epoch is of a deposed leader, and a policy with a smaller number was put back
by somebody: both are refused, by this life of the agent and by the next.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.agent.log import Level, Line
from holdfast.components.records import put_in_place
from holdfast.model.ids import Epoch, HostName, MemberName, ServiceName
from holdfast.model.value import Value

FILE = "cluster.json"
_AGAIN_S = 1.0


class Memory(Value, frozen=True):
    """What was seen, at the highest."""

    assigned_under: dict[ServiceName, Epoch] = {}
    policy_number: int = 0
    placed: dict[ServiceName, dict[MemberName, HostName]] = {}
    leases_seen: dict[ServiceName, Epoch] = {}


class MemoryUnreadableError(Exception):
    """What was remembered cannot be read, and forgetting it could mean to obey a deposed leader."""


def recall(directory: Path) -> Memory:
    """Return what is remembered; MemoryUnreadableError if that cannot be read."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.DecodeError) as error:
        message = (
            f"{path} cannot be read ({error}). Remove it if no other agent of this system is partitioned away"
        )
        raise MemoryUnreadableError(message) from error


def remember(directory: Path, memory: Memory) -> None:
    """Put it on disk; OSError if that does not work."""
    put_in_place(directory / FILE, msgspec.json.encode(memory))


class Remembering:
    """The memory of one agent, and its way to a disk that may be slow or full: nothing else waits for it."""

    def __init__(self, directory: Path, memory: Memory, say: Callable[[Line], None]) -> None:
        self._directory = directory
        self._say = say
        self.memory = memory
        self._written = memory
        self._told = ""
        self._woken = asyncio.Event()
        self._one = threading.Lock()

    def note(self, memory: Memory) -> None:
        """Remember this instead, on disk as soon as it can be."""
        self.memory = memory
        self._woken.set()

    async def run(self) -> None:
        """Write what is new until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self.memory == self._written:
                continue
            try:
                memory = await asyncio.to_thread(self._write)
            except OSError as error:
                self._tell(f"cannot be remembered over a restart: {error}")
                await asyncio.sleep(_AGAIN_S)
                self._woken.set()
                continue
            self._written, self._told = memory, ""

    def close(self) -> None:
        """Write what is not written yet, if that can be: the agent ends."""
        if self.memory != self._written:
            with suppress(OSError):
                self._write()

    def _write(self) -> Memory:
        """Write the newest and return it. One at a time: the thread of a call that was given up writes on, to the same file."""
        with self._one:
            memory = self.memory
            remember(self._directory, memory)
            return memory

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            self._say(Line(Level.ERROR, "agent", "fault", problem))
        self._told = problem
