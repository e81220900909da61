"""`holdfast lock` with real processes: exclusion, exit codes, and the end of a command whose lock is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.client import connect

WITHIN_S = 30.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"embedded://{tmp_path}/store"


def lock(url: str, *args: str) -> list[str]:
    name, *rest = args
    return [sys.executable, "-m", "holdfast.cli.main", "lock", name, "--on", url, *rest]


def run(url: str, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(lock(url, *args), capture_output=True, text=True, timeout=WITHIN_S, check=False)


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_command_runs_with_its_token_and_its_exit_code_is_passed_on(url: str) -> None:
    for token in (1, 2):
        done = run(url, "backup", "--", "sh", "-c", "echo $HOLDFAST_LOCK_TOKEN; exit 42")
        assert (done.returncode, done.stdout) == (42, f"{token}\n"), done.stderr


def test_a_command_that_a_signal_ends_is_told_as_shells_tell_it(url: str) -> None:
    assert run(url, "backup", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_a_command_that_cannot_be_started_releases_the_lock(url: str) -> None:
    done = run(url, "backup", "--", "/no/such/program")
    assert done.returncode == 127
    assert "/no/such/program" in done.stderr
    assert run(url, "backup", "--wait", "0s", "--", "true").returncode == 0


def test_a_taken_lock_is_exit_7_and_names_the_holder(url: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    holder = subprocess.Popen(lock(url, "backup", "--", "sh", "-c", f"touch {ready}; exec sleep 60"))
    try:
        wait_for(ready.exists)
        for wait in ("0s", "200ms"):
            done = run(url, "backup", "--wait", wait, "--", "true")
            assert done.returncode == 7
            assert f":{holder.pid} holds it, token 1" in done.stderr
        assert run(url, "another", "--wait", "5s", "--", "true").returncode == 0
    finally:
        holder.terminate()
        assert holder.wait(WITHIN_S) == 128 + signal.SIGTERM


@pytest.mark.final
def test_commands_under_one_lock_never_overlap(url: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    script = f"echo begin >> {journal}; sleep 0.05; echo end >> {journal}"
    running = [subprocess.Popen(lock(url, "backup", "--", "sh", "-c", script)) for _ in range(4)]
    assert [process.wait(WITHIN_S) for process in running] == [0] * 4
    assert journal.read_text().split() == ["begin", "end"] * 4


@pytest.mark.final
def test_a_lock_is_kept_though_others_come_and_go(url: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"touch {ready}; exec sleep 60"
    holder = subprocess.Popen(lock(url, "backup", "--ttl", "2s", "--", "sh", "-c", script))
    try:
        wait_for(ready.exists)
        # Whoever leaves last tidies the store up. It must not take itself for the last one.
        for _ in range(2):
            assert run(url, "another", "--", "true").returncode == 0
        time.sleep(3)  # longer than the ttl: the holder has renewed it, and that must be seen
        assert run(url, "backup", "--wait", "0s", "--", "true").returncode == 7
    finally:
        holder.terminate()
        assert holder.wait(WITHIN_S) == 128 + signal.SIGTERM


def test_a_killed_holder_takes_its_command_along_and_the_next_runs(url: str, tmp_path: Path) -> None:
    ready = tmp_path / "pid"
    holder = subprocess.Popen(lock(url, "backup", "--", "sh", "-c", f"echo $$ > {ready}; exec sleep 60"))
    wait_for(lambda: ready.exists() and ready.read_text().endswith("\n"))
    command = int(ready.read_text())
    holder.kill()
    holder.wait(WITHIN_S)
    done = run(url, "backup", "--wait", "10s", "--", "sh", "-c", "echo $HOLDFAST_LOCK_TOKEN")
    assert (done.returncode, done.stdout) == (0, "2\n")
    wait_for(lambda: not is_running(command))


def test_a_command_whose_lock_is_taken_away_is_ended(url: str, tmp_path: Path) -> None:
    ready = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ > {ready}; while :; do sleep 1; done"
    holder = subprocess.Popen(
        lock(url, "backup", "--ttl", "2s", "--", "sh", "-c", script), stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: ready.exists() and ready.read_text().endswith("\n"))

    async def take_away() -> None:
        async with connect(url) as client:
            await client.coordinator.delete("/client/locks/backup/seats/0")

    asyncio.run(take_away())
    _, said = holder.communicate(timeout=WITHIN_S)
    assert holder.returncode == 1
    assert "was lost" in said
    assert not is_running(int(ready.read_text()))


def test_a_store_that_cannot_be_used_is_exit_6_and_a_wrong_url_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run(f"embedded://{tmp_path}/file/store", "backup", "--", "true").returncode == 6
    assert run("consul://here", "backup", "--", "true").returncode == 2
    assert run(f"embedded://{tmp_path}/store", "No Name", "--", "true").returncode == 2


def test_without_a_url_the_lock_is_in_the_state_directory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast.cli.main", "lock", "backup", "--", "true"]
    environment = {**os.environ, "HOLDFAST_DIRECTORY": str(tmp_path)}
    done = subprocess.run(command, env=environment, timeout=WITHIN_S, check=False)
    assert done.returncode == 0
    assert (tmp_path / "coordination" / "coordination.sqlite").exists()
