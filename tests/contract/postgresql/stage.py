"""What the tests of PostgreSQL share: real servers in a temporary folder, on loopback, as a user that is not root.

The first data is made once for all tests; each test gets copies of it. Nothing is synced to the disk: no test is
about the loss of power.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.postgresql import postmaster, running
from holdfast.postgresql.asking import Standing, ask_followers, ask_standing, local
from holdfast.postgresql.bootstrap import Passwords, bootstrap
from holdfast.postgresql.cloning import Manner, clone
from holdfast.postgresql.connecting import Row, ask
from holdfast.postgresql.control import read_control
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.settings import Settings, Upstream
from holdfast.postgresql.spawning import spawn
from tests.lab.network import MEMORY, own_name

T = TypeVar("T")

PASSWORDS = Passwords(replicator="re:plica'tor", rewinder="re\\winder")
PEERS = ("127.0.0.0/8",)
PARAMETERS: dict[str, str] = {
    "fsync": "off",
    "shared_buffers": "8MB",
    "max_connections": "20",
    "max_wal_senders": "5",
    "max_replication_slots": "5",
    "autovacuum": "off",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "100ms",
    "min_wal_size": "4MB",
    "max_wal_size": "32MB",
    "wal_keep_size": "32MB",
}
INITDB = ("--data-checksums", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1")
QUICK = Manner(options=("--no-sync",))
GENEROUS = 30 * SECOND


def programs() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("there is no PostgreSQL on this host: tools/bootstrap installs it")
    return str(found[-1].parent)


def owner() -> str | None:
    """Return who runs the servers: PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@cache
def place() -> str:
    """Return where folders are made: in memory where there is room, as data directories are many small files."""
    try:
        room = os.statvfs(MEMORY)
    except FileNotFoundError:
        return "/tmp"
    is_roomy = room.f_bavail * room.f_frsize > 2**31 and os.access(MEMORY, os.W_OK)
    return str(MEMORY) if is_roomy else "/tmp"


def make_folder(what: str) -> Path:
    """Return a new folder with a short path, as sockets need, for who runs the servers. Its name tells a sweep whose it is."""
    folder = Path(tempfile.mkdtemp(prefix=own_name(f"{what}-"), dir=place()))
    if (name := owner()) is not None:
        account = pwd.getpwnam(name)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


@cache
def template() -> Path:
    """Return data that was bootstrapped once, and is copied from then on."""
    folder = make_folder("template")
    instance = Instance("template", str(folder / "data"), programs(), free_port(), user=owner())
    asyncio.run(bootstrap(instance, settings(), PASSWORDS, options=INITDB))
    return folder


def settings(upstream: Instance | None = None, **changes: Any) -> Settings:
    """Return what an instance shall be: a standby of `upstream`, or a primary."""
    wanted = Settings(
        upstream=None if upstream is None else Upstream("127.0.0.1", upstream.port),
        peers=PEERS,
        parameters=PARAMETERS,
    )
    return replace(wanted, **changes)


def with_parameters(**more: str) -> dict[str, str]:
    return PARAMETERS | more


def where(instance: Instance) -> Upstream:
    return Upstream("127.0.0.1", instance.port)


class Stage:
    """A folder with instances, each of which is ended when the stage is left."""

    def __init__(self) -> None:
        self.folder = make_folder("pg")
        self.instances: list[Instance] = []

    def copy(self, source: str, target: str) -> None:
        """Copy a folder with its owners."""
        subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)

    def instance(self, name: str, folder: Path | None = None) -> Instance:
        """Return an instance without data."""
        place = self.folder if folder is None else folder
        made = Instance(name, str(place / name), programs(), free_port(), user=owner())
        self.instances.append(made)
        return made

    def bootstrapped(self, name: str, folder: Path | None = None) -> Instance:
        """Return an instance with the first data of the system, not started."""
        made = self.instance(name, folder)
        for suffix in ("", ".holdfast"):
            self.copy(f"{template() / 'data'}{suffix}", f"{made.data}{suffix}")
        return made

    async def primary(self, name: str, **changes: Any) -> Instance:
        """Return a primary that runs."""
        made = self.bootstrapped(name)
        await running.start(made, settings(**changes), spawn, GENEROUS)
        return made

    async def standby(self, name: str, upstream: Instance, **changes: Any) -> Instance:
        """Return a standby that streams from `upstream`."""
        made = self.instance(name)
        self.copy(f"{template() / 'data'}.holdfast", f"{made.data}.holdfast")  # its passwords
        await clone(made, where(upstream), await self.system(upstream), QUICK)
        await running.start(made, settings(upstream, **changes), spawn, GENEROUS)
        await until_streaming(made, upstream)
        return made

    async def system(self, instance: Instance) -> str:
        return (await read_control(instance)).system

    async def clear(self) -> None:
        """End whatever a test left, frozen or not."""
        for instance in self.instances:
            await postmaster.kill_everything(instance)
        shutil.rmtree(self.folder)


@contextlib.asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Lend a stage and clear it."""
    stage = Stage()
    try:
        yield stage
    finally:
        await stage.clear()


def play(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    """Run one test's story on a stage of its own."""
    template()

    async def played() -> None:
        async with staged() as stage:
            await story(stage)

    asyncio.run(played())


async def until(condition: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
    """Await a condition with a generous bound. A server that does not answer yet does not meet it."""
    end = time.monotonic() + within
    while True:
        with contextlib.suppress(Unanswered):
            if await condition():
                return
        assert time.monotonic() < end, "it did not come to that in time"
        await asyncio.sleep(0.02)


async def until_streaming(standby: Instance, upstream: Instance) -> None:
    """Await that `standby` has all that `upstream` has, and streams."""

    async def is_there() -> bool:
        followers = await ask_followers(upstream)
        return any(f.name == standby.name and f.state == "streaming" and f.lag == 0 for f in followers)

    await until(is_there)


async def query(instance: Instance, *statements: str) -> list[Row]:
    """Return the rows of the last of the statements."""
    return (await ask(local(instance, GENEROUS), *statements, within=GENEROUS))[-1]


async def standing(instance: Instance) -> Standing:
    return await ask_standing(instance, GENEROUS)


def signal_everything(instance: Instance, number: signal.Signals) -> None:
    for process in postmaster.look(instance).everything:
        postmaster.send(process, number)


async def crash(instance: Instance) -> None:
    """Kill all of it at once, as the loss of its host would."""
    signal_everything(instance, signal.SIGKILL)
    assert await postmaster.until_gone(instance, GENEROUS)


SHORT = 300 * MILLISECOND
