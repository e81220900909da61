"""Starting a program so that it does not depend on us: its own session, no pipes, its own control group.

The kernel knows everything that matters about the new process from its first instruction: mark, session and
group are set before the program runs. So whenever the agent is killed, the process can be found.
"""

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from holdfast.components import output, procfs
from holdfast.components.cgroups import Cgroup
from holdfast.components.environment import Account, Environment, Refused, build_environment, find_account
from holdfast.components.marking import Mark, as_environment
from holdfast.components.procfs import Identity
from holdfast.components.records import Folder
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import Instant

_TOO_LATE = 75  # sysexits.h: try again later


class Site(NamedTuple):
    """Where a component lives."""

    instance: str
    folder: Folder
    cgroup: Cgroup | None
    not_after: Instant | None = None  # CLOCK_BOOTTIME; later than that the program is not run any more


class Spawned(NamedTuple):
    """A process that runs now."""

    identity: Identity
    hidden: tuple[str, ...]  # its secrets, to be blotted out of evidence


def spawn(spec: ProcessSpec, command: tuple[str, ...], mark: Mark, site: Site) -> Spawned:
    """Start `command` for the component; Refused says why it cannot be. Blocks for some milliseconds."""
    if not command:
        raise Refused("command is empty; name a program")
    account = find_account(spec)
    environment = build_environment(spec, account, as_environment(site.instance, mark))
    folder = site.folder
    try:
        folder.make()
        if account.user is not None:
            os.chown(folder.working, account.user, account.group if account.group is not None else -1)
        log = output.open_for_process(folder.output)
    except OSError as error:
        raise Refused(f"{error.filename or folder.path} cannot be made: {error.strerror}") from error
    directory = _find_directory(spec, folder)
    entrance = _open_entrance(site.cgroup)
    try:
        pid = _popen(command, directory, environment, account, (log, entrance, site.not_after))
    finally:
        os.close(log)
        if entrance is not None:
            os.close(entrance)
    stat = procfs.read_stat(pid)
    assert stat is not None, "our own child is there until we reap it"
    return Spawned(stat.identity, environment.hidden)


def _popen(
    command: tuple[str, ...],
    directory: Path,
    environment: Environment,
    account: Account,
    terms: tuple[int, int | None, Instant | None],
) -> int:
    log, entrance, not_after = terms
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=environment.variables,
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
            start_new_session=True,
            umask=0o022,
            preexec_fn=_prepare(entrance, not_after),  # noqa: PLW1509 - takes no lock, see there
        )
    except OSError as error:
        raise Refused(_explain(error, command, directory, environment.variables["PATH"])) from error
    except (subprocess.SubprocessError, ValueError) as error:
        raise Refused(f"{command[0]!r} cannot be started: {error}") from error
    # It is not Popen's to wait for: we do, through a pidfd. Without this, Popen would warn, or take the exit status.
    process.returncode = 0
    return process.pid


def _prepare(entrance: int | None, not_after: Instant | None) -> Callable[[], None]:
    """Return what the child does just before the program. It takes no lock and imports nothing.

    It enters its control group. Moving it in from outside, after the program began, would leave a moment in which
    it can fork a daemon that stays out for ever. The kernel checks the rights of who opened the descriptor, so it
    works as another user.

    Then it asks whether the agent is still there, and gives up if not. A child that has not entered yet is found by
    nobody: were it to go on when the agent is killed, the next agent would start a second one beside it. For the same
    reason it gives up when it is late: who asked for it has stopped waiting, and may have started another.

    A signal that the agent ignores, as whatever a script starts with `&` ignores SIGINT and SIGQUIT, would stay ignored in the program,
    and could not be what stops it.
    """
    agent = os.getpid()
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
    clock, now = time.CLOCK_BOOTTIME, time.clock_gettime_ns

    def prepare() -> None:
        if entrance is not None:
            try:  # noqa: SIM105 - contextlib would be more code to run between fork and exec
                os.write(entrance, b"0")
            except OSError:
                pass  # marks and sessions have to do
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        if os.getppid() != agent:
            os._exit(0)
        if not_after is not None and now(clock) > not_after:
            os._exit(_TOO_LATE)

    return prepare


def _open_entrance(cgroup: Cgroup | None) -> int | None:
    try:
        return None if cgroup is None else cgroup.open_entrance()
    except OSError:
        return None  # the host let us make groups when we began, and does not now


def _find_directory(spec: ProcessSpec, folder: Folder) -> Path:
    if spec.directory is None:
        return folder.working
    if not Path(spec.directory).is_dir():
        raise Refused(
            f"directory {spec.directory} does not exist or is no directory; create it, or correct `directory`"
        )
    return Path(spec.directory)


def _explain(error: OSError, command: tuple[str, ...], directory: Path, path: str) -> str:
    program = command[0]
    if error.filename == directory or error.filename == str(directory):
        return f"cannot change to {directory}, or to the user: {error.strerror}"
    match error.errno:
        case errno.ENOENT if "/" in program:
            return f"program {program} does not exist, or the interpreter in its first line does not"
        case errno.ENOENT:
            return f"program {program!r} is not on PATH ({path}); install it, or write its full path"
        case errno.EACCES if "/" not in program:
            return f"program {program!r} is not on PATH ({path}) in a folder that this user may enter; write its full path"
        case errno.EACCES:
            return f"program {program} may not be executed by this user; check its mode and its folders"
        case errno.ENOEXEC:
            return f"program {program} is no executable format; does its first line lack `#!`?"
        case _:
            return f"program {program} cannot be started: {error.strerror}"
