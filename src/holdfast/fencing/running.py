"""Running a program that fences: within a time limit, and leaving nothing of it behind.

At its time limit a program gets SIGTERM first: many a device has room for one session only, and an agent that is
killed outright leaves its session open. A moment later its whole process group gets SIGKILL. What counts is the exit
of the program itself: what it started in the background may hold its output open for ever.

Its input is in the pipe before it starts, so a program that does not read cannot keep us waiting.
"""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

OUTPUT_MAX = 256 * 1024  # bytes kept of each output: the last ones
LEAVE_WITHIN = 2.0  # seconds from SIGTERM to SIGKILL
GONE_WITHIN = 1.0  # seconds a killed program may take to be gone before we stop waiting for it

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGNALS = frozenset(int(number) for number in signal.Signals)


class Ran(NamedTuple):
    """How a run ended."""

    code: int | None  # its exit code; None: it has none, see `fault`
    printed: bytes = b""
    complained: bytes = b""  # on standard error
    fault: str = ""  # why there is no exit code, as the end of a sentence about the program
    is_started: bool = True
    is_late: bool = False  # it did not end within its time limit


class Until:
    """A time limit that several questions share."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.at = self._loop.time() + seconds

    def left(self) -> float:
        """Return how many seconds are left; 0 when it has passed."""
        return max(0.0, self.at - self._loop.time())


def search_path() -> str:
    """Return where programs are looked for: fence agents live in sbin, which a user's PATH leaves out."""
    return f"{os.environ.get('PATH', '')}:{_PATH}".removeprefix(":")


async def run(
    command: Sequence[str], within: float, *, told: bytes = b"", variables: dict[str, str] | None = None
) -> Ran:
    """Run a program with `told` as its standard input, for `within` seconds at most."""
    running = _Running(asyncio.get_running_loop())
    try:
        try:
            running.start(command, told, variables or {})
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return Ran(None, fault=f"cannot be run: {reason.lower()}", is_started=running.is_started)
        if await running.ends_within(within):
            return running.reap()
        running.signal_group(signal.SIGTERM)
        await running.ends_within(LEAVE_WITHIN)
        return Ran(None, *running.outputs(), fault="did not end in time", is_late=True)
    finally:
        await running.end()


class _Outlet:
    """One output of a program, read while it runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept = bytearray()
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        loop.add_reader(self._reading, self.read)

    def read(self) -> None:
        """Read what there is, once; keep the last of it."""
        try:
            piece = os.read(self._reading, 65536)
        except BlockingIOError:
            return
        self._kept += piece
        del self._kept[:-OUTPUT_MAX]
        if not piece:
            self._loop.remove_reader(self._reading)

    def started(self) -> None:
        """Leave the writing end to the program."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def content(self) -> bytes:
        """Return what was printed so far."""
        self.read()
        return bytes(self._kept)

    def close(self) -> None:
        """Stop reading, whoever still holds the other end."""
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        self.started()


class _Running:
    """One run. `end` must be called, whatever happened."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outlets = (_Outlet(loop), _Outlet(loop))
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    def start(self, command: Sequence[str], told: bytes, variables: dict[str, str]) -> None:
        """Start it in a process group of its own, with its input ready."""
        output, complaints = self._outlets
        # Secrets may be in our own environment: it gets what a shell would start with, and no more.
        own = {name: os.environ[name] for name in ("HOME", "TZ") if name in os.environ}
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            _fill(writing, told)
            self._process = subprocess.Popen(
                list(command),
                stdin=reading,
                stdout=output.writing,
                stderr=complaints.writing,
                env=own | {"PATH": search_path(), "LC_ALL": "C.UTF-8"} | variables,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(reading)
        for outlet in self._outlets:
            outlet.started()
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except OSError:
            self.signal_group(signal.SIGKILL)  # it could not be watched
            self._process.wait()
            raise

    @property
    def is_started(self) -> bool:
        """Tell whether it may have done anything."""
        return self._process is not None

    async def ends_within(self, seconds: float) -> bool:
        """Wait until it has ended, for so long at most; tell whether it has."""
        ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, _end, ended)
        try:
            await asyncio.wait([ended], timeout=max(0.0, seconds))
        finally:
            self._loop.remove_reader(self._pidfd)
        # Asked of the kernel: it may have ended while we were late ourselves.
        return bool(select.select([self._pidfd], [], [], 0)[0])

    def signal_group(self, number: int) -> None:
        """Signal what is left of the group. Called before the program is reaped: so long its number is its own."""
        assert self._process is not None
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def outputs(self) -> tuple[bytes, bytes]:
        """Return what it printed and what it complained."""
        output, complaints = self._outlets
        return output.content(), complaints.content()

    def reap(self) -> Ran:
        """Return how it ended, now that it has."""
        assert self._process is not None
        self.signal_group(signal.SIGKILL)
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            result = None
        if result is None:
            self._process.returncode = 0  # for its destructor: there is nothing to wait for any more
            return Ran(None, *self.outputs(), fault="ended, and how was not learned")
        if result.si_code == os.CLD_EXITED:
            self._process.returncode = result.si_status
            return Ran(result.si_status, *self.outputs())
        self._process.returncode = -result.si_status
        name = (
            signal.Signals(result.si_status).name
            if result.si_status in _SIGNALS
            else f"signal {result.si_status}"
        )
        return Ran(None, *self.outputs(), fault=f"was ended by {name}")

    async def end(self) -> None:
        """Kill what is left of it, and close what it was connected with."""
        try:
            if self._process is not None and self._process.returncode is None:
                self.signal_group(signal.SIGKILL)
                if await self.ends_within(GONE_WITHIN):
                    self.reap()
                else:
                    # It hangs in the kernel; its zombie is left to our end.
                    self._process.returncode = -signal.SIGKILL
        finally:
            for outlet in self._outlets:
                outlet.close()
            if self._pidfd >= 0:
                os.close(self._pidfd)


def _fill(writing: int, told: bytes) -> None:
    """Write all of it into the pipe, and close this end."""
    try:
        os.set_blocking(writing, False)
        if told and os.write(writing, told) < len(told):
            raise ValueError(f"its options are too long: {len(told)} bytes")
    finally:
        os.close(writing)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
