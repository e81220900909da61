"""Running an agent in this process: what `holdfast agent FILE` does. Returns the exit code."""

import asyncio
import sys
from pathlib import Path

from holdfast.agent import clock, notify
from holdfast.agent.agent import Agent
from holdfast.agent.cluster.host import Host, HostError, check_address, host_of
from holdfast.agent.cluster.memory import MemoryUnreadableError
from holdfast.agent.cluster.sharing import kept, load_kept
from holdfast.agent.directory import DirectoryError, StateDirectory, choose_directory
from holdfast.agent.epochs import EpochBookError
from holdfast.agent.log import Format, Log
from holdfast.components.marking import StrangersError
from holdfast.config import ConfigError, load
from holdfast.coordination.address import AddressError
from holdfast.journal import JournalRefusedError
from holdfast.model.policy import Policy

FAILED = 1
CONFIGURATION = 2
# What keeps an agent from starting on its directory; each says what to do.
REFUSALS = (
    AddressError,
    DirectoryError,
    EpochBookError,
    HostError,
    JournalRefusedError,
    MemoryUnreadableError,
    StrangersError,
)


def run(
    file: Path,
    directory: Path | None = None,
    *,
    host: str | None = None,
    log_format: Format = Format.TEXT,
) -> int:
    """Run the agent of the system in `file` until it is told to leave; return the exit code.

    `host` says which host of the file this machine is, where that is not plain from its addresses.
    """
    file = file.absolute()
    try:
        policy = load(file)
        path = choose_directory(policy.system, directory)
        if (shared := kept(path)) is not None:
            sys.stderr.write(
                f"holdfast: policy {shared.number}, shared by `holdfast apply`, is used instead of {file}\n"
            )
            policy = load_kept(shared)
        ours = host_of(policy, host)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")  # each line begins with its place in the file
        return CONFIGURATION
    except HostError as error:
        sys.stderr.write(f"holdfast: {error}\n")
        return CONFIGURATION
    try:
        with StateDirectory.take(path) as taken:
            if ours is not None:
                check_address(policy, ours.name)
            return _run(file, taken, policy, ours, log_format)
    except REFUSALS as error:
        sys.stderr.write(f"holdfast: {error}\n")
        return FAILED


def _run(file: Path, directory: StateDirectory, policy: Policy, host: Host | None, log_format: Format) -> int:
    log = Log(clock.wall_offset(), log_format)
    notifier = notify.from_environment()
    if sys.version_info < (3, 12):
        # Later versions do so by themselves: the end of a child comes through its pidfd, not through a thread each.
        loops = asyncio.get_event_loop_policy()  # type: ignore[deprecated]  # not in these versions
        loops.set_child_watcher(asyncio.PidfdChildWatcher())  # type: ignore[deprecated]  # the same
    try:
        return asyncio.run(_live(file, directory, policy, log, notifier, host))
    finally:
        notifier.close()
        log.close()


async def _live(  # noqa: PLR0917 - what an agent is made of; it has to be made on the event loop
    file: Path,
    directory: StateDirectory,
    policy: Policy,
    log: Log,
    notifier: notify.Notifier,
    host: Host | None,
) -> int:
    return await Agent(file, directory, policy, log, notifier, host=host).run()
