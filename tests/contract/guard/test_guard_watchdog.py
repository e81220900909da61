"""The watchdog gets its bytes while a component is armed and the guard is well, and the magic one in good order only."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components import procfs
from holdfast.guard.facts import Facts
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND, SECOND
from tests.contract.components.stage import COMPONENT, FOREVER, pid_of, run, runs, staged, until
from tests.contract.guard.watch import LONG, Watch, gone, kill, now, status_of, watched

pytestmark = pytest.mark.e2e

SLEEPER = ProcessSpec(command=FOREVER)
FEED, TURN_OFF = b"\0", b"V"


class Device:
    """What stands where the device would be, and remembers what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.heard = b""

    def listen(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            self.heard += os.read(self._reader, 65536)
        return self.heard

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    device = Device(tmp_path / "watchdog")
    yield device
    device.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with staged(tmp_path, use_cgroups=False) as stage, watched(stage) as watch:
        yield watch


def test_the_watchdog_runs_while_something_is_armed_and_is_turned_off_after(
    watch: Watch, device: Device
) -> None:
    async def story() -> None:
        guard = watch.start(watchdog=device.path)
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            assert (await status_of(guarding)).guard.watchdog == ""
            assert device.listen() == b"", "nothing is armed, so the host must not be reset"
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
            assert (await status_of(guarding)).guard.watchdog == str(device.path)
            await until(lambda: len(device.listen()) >= 3)
            assert await guarding.disarm(COMPONENT) is None
            await until(lambda: device.listen().endswith(TURN_OFF))
            assert set(device.heard.removesuffix(TURN_OFF)) == set(FEED)
        guard.terminate()
        guard.communicate(timeout=20)
        assert device.listen().count(TURN_OFF) == 1

    run(story())


def test_a_guard_that_is_killed_leaves_the_watchdog_running_and_its_successor_feeds_it(
    watch: Watch, device: Device
) -> None:
    async def story() -> None:
        first = watch.start(watchdog=device.path)
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
        watch.kill_all()
        kill(first)
        fed = len(device.listen())
        assert TURN_OFF not in device.heard
        second = watch.start(watchdog=device.path)
        await until(lambda: len(device.listen()) > fed)
        assert TURN_OFF not in device.heard
        kill(second)

    run(story())


def test_a_frozen_guard_feeds_nothing(watch: Watch, device: Device) -> None:
    async def story() -> None:
        guard = watch.start(watchdog=device.path)
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + LONG) is None
            guard.send_signal(signal.SIGSTOP)
            await until(lambda: _state(guard.pid) == "T")
            fed, since = len(device.listen()), now()
            await asyncio.sleep(1)  # four times as long as it takes to feed
            # After two seconds its understudy would take over.
            assert len(device.listen()) == fed or now() - since > 2 * SECOND
        kill(guard)

    run(story())


def _state(pid: int) -> str:
    stat = procfs.read_stat(pid)
    assert stat is not None
    return stat.state


def test_without_its_watchdog_the_guard_arms_nothing(watch: Watch, tmp_path: Path) -> None:
    async def story() -> None:
        guard = watch.start(watchdog=tmp_path / "no" / "watchdog")
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await agent.start(SLEEPER)
            refused = await guarding.arm(COMPONENT, watch.facts(), now() + LONG)
            assert refused is not None
            assert "cannot be opened" in refused
            assert (await status_of(guarding)).armed == {}
        guard.terminate()
        guard.communicate(timeout=20)

    run(story())


@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root and setpriv")
def test_the_watchdog_is_left_unfed_while_something_survives_its_deadline(
    watch: Watch, device: Device
) -> None:
    # Root without the right to kill others' processes: what belongs to another user survives it.
    guard = watch.start("setpriv", "--bounding-set", "-kill", watchdog=device.path)
    child = subprocess.Popen(FOREVER, start_new_session=True, user=65534, group=65534, extra_groups=())

    async def story() -> None:
        stat = procfs.read_stat(child.pid)
        assert stat is not None
        facts = Facts(child.pid, stat.ticks, procfs.boot_id())
        async with watch.guarding() as guarding:
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, facts, now() + 500 * MILLISECOND) is None
            await until(lambda: b"cannot end" in _said(guard))
            assert (await status_of(guarding)).armed[COMPONENT].is_overdue
            assert "being ended" in (await guarding.extend({COMPONENT: now() + LONG}))[COMPONENT]
            assert "being ended" in (await guarding.disarm(COMPONENT) or "")
            fed = len(device.listen())
            await asyncio.sleep(1)  # four times as long as it takes to feed
            assert len(device.listen()) == fed
            assert TURN_OFF not in device.heard
            assert runs(child.pid)
            child.kill()  # what the guard may not do, the test may: it ended after all
            await until(lambda: device.listen().endswith(TURN_OFF))

    try:
        run(story())
    finally:
        child.kill()
        child.wait()
        guard.terminate()
        guard.communicate(timeout=20)


def _said(guard: subprocess.Popen[bytes]) -> bytes:
    assert guard.stderr is not None
    os.set_blocking(guard.stderr.fileno(), False)
    try:
        return os.read(guard.stderr.fileno(), 65536)
    except BlockingIOError:
        return b""


def test_the_component_that_is_ended_turns_the_watchdog_off(watch: Watch, device: Device) -> None:
    async def story() -> None:
        guard = watch.start(watchdog=device.path)
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            pid = pid_of(await agent.start(SLEEPER))
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, watch.facts(), now() + 500 * MILLISECOND) is None
            await gone(pid)
            await until(lambda: device.listen().endswith(TURN_OFF))
        guard.terminate()
        guard.communicate(timeout=20)

    run(story())
