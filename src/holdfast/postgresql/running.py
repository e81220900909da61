"""Running a server: start it as primary or as standby, let it follow another one, promote it, stop it for sure.

A postmaster is never our child in any sense that matters: it goes on when the agent is gone, and a new agent finds it by
its data directory. How a process is started is handed in, as the agent's components have marks, logs and control groups.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import TypeAlias

from holdfast.model.time import MILLISECOND, MINUTE, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql import postmaster
from holdfast.postgresql.asking import ASK_WITHIN, Standing, ask_standing, local
from holdfast.postgresql.clients import write_clients
from holdfast.postgresql.connecting import Row, Statement, ask
from holdfast.postgresql.control import Control, State, Unreadable, read_control
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.files import unfinished
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Position
from holdfast.postgresql.postmaster import Phase, Process
from holdfast.postgresql.settings import Settings, reload, set_standby, take_over_auto_conf, write_settings

# Runs the command in the background as the owner of the data and returns its pid. It raises NotStarted.
Spawner: TypeAlias = Callable[[Instance, Sequence[str]], Awaitable[int]]

_LOOK_AGAIN = 10 * MILLISECOND
_IMMEDIATE_WITHIN = 2 * SECOND
_IN_FORCE_WITHIN = 5 * SECOND


class NotStarted(Exception):  # noqa: N818 - it is an answer: the text says why, and what to do
    """The server was not started."""


class Ending(StrEnum):
    """How far we had to go to stop it."""

    NONE = "did not run"
    FAST = "fast"  # in good order: its last checkpoint is written
    IMMEDIATE = "immediate"  # it will recover when it starts
    KILLED = "killed"
    SURVIVED = "survived"  # something of it sleeps in the kernel and cannot be ended


class Stopped(Value, frozen=True):
    """How a server was stopped."""

    ending: Ending
    survivors: tuple[Process, ...] = ()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing runs any more."""
        return self.ending is not Ending.SURVIVED


def command(instance: Instance) -> tuple[str, ...]:
    """Return the server's command line. All that it is told is in files, so that a reload can change it."""
    config = (f"--config_file={instance.config}",) if instance.config else ()
    return (instance.program("postgres"), "-D", instance.data, *config)


async def prepare(instance: Instance, settings: Settings) -> Control:
    """Make the data ready to be started with `settings`, leftovers of its last life ended; NotStarted otherwise."""
    if (work := unfinished(instance)) is not None:
        raise NotStarted(
            f"its data is not whole: a {work.work} began and did not end; it has to be cloned anew"
        )
    seen = postmaster.look(instance)
    if seen.postmaster is not None:
        raise NotStarted(f"it runs already, as pid {seen.postmaster.pid}")
    if seen.others and (left := await postmaster.kill_everything(instance)):
        raise NotStarted(f"process {left[0].pid} of its last life cannot be ended (state {left[0].state})")
    postmaster.remove_stale_pid_file(instance)
    # A killed postmaster that nobody has reaped yet still counts for PostgreSQL as the owner of its socket; the folder is ours.
    (instance.beside / f".s.PGSQL.{instance.port}.lock").unlink(missing_ok=True)
    if is_port_taken(instance):
        raise NotStarted(f"another program listens on {instance.listen}:{instance.port}")
    try:
        control = await read_control(instance)
    except Unreadable as error:
        raise NotStarted(f"its data cannot be used: {error}") from None
    is_standby = settings.is_standby or settings.upstream is not None
    try:
        take_over_auto_conf(instance)
        write_clients(instance, settings.peers)
        write_settings(instance, settings, control.minimums if is_standby else None)
        set_standby(instance, is_standby=is_standby)
    except OSError as error:
        raise NotStarted(f"{error.filename or instance.data} cannot be written: {error.strerror}") from None
    return control


async def start(
    instance: Instance, settings: Settings, spawner: Spawner, within: Duration = MINUTE
) -> Standing:
    """Start it as a standby of `settings.upstream`, or as primary without one; return what it says once it answers.

    NotStarted when it ends by itself. A recovery may take longer than `within`: then Unanswered comes with NOT_READY,
    and the server goes on starting.
    """
    await prepare(instance, settings)
    pid = await spawner(instance, command(instance))
    return await until_open(instance, pid, within)


