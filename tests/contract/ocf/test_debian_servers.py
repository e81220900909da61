"""Servers that Debian's agents look after, as they are: nginx, with the workers that it leaves behind, and redis in both roles."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.model.events import Ending
from holdfast.model.ids import ComponentId, member_of
from holdfast.model.policy import Mode, OcfAgent
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.contract.components.stage import run, runs, until
from tests.contract.ocf.stage import OcfStage, agent, ocf_staged

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="the agents become other users"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OcfStage]:
    with ocf_staged(tmp_path) as stage:
        yield stage


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_whose_first_process_dies_starts_again_though_its_workers_hold_the_port(
    stage: OcfStage, tmp_path: Path
) -> None:
    port = _free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 2;\n"
        f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 200 served; }} }}\n",
        "utf-8",
    )
    (component,) = stage.add(
        "web", Mode.SINGLETON, {"a": agent("heartbeat:nginx", configfile=str(config), port=str(port))}
    )

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(component)
            assert await asyncio.to_thread(_get, port) == b"served"
            first = int((tmp_path / "nginx.pid").read_text())
            os.kill(first, signal.SIGKILL)
            await until(lambda: bool(hold.ears.exits))
            assert (await hold.stop(component)).ending is Ending.DONE
            assert stage.marked() == []
            await hold.start(component)
            assert await asyncio.to_thread(_get, port) == b"served"
            assert (await hold.stop(component)).ending is Ending.DONE

    run(story())


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis is not installed")
def test_redis_is_started_as_a_replica_promoted_ended_and_attached_again() -> None:
    with redis_folder() as folder, ocf_staged(folder / "stage") as stage:
        # A replica reaches its primary by the name of its host: these are both.
        port = _free_port()
        agents = {address: redis_agent(folder, address, port) for address in ("127.0.0.2", "127.0.0.3")}
        first, second = stage.add("cache", Mode.ACTIVE_STANDBY, agents)
        run(_fail_over(stage, folder, first, second))


async def _fail_over(stage: OcfStage, folder: Path, first: ComponentId, second: ComponentId) -> None:
    async with stage.agent() as hold:
        await hold.start(first)
        await hold.start(second)
        assert not redis(folder, first, "role").startswith("master")
        assert all((hold.agents.score_of(component) or 0) > 0 for component in (first, second))
        assert (await hold.promote(first, 2)).ending is Ending.DONE
        assert redis(folder, first, "set", "word", "kept") == "OK"
        await until(lambda: redis(folder, second, "get", "word") == "kept")
        os.kill(_pid(folder, first), signal.SIGKILL)
        await until(lambda: bool(hold.ears.exits))
        assert (await hold.stop(first)).ending is Ending.DONE
        assert hold.agents.score_of(first) is None
        assert (await hold.promote(second, 3)).ending is Ending.DONE
        assert redis(folder, second, "role").startswith("master")
        await hold.start(first)  # it comes back as a replica of the new one
        assert redis(folder, first, "get", "word") == "kept"
        pids = [_pid(folder, component) for component in (first, second)]
        for component in (second, first):
            assert (await hold.stop(component)).ending is Ending.DONE
        assert not any(runs(pid) for pid in pids)


class redis_folder:  # noqa: N801 - used as a function is
    """A folder where the user redis may go; the servers of it are ended afterwards."""

    def __init__(self) -> None:
        self.path = Path("/tmp") / f"holdfast-ocf-redis-{os.getpid()}"

    def __enter__(self) -> Path:
        self.path.mkdir(mode=0o755)
        (self.path / "stage").mkdir()
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


def redis_agent(folder: Path, address: str, port: int) -> OcfAgent:
    """Return a server of its own."""
    place = folder / address
    place.mkdir()
    shutil.chown(place, "redis")
    config = place / "redis.conf"
    lines = (f"bind {address}\nport {port}\ndir {place}\n", f'logfile {place}/log\nsave ""\n')
    config.write_text("".join(lines), "utf-8")
    told = agent(
        "heartbeat:redis",
        config=str(config),
        rundir=str(place),
        pidfile_name="redis-server.pid",
        socket_name="redis.sock",
        port=str(port),
    )
    return replace(told, is_promotable=True, monitor_every=SECOND)


def redis(folder: Path, component: ComponentId, *words: str) -> str:
    command = ["redis-cli", "-s", str(folder / member_of(component) / "redis.sock"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _pid(folder: Path, component: ComponentId) -> int:
    return int((folder / member_of(component) / "redis-server.pid").read_text())


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _get(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        said: bytes = answer.read()
        return said
