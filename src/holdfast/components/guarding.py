"""The agent's side of the guard: deadlines told to another program, and each of them acknowledged.

What counts is the answer: a primary is promoted after `arm` said that its deadline stands, and a right is believed only as
far as `extend` said that its deadline was moved. A guard that does not answer is lost. It is started again at once, in a
session of its own so that it survives the agent; it finds its armed set where the last one left it (see `guard.remembering`).
Meanwhile calls are refused with the reason, and the caller extends no entitlement.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from holdfast.components import marking, procfs
from holdfast.components.marking import Mark
from holdfast.components.procfs import Identity
from holdfast.components.records import Folder
from holdfast.guard import messages, remembering
from holdfast.guard.command import command
from holdfast.guard.facts import Facts
from holdfast.guard.messages import Arm, Ask, Disarm, Extend, Leave, Request
from holdfast.model.ids import ComponentId
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant, show_duration
from holdfast.model.value import Value

_LOG_MAX_BYTES = 1_000_000
_BATCH = 128  # components in one packet: at most 255 characters each
_SILENT_MAX = 2  # calls in a row without an answer; then it is frozen, and replaced
_ATTEMPTS = 3  # of one request: the guard may just be replaced
_TRY_AGAIN = 20 * MILLISECOND
_START_AGAIN = 500 * MILLISECOND  # at the soonest: one that cannot start is not started again and again
_ANSWER_MAX = 1 << 20  # bytes

T = TypeVar("T", bound=Value)


def now() -> Instant:
    """Return the present instant of the clock that the guard looks at."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class GuardLost(Exception):  # noqa: N818 - it is what happened, not a fault of ours
    """The guard did not answer; the text says how."""


class ArmedSeen(Value, frozen=True):
    """One armed component, as the guard tells of it."""

    deadline: Instant
    pid: int
    is_overdue: bool  # its deadline passed, and something of it still runs


class EndedSeen(Value, frozen=True):
    """One component that the guard ended."""

    component: ComponentId
    deadline: Instant
    began: Instant
    ended: Instant  # nothing was left of it


class GuardSeen(Value, frozen=True):
    """The guard itself."""

    pid: int
    since: Instant
    watchdog: str  # the device that it feeds; empty: none now
    is_leaving: bool  # it was asked to, and stays until nothing is armed


class GuardStatus(Value, frozen=True):
    """What the guard answers when it is asked."""

    armed: dict[ComponentId, ArmedSeen]
    ended: tuple[EndedSeen, ...]  # the newest few, oldest first; of this guard's life
    guard: GuardSeen


class _Answer(Value, frozen=True):
    ok: bool
    error: str = ""
    refused: dict[ComponentId, str] = {}


def facts_of(directory: Path, component: ComponentId) -> Facts | str:
    """Return what the guard has to know of a running component, by the record that LocalProcesses keeps of it.

    Text instead says why there are none. Blocks for less than a millisecond.
    """
    boot = procfs.boot_id()
    record = Folder(directory, component).read(boot)
    if record is None or not record.identity.is_running:
        return f"{component} does not run"
    return Facts(record.pid, record.ticks, boot, marks_of(directory, component), record.cgroup)


def facts_to_be(directory: Path, component: ComponentId) -> Facts:
    """Return what the guard has to know of a component that is about to be started: its mark, which it has from the first."""
    return Facts(0, 0, procfs.boot_id(), marks_of(directory, component))


def marks_of(directory: Path, component: ComponentId) -> tuple[str, ...]:
    """Return the variables that everything of a component has in its environment."""
    # Not the epoch: a hook that promotes carries another, and what it leaves behind belongs to the component too.
    environment = marking.as_environment(
        marking.read_instance(directory), Mark(component, 0, is_primary=False, run_digest="")
    )
    return tuple(f"{name}={environment[name]}" for name in ("HOLDFAST_INSTANCE", "HOLDFAST_COMPONENT"))