async def until_open(instance: Instance, pid: int, within: Duration) -> Standing:
    """Await that server `pid` answers; NotStarted when it ended, Unanswered when it still does not answer."""
    end = time.monotonic_ns() + within
    while True:
        file = postmaster.read_pid_file(instance)
        phase = Phase.NONE if file is None or file.pid != pid else file.phase
        if phase is Phase.READY:
            # It says that it is, and may not be: the answer is what counts.
            with contextlib.suppress(Unanswered):
                return await ask_standing(instance, max(50 * MILLISECOND, end - time.monotonic_ns()))
        if not postmaster.runs(pid):
            raise NotStarted(
                f"the server ended while it was starting: {last_words(instance) or 'see its log'}"
            )
        if time.monotonic_ns() >= end:
            raise Unanswered(Fault.NOT_READY, progress(instance) or f"it is {phase or 'starting'}")
        await asyncio.sleep(_LOOK_AGAIN / SECOND)


def last_words(instance: Instance) -> str:
    """Return the last complaint in the log beside the data; nothing where the log is kept elsewhere."""
    try:
        with (instance.beside / "postgresql.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    told = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    return told[-1].strip() if told else ""


def progress(instance: Instance) -> str:
    """Return what the startup process says that it does, such as `recovering 000000010000000000000042`.

    It changes while recovery goes on, however long that takes. A recovery that stands still is a different thing.
    """
    for process in postmaster.look(instance).others:
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/cmdline", "rb") as file:  # noqa: PTH123 - short-lived
            title = file.read(512).rstrip(b"\0").decode("utf-8", "replace")
            if "startup " in title:
                return title.rpartition("startup ")[2].strip()
    return ""


def is_port_taken(instance: Instance) -> bool:
    """Tell whether somebody listens where the server is to listen."""
    listens = instance.listen.split(",")[0].strip()
    host = "127.0.0.1" if listens in {"*", "0.0.0.0", "localhost", ""} else listens  # noqa: S104 - compared, not bound
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, instance.port)) == 0


# --- following ------------------------------------------------------------------------------------------


async def follow(instance: Instance, settings: Settings) -> None:
    """Let a running standby follow `settings.upstream` from now on, without a restart. OSError, Unanswered otherwise.

    Without an upstream it stops streaming, and its position stands still: so it has to be before positions are
    compared, as what a half-dead primary still sends would move them.
    """
    control = await read_control(instance)
    write_settings(instance, settings, control.minimums)
    # Though nothing may have changed: whoever wrote it last may not have come to tell the server.
    await reload(instance)


async def promote(instance: Instance, settings: Settings, within: Duration = MINUTE) -> Position:
    """Make a running standby the primary; return its position once it is open for writing.

    `settings` come first and are in force before it opens, so that it never commits without the standbys that it has to
    wait for. All that it has received is replayed before it opens: a recovery that was paused goes on. Unanswered says
    why it did not become one in time; whether it will is open then.
    """
    end = time.monotonic_ns() + within
    await _until_in_force(instance, settings)
    await ask(
        local(instance, ASK_WITHIN),
        "select pg_wal_replay_resume() where pg_is_in_recovery()",
        "select pg_promote(false) where pg_is_in_recovery()",
        within=ASK_WITHIN,
    )
    while True:
        standing = await ask_standing(instance, max(50 * MILLISECOND, end - time.monotonic_ns()))
        if standing.is_primary:
            return standing.position
        if time.monotonic_ns() >= end:
            raise Unanswered(Fault.NOT_READY, f"it still replays: {progress(instance) or standing.position}")
        await asyncio.sleep(_LOOK_AGAIN / SECOND)


async def _until_in_force(instance: Instance, settings: Settings) -> None:
    """Have a standby that can be promoted read `settings`, and await that it did."""
    control = await read_control(instance)
    write_settings(instance, settings, control.minimums)
    # In this order: what the first one tells was in force before the reload.
    ((in_force,),), _, rows = await ask(
        local(instance, ASK_WITHIN),
        "select current_setting('synchronous_standby_names')",
        "select pg_reload_conf()",
        _parameters_of(control),
        within=ASK_WITHIN,
    )
    if too_small := _small(rows, control):
        raise Unanswered(Fault.LIMIT, too_small)
    end = time.monotonic_ns() + _IN_FORCE_WITHIN
    while in_force != settings.synchronous:
        if time.monotonic_ns() >= end:
            text = "it does not read for whom its commits have to wait: is synchronous_standby_names set elsewhere?"
            raise Unanswered(Fault.OTHER, text)
        await asyncio.sleep(_LOOK_AGAIN / SECOND)
        in_force = (await ask_standing(instance)).synchronous


