"""Running an agent in this process: what `holdfast agent FILE` does. Returns the exit code."""

import asyncio
import sys
from pathlib import Path

from holdfast.agent import clock, notify
from holdfast.agent.agent import Agent
from holdfast.agent.directory import DirectoryError, StateDirectory, choose_directory
from holdfast.agent.epochs import EpochBookError
from holdfast.agent.log import Format, Log
from holdfast.agent.reloading import read_policy
from holdfast.components.marking import StrangersError
from holdfast.config import ConfigError, load
from holdfast.journal import JournalRefusedError
from holdfast.model.policy import Policy

FAILED = 1
CONFIGURATION = 2


def run(file: Path, directory: Path | None = None, *, log_format: Format = Format.TEXT) -> int:
    """Run the agent of the system in `file` until it is told to leave; return the exit code."""
    file = file.absolute()
    try:
        path = choose_directory(load(file).system, directory)
        policy = read_policy(file, path)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return CONFIGURATION
    try:
        with StateDirectory.take(path) as taken:
            return _run(file, taken, policy, log_format)
    except (DirectoryError, EpochBookError, JournalRefusedError, StrangersError) as error:
        sys.stderr.write(f"holdfast: {error}\n")
        return FAILED


def _run(file: Path, directory: StateDirectory, policy: Policy, log_format: Format) -> int:
    log = Log(clock.wall_offset(), log_format)
    notifier = notify.from_environment()
    if sys.version_info < (3, 12):
        # Later versions do so by themselves: the end of a child comes through its pidfd, not through a thread each.
        loops = asyncio.get_event_loop_policy()  # type: ignore[deprecated]  # not in these versions
        loops.set_child_watcher(asyncio.PidfdChildWatcher())  # type: ignore[deprecated]  # the same
    try:
        return asyncio.run(_live(file, directory, policy, log, notifier))
    finally:
        notifier.close()
        log.close()


async def _live(
    file: Path, directory: StateDirectory, policy: Policy, log: Log, notifier: notify.Notifier
) -> int:
    return await Agent(file, directory, policy, log, notifier).run()
