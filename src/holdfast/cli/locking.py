"""Runs a command while a lock is held, and ends it before the lock can pass to somebody else."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from holdfast.client import Client, Held
from holdfast.coordination import clock
from holdfast.model.time import SECOND, Duration, Instant

TOKEN = "HOLDFAST_LOCK_TOKEN"  # noqa: S105 - the name of a variable, and a fencing token is no secret
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PR_SET_PDEATHSIG = 1


class CommandError(Exception):
    """The command could not be started."""


class LockLostError(Exception):
    """The lock was lost, and the command was ended for it."""


async def run_locked(
    client: Client, name: str, command: Sequence[str], *, ttl: Duration, wait: Duration | None
) -> int:
    """Run `command` while holding the lock `name`; return its exit code, 128 + n if signal n ended it."""
    wait_s = None if wait is None else wait / SECOND
    async with client.lock(name, ttl=ttl / SECOND, wait=wait_s) as held:
        process = await _start(command, held.token)
        group = not sys.stdin.isatty()
        with _forwarding(process, group=group):
            try:
                code = await _supervise(process, held, ttl, group=group)
            except BaseException:
                _signal(process, signal.SIGKILL, group=group)
                await process.wait()
                raise
    return code if code >= 0 else 128 - code


async def _start(command: Sequence[str], token: int) -> asyncio.subprocess.Process:
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def die_with_us() -> None:
        # Killed ourselves, we can end nobody: the kernel does it.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, TOKEN: str(token)},
            preexec_fn=die_with_us,
            # At a terminal the command must stay in its foreground group; elsewhere its children end with it.
            process_group=None if sys.stdin.isatty() else 0,
        )
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}") from error


async def _supervise(process: asyncio.subprocess.Process, held: Held, ttl: Duration, *, group: bool) -> int:
    """Wait for the command's end. Ask it to end when the lock comes near its deadline, and see to it before."""
    exiting = asyncio.ensure_future(process.wait())
    losing = asyncio.ensure_future(held.lost.wait())
    try:
        while not exiting.done():
            deadline = held.deadline  # each renewal moves it
            await asyncio.wait(
                {exiting, losing},
                timeout=_seconds_until(deadline - ttl // 4),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if exiting.done():
                break
            if losing.done() or clock.now() >= held.deadline - ttl // 4:
                await _end(process, exiting, kill_at=held.deadline - ttl // 20, group=group)
                raise LockLostError(held.why or "it could not be renewed in time")
        return exiting.result()
    finally:
        losing.cancel()


async def _end(
    process: asyncio.subprocess.Process, exiting: "asyncio.Future[int]", *, kill_at: Instant, group: bool
) -> None:
    if clock.now() < kill_at:
        _signal(process, signal.SIGTERM, group=group)
        await asyncio.wait({exiting}, timeout=_seconds_until(kill_at))
    _signal(process, signal.SIGKILL, group=group)  # also what the command left behind in its group
    await exiting


def _seconds_until(instant: Instant) -> float:
    return max(0, instant - clock.now()) / SECOND


def _signal(process: asyncio.subprocess.Process, number: signal.Signals, *, group: bool) -> None:
    with suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, number)
        elif process.returncode is None:
            process.send_signal(number)


@contextmanager
def _forwarding(process: asyncio.subprocess.Process, *, group: bool) -> Iterator[None]:
    """Hand on what is meant for the command; a terminal's Ctrl-C reaches it by itself."""
    loop = asyncio.get_running_loop()

    def forward(number: signal.Signals) -> None:
        if group or number is not signal.SIGINT:
            _signal(process, number, group=group)

    for number in _FORWARDED:
        loop.add_signal_handler(number, forward, number)
    try:
        yield
    finally:
        for number in _FORWARDED:
            loop.remove_signal_handler(number)