def log_of(directory: Path) -> Path:
    """Return where a guard that the agent started tells what it does: not on a disk, which must not hold it up."""
    return Path(f"{remembering.place_of(str(directory))[0]}.log")


class Guarding:
    """The guard of one state directory: reached, and started where there is none."""

    def __init__(
        self,
        directory: Path,
        *,
        watchdog: Path | None = None,
        watchdog_timeout: Duration = 0,
        within: Duration = SECOND,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """No call takes longer than `within`. `tell` hears of each guard that is lost, started or replaced."""
        self._directory = directory
        self._command = command(
            str(directory),
            watchdog="" if watchdog is None else str(watchdog),
            watchdog_timeout=watchdog_timeout // SECOND,
            unless_running=True,
        )
        self._within = within
        self._tell = tell
        self._turn = asyncio.Lock()  # one request at a time: answers come in the order of requests
        self._connection: socket.socket | None = None
        self._started: Identity | None = None  # the guard that we started last
        self._started_at: Instant = 0
        self._silent = 0
        self._is_dismissed = False

    async def arm(self, component: ComponentId, facts: Facts, deadline: Instant) -> str | None:
        """Have `component` ended at `deadline`; None once the guard has promised it, else why not.

        Armed again it is another life, with a deadline of its own. Refused, whatever was armed before stays.
        """
        return await self._do(Arm(component, facts, deadline))

    async def extend(self, deadlines: dict[ComponentId, Instant]) -> dict[ComponentId, str]:
        """Move deadlines away; return those that were not moved, and why."""
        refused: dict[ComponentId, str] = {}
        entries = list(deadlines.items())
        for begin in range(0, len(entries), _BATCH):
            batch = dict(entries[begin : begin + _BATCH])
            try:
                answer = await self._ask(Extend(batch), _Answer)
            except GuardLost as lost:
                return refused | dict.fromkeys(deadlines.keys() - dict(entries[:begin]).keys(), str(lost))
            refused |= answer.refused if answer.ok else dict.fromkeys(batch, answer.error)
        return refused

    async def disarm(self, component: ComponentId) -> str | None:
        """Take the deadline of `component` away, before it is demoted to go on or started anew; else why not."""
        return await self._do(Disarm(component))

    async def dismiss(self) -> None:
        """Have the guard leave once nothing is armed, if an agent started it; none is started from now on."""
        self._is_dismissed = True
        with contextlib.suppress(GuardLost):  # then it stays, as it did when it could not be asked
            await self._ask(Leave(), _Answer)

    async def status(self) -> GuardStatus | str:
        """Return how the guard is; text instead says why it cannot be told."""
        try:
            return await self._ask(Ask(), GuardStatus)
        except GuardLost as lost:
            return str(lost)

    async def until_ended(self, component: ComponentId, within: Duration) -> str:
        """Await that the guard has ended a component whose deadline passed; return what keeps it from that after `within`.

        Empty: it ends nothing of it, or cannot be asked. It ends by mark: what is started meanwhile would be ended, too.
        """
        end = now() + within
        while isinstance(status := await self.status(), GuardStatus):
            seen = status.armed.get(component)
            if seen is None or seen.deadline > now():
                break
            if now() >= end:
                return "its last deadline passed, and the guard still ends what is left of it"
            await asyncio.sleep(_TRY_AGAIN / SECOND)
        return ""

    async def close(self) -> None:
        """Let go of the guard; it goes on."""
        self._hang_up()
        self._reap()

    # --- one request ----------------------------------------------------------------------------------

    async def _do(self, request: Request) -> str | None:
        try:
            answer = await self._ask(request, _Answer)
        except GuardLost as lost:
            return str(lost)
        return None if answer.ok else answer.error

    async def _ask(self, request: Request, kind: type[T]) -> T:
        try:
            async with asyncio.timeout(self._within / SECOND), self._turn:
                answer = await self._exchange(messages.encode(request))
        except TimeoutError:
            raise GuardLost(f"the guard did not answer within {show_duration(self._within)}") from None
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise GuardLost(f"the guard's answer is not understood: {error}") from error

    async def _exchange(self, packet: bytes) -> bytes:
        for _ in range(_ATTEMPTS):
            connection = await self._reach()
            loop, asked = asyncio.get_running_loop(), now()
            try:
                await loop.sock_sendall(connection, packet)
                answer = await loop.sock_recv(connection, _ANSWER_MAX)
            except OSError:
                answer = b""
            except asyncio.CancelledError:
                self._hang_up()  # its answer may still come, and must not pass for that to the next request
                if now() - asked > self._within // 2:
                    self._silent += 1
                raise
            if answer:
                self._silent = 0
                return answer
            self._hang_up()
        raise GuardLost(f"the guard hung up {_ATTEMPTS} times in a row")

    async def _reach(self) -> socket.socket:
        """Return the connection; whoever awaits this bounds it."""
        if self._connection is None and self._silent >= _SILENT_MAX:
            self._kill_frozen()
        while self._connection is None:
            try:
                self._connection = self._connect()
            except OSError as error:
                await self._start(error.strerror or str(error))
                await asyncio.sleep(_TRY_AGAIN / SECOND)
        return self._connection

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = -1
        try:
            connection.setblocking(False)
            folder = os.open(self._directory, os.O_PATH | os.O_CLOEXEC)
            # Short however long the directory's path is: that of a socket has 107 bytes at most.
            connection.connect(f"/proc/self/fd/{folder}/{messages.SOCKET}")
            if _peer(connection).user not in {0, os.geteuid()}:
                raise PermissionError(errno.EPERM, "who listens there is somebody else's program")
        except OSError:
            connection.close()
            raise
        finally:
            if folder >= 0:
                os.close(folder)
        return connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- the guard's own life -------------------------------------------------------------------------

    async def _start(self, why: str) -> None:
        """Start a guard, unless one that we started is on its way."""
        if self._is_dismissed:
            raise GuardLost(f"no guard answers ({why}), and none is wanted any more")
        if self._started is not None and self._started.is_running:
            return
        if now() - self._started_at < _START_AGAIN:
            return
        self._reap()
        self._started_at = now()
        try:
            self._started = await asyncio.to_thread(self._spawn)
        except OSError as error:
            raise GuardLost(f"no guard answers ({why}), and none can be started: {error}") from error
        self._tell(f"no guard answered ({why}): started one, pid {self._started.pid}")

    def _spawn(self) -> Identity:
        arguments, environment = self._command
        path = log_of(self._directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(path, flags, 0o600)
        try:
            if os.fstat(log).st_size > _LOG_MAX_BYTES:
                os.ftruncate(log, 0)
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(log)
        stat = procfs.read_stat(process.pid)
        assert stat is not None, "our own child is there until we reap it"
        process.returncode = 0  # it survives us, and is not Popen's to wait for
        return stat.identity

    def _reap(self) -> None:
        if self._started is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self._started.pid, os.WEXITED | os.WNOHANG)

    def _kill_frozen(self) -> None:
        """End a guard that takes requests and answers none. Its successor has the same deadlines."""
        self._silent = 0
        try:
            connection = self._connect()
        except OSError:
            return
        with connection:
            pid = _peer(connection).pid
            identity = _identity_of(pid)
            if identity is None or _is_hung_up(connection) or (pidfd := procfs.open_pidfd(identity)) is None:
                return
            procfs.send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self._tell(f"the guard, pid {pid}, was frozen: killed it to have it replaced")


class _Peer(NamedTuple):
    pid: int
    user: int
    group: int


def _peer(connection: socket.socket) -> _Peer:
    """Return who listens there, by the kernel's word."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return _Peer(*struct.unpack("3i", credentials))


def _identity_of(pid: int) -> Identity | None:
    stat = procfs.read_stat(pid)
    return None if stat is None else stat.identity


def _is_hung_up(connection: socket.socket) -> bool:
    # Its number is surely its own for as long as it keeps the socket open.
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