async def ask_small_parameters(instance: Instance) -> str:
    """Return which parameter of a running standby is smaller than its primary's was; empty: none is.

    Such a standby has stopped replaying, and ends when it is promoted.
    """
    control = await read_control(instance)
    (rows,) = await ask(local(instance, ASK_WITHIN), _parameters_of(control), within=ASK_WITHIN)
    return _small(rows, control)


def _parameters_of(control: Control) -> Statement:
    names = "{" + ",".join(control.minimums) + "}"
    return "select name, setting from pg_settings where name = any($1::text[])", (names,)


def _small(rows: Iterable[Row], control: Control) -> str:
    for name, value in rows:
        least = control.minimums[name or ""]
        if int(value or 0) < least:
            return f"{name} is {value} and its primary had {least}: restart it with {least} first"
    return ""


async def checkpoint(instance: Instance, within: Duration = 5 * MINUTE) -> None:
    """Write a checkpoint; Unanswered otherwise.

    After a promotion pg_control tells the old timeline until the first one, and a rewind against it decides
    wrongly. Before a planned stop it makes the stop short.
    """
    await ask(local(instance, within), "checkpoint", within=within)


# --- stopping -------------------------------------------------------------------------------------------


async def stop(instance: Instance, fast_within: Duration, *, is_immediate: bool = False) -> Stopped:
    """Stop the server: in good order within `fast_within`, else at once, else by force. Nothing of it is left.

    What is stopped by a signal obeys no other one than SIGKILL, so it gets that one without delay.
    """
    seen = postmaster.look(instance)
    if not seen.everything:
        _tidy(instance)
        return Stopped(Ending.NONE)
    steps = [(Ending.IMMEDIATE, signal.SIGQUIT, _IMMEDIATE_WITHIN)]
    if not is_immediate:
        steps.insert(0, (Ending.FAST, signal.SIGINT, fast_within))
    for ending, number, within in steps:
        main = postmaster.look(instance).postmaster
        if main is None or main.is_stopped:
            break
        postmaster.send(main, number)
        if await postmaster.until_gone(instance, within):
            return Stopped(ending)
    if survivors := await postmaster.kill_everything(instance):
        return Stopped(Ending.SURVIVED, survivors)
    _tidy(instance)
    return Stopped(Ending.KILLED)


def _tidy(instance: Instance) -> None:
    with contextlib.suppress(
        OSError
    ):  # on a disk that cannot be written any more it has stopped all the same
        postmaster.remove_stale_pid_file(instance)


async def until_shut_down(instance: Instance, within: Duration) -> Control | None:
    """Await that a stopping primary wrote its shutdown checkpoint, though it may not have ended yet.

    The archiver can keep a postmaster alive for long after that. By then all is on its way to the standbys,
    so who plans a switchover compares the candidate's position to this checkpoint. None: not within that time.
    """
    end = time.monotonic_ns() + within
    while True:
        with contextlib.suppress(Unreadable):
            control = await read_control(instance)
            if control.state is State.SHUT_DOWN:
                return control
        if time.monotonic_ns() >= end:
            return None
        await asyncio.sleep(_LOOK_AGAIN / SECOND)


async def demote(
    instance: Instance, settings: Settings, spawner: Spawner, fast_within: Duration, within: Duration = MINUTE
) -> Standing:
    """Stop a primary and start it again as a standby. Only a restart does that: PostgreSQL cannot step back.

    Whether its log still fits its new upstream's is the caller's to ask in between where the stop was not planned;
    see rewinding.py. NotStarted and Unanswered as for `start`.
    """
    assert settings.upstream is not None
    stopped = await stop(instance, fast_within)
    if not stopped.is_over:
        raise NotStarted(f"process {stopped.survivors[0].pid} of it cannot be ended")
    return await start(instance, settings, spawner, within)
