"""What the fencing contract is played on: policies, fence agents written by hand, and the processes that they leave."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from holdfast.fencing import FenceAgents
from holdfast.model.policy import FencePolicy, SecretFrom
from holdfast.model.time import SECOND, Duration
from holdfast.ports.fencing import Fenced, Fencing

T = TypeVar("T")

PATIENCE = 30.0  # seconds; a bound for what should take milliseconds, on a busy machine
LONG = 60 * SECOND  # a time limit that is not meant to pass

# A fence agent's way in: options from standard input into shell variables of the same name. What it is asked is written down.
_READ = """#!/bin/sh
here={here}
while IFS= read -r line; do
    case $line in
    action=*) action=${{line#*=}} ;;
    password=*) password=${{line#*=}} ;;
    nodename=*) host=${{line#*=}} ;;
    esac
done
echo "$action" >>"$here/asked"
"""


def agent(folder: Path, body: str) -> str:
    """Return the path of a fence agent whose answers are `body`, a shell script that knows $action, $password and $here."""
    path = folder / "fence_handmade"
    path.write_text(_READ.format(here=folder) + body, "utf-8")
    path.chmod(0o755)
    return str(path)


def asked(folder: Path) -> list[str]:
    """Return what the hand-written agent in `folder` was asked so far."""
    record = folder / "asked"
    return record.read_text("utf-8").split() if record.exists() else []


def by_agent(name: str, timeout: Duration = LONG, /, **options: str | SecretFrom) -> FencePolicy:
    return FencePolicy(agent=name, options=options, timeout=timeout)


def by_command(*command: str, timeout: Duration = LONG) -> FencePolicy:
    return FencePolicy(command=command, timeout=timeout)


def played(act: Callable[[Fencing], Coroutine[Any, Any, T]]) -> T:
    """Return what came of `act` on a fencing of its own."""

    async def play() -> T:
        fencing: Fencing = FenceAgents()
        try:
            async with asyncio.timeout(90):
                return await act(fencing)
        finally:
            await fencing.close()

    return asyncio.run(play())


def fenced(policy: FencePolicy, host: str = "h1") -> Fenced:
    """Return what came of fencing a host."""
    return played(lambda fencing: fencing.fence(host, policy))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it may be a file or a process
            await asyncio.sleep(0.01)


def gone(*pids: int) -> bool:
    """Tell whether these processes have ended, within a generous bound."""
    deadline = time.monotonic() + PATIENCE
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
