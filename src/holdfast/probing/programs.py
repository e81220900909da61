"""Probes that are programs, with Nagios' exit codes and output.

Programs do what they like: they hang, leave children behind that hold their output open, print without end.
So each runs in a process group of its own which ends with it; its end is its exit, not the end of its
output; and of the output the first 8 KiB count, the rest is read and thrown away lest the program block.

Exits are learned through pidfds and reaped one by one: the other children of this process, and whoever
waits for them, are left alone.
"""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Sequence

from holdfast.model.observation import Failure, Layer, Outcome
from holdfast.model.time import SECOND, Duration, show_duration
from holdfast.probing.perfdata import read_output
from holdfast.probing.verdict import Verdict, failed, unknown

OUTPUT_MAX = 8 * 1024
END_WITHIN = 1.0  # seconds a killed program may take to be gone before we stop waiting for it

_OUTCOMES = {0: Outcome.PASSED, 1: Outcome.DEGRADED, 2: Outcome.FAILED}


class _Outlet:
    """One output of a program, read while it runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept = bytearray()
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        loop.add_reader(self._reading, self.read)

    def started(self) -> None:
        """Leave the writing end to the program."""
        os.close(self.writing)
        self.writing = -1

    def read(self) -> None:
        """Read what there is, once; keep what counts."""
        try:
            data = os.read(self._reading, 65536)
        except BlockingIOError:
            return
        self._kept += data[: OUTPUT_MAX - len(self._kept)]
        if not data:
            self._loop.remove_reader(self._reading)

    def close(self) -> None:
        """Stop reading, whoever still holds the other end."""
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        if self.writing >= 0:
            self.started()

    def text(self) -> str:
        """Return what counts of all that was printed."""
        self.read()
        return self._kept.decode("utf-8", "replace")


class Program:
    """One run of one program."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._loop = asyncio.get_running_loop()
        self._output: _Outlet | None = None
        self._complaints: _Outlet | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    async def run(self, time_limit: Duration) -> Verdict:
        """Run it to its end or to its time limit, and leave nothing of it behind."""
        try:
            try:
                self._start()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                return unknown(
                    Layer.PROGRAM, Failure.NOT_RUNNABLE, f"cannot run {self._command[0]}: {reason.lower()}"
                )
            if not await self._ends_within(time_limit / SECOND):
                detail = f"{self._command[0]} did not end within {show_duration(time_limit)}"
                return failed(Layer.PROGRAM, Failure.TIMED_OUT, detail)
            self._kill_group()
            return self._judge(self._reap())
        finally:
            await self._clean_up()

    def _start(self) -> None:
        self._output, self._complaints = _Outlet(self._loop), _Outlet(self._loop)
        # Secrets may be in our own environment: a check gets what a shell would start with, and no more.
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TZ") if name in os.environ}
        self._process = subprocess.Popen(
            list(self._command),
            stdin=subprocess.DEVNULL,
            stdout=self._output.writing,
            stderr=self._complaints.writing,
            env=env | {"LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        self._output.started()
        self._complaints.started()
        self._pidfd = os.pidfd_open(self._process.pid)

    async def _ends_within(self, seconds: float) -> bool:
        ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, _end, ended)
        try:
            async with asyncio.timeout(seconds):
                await ended
        except TimeoutError:
            # It may have ended while we were late ourselves.
            return bool(select.select([self._pidfd], [], [], 0)[0])
        finally:
            self._loop.remove_reader(self._pidfd)
        return True

    def _kill_group(self) -> None:
        """End what is left of the group. Called before the program is reaped: so long its number is its own."""
        assert self._process is not None
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self) -> int | None:
        """Return the exit code, negative for a signal, None if somebody else took it."""
        assert self._process is not None
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            self._process.returncode = 0  # for its destructor: there is nothing to wait for any more
            return None
        if result is None:
            return None
        code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
        self._process.returncode = code
        return code

    def _judge(self, code: int | None) -> Verdict:
        assert self._output is not None
        assert self._complaints is not None
        printed = read_output(self._output.text())
        text = printed.text or read_output(self._complaints.text()).text
        if code is None:
            return unknown(Layer.PROGRAM, Failure.EXIT_CODE, "its exit code was lost")
        if code < 0:
            name = signal.Signals(-code).name if -code in _SIGNALS else f"signal {-code}"
            return unknown(Layer.PROGRAM, Failure.EXIT_CODE, f"{self._command[0]} was ended by {name}")
        outcome = _OUTCOMES.get(code, Outcome.UNKNOWN)
        failure = Failure.NONE if outcome is Outcome.PASSED else Failure.EXIT_CODE
        return Verdict(outcome, Layer.PROGRAM, failure, text or f"exit code {code}", printed.measurements)

    async def _clean_up(self) -> None:
        for outlet in (self._output, self._complaints):
            if outlet is not None:
                outlet.close()
        if self._pidfd < 0 or self._process is None:
            return
        if self._process.returncode is None:
            self._kill_group()
            if await self._ends_within(END_WITHIN):
                self._reap()
            else:
                self._process.returncode = (
                    -signal.SIGKILL
                )  # it hangs in the kernel; its zombie is left to our end
        os.close(self._pidfd)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


_SIGNALS = frozenset(int(number) for number in signal.Signals)
