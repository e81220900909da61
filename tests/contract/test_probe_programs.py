"""Probes that are programs: what they print and how they end, and that nothing of them is left behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.model.observation import Failure, Layer, Measurement, Outcome
from holdfast.model.time import MILLISECOND, SECOND
from tests.contract.probing_targets import NEVER, PATIENCE, ask, ask_once, probe, probing, program


@pytest.mark.parametrize(
    ("code", "outcome", "failure"),
    [
        (0, Outcome.PASSED, Failure.NONE),
        (1, Outcome.DEGRADED, Failure.EXIT_CODE),
        (2, Outcome.FAILED, Failure.EXIT_CODE),
        (3, Outcome.UNKNOWN, Failure.EXIT_CODE),
        (127, Outcome.UNKNOWN, Failure.EXIT_CODE),
    ],
)
def test_exit_codes_are_nagios(code: int, outcome: Outcome, failure: Failure) -> None:
    answer = ask_once(program("sh", "-c", f"echo 'DISK text | /=42%;80;90'; exit {code}"))
    assert (answer.outcome, answer.layer, answer.failure) == (outcome, Layer.PROGRAM, failure)
    assert answer.detail == "DISK text"
    assert answer.measurements == (Measurement("/", 42.0, "%"),)


def test_a_program_that_says_nothing_is_known_by_its_exit_code_or_its_complaint() -> None:
    assert ask_once(program("sh", "-c", "exit 2")).detail == "exit code 2"
    assert ask_once(program("sh", "-c", "echo no such table >&2; exit 2")).detail == "no such table"


def test_a_program_ended_by_a_signal_is_no_opinion() -> None:
    answer = ask_once(program("sh", "-c", "kill -SEGV $$"))
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.detail == "sh was ended by SIGSEGV"


@pytest.mark.parametrize("command", ["/nowhere/check_it", "/etc/hostname"])
def test_a_program_that_cannot_be_run_is_no_opinion(command: str) -> None:
    answer = ask_once(program(command))
    assert (answer.outcome, answer.failure) == (Outcome.UNKNOWN, Failure.NOT_RUNNABLE)
    assert answer.detail.startswith(f"cannot run {command}: ")


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    # `sleep` is a child of the shell, holds its output open, and would outlive it.
    record = tmp_path / "pids"
    script = f"sleep 300 & echo $! $$ > {record}; wait"
    answer = ask_once(program("sh", "-c", script), timeout=500 * MILLISECOND)
    assert (answer.outcome, answer.layer, answer.failure) == (
        Outcome.FAILED,
        Layer.PROGRAM,
        Failure.TIMED_OUT,
    )
    assert answer.detail == "sh did not end within 500ms"
    until_gone(record)


def test_a_grandchild_that_holds_the_output_open_does_not_delay_the_verdict(tmp_path: Path) -> None:
    record = tmp_path / "pids"
    answer = ask_once(program("sh", "-c", f"sleep 300 & echo $! > {record}; echo fine"), timeout=60 * SECOND)
    assert answer.outcome is Outcome.PASSED
    assert answer.detail == "fine"
    assert answer.latency < 30 * SECOND
    until_gone(record)


def test_a_program_that_prints_without_end_is_read_and_not_kept() -> None:
    script = "import os\nfor _ in range(500): os.write(1, b'x' * 10000)\nos.write(1, b' | late=1')"
    answer = ask_once(program(sys.executable, "-c", script), timeout=60 * SECOND)
    assert answer.outcome is Outcome.PASSED
    assert answer.detail == "x" * 199 + "…"
    assert answer.measurements == ()


def test_a_program_sees_no_secret_of_the_agent_and_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    assert ask_once(program("sh", "-c", 'cat; echo "<$DATABASE_PASSWORD>"')).detail == "<>"


def test_waiting_for_other_programs_does_not_count_against_the_time_limit() -> None:
    policies = [probe(program("sleep", "0.2"), str(i), every=NEVER, timeout=20 * SECOND) for i in range(24)]
    begun = time.monotonic()
    ask(*policies)
    assert time.monotonic() - begun > 0.5  # eight at a time, so three rounds


def test_other_children_of_the_process_are_left_alone() -> None:
    async def main() -> int:
        other = await asyncio.create_subprocess_exec("sh", "-c", "read line; exit 7", stdin=subprocess.PIPE)
        async with probing() as (engine, ear):
            engine.set("orders/a", "1:1", (probe(program("true"), every=20 * MILLISECOND),))
            await ear.count(5)
            assert other.stdin is not None
            other.stdin.close()
            await ear.count(10)
            return await other.wait()

    assert asyncio.run(main()) == 7


def test_a_probe_that_is_no_longer_wanted_is_killed(tmp_path: Path) -> None:
    record = tmp_path / "pids"

    async def main() -> None:
        async with probing() as (engine, ear):
            hanging = program("sh", "-c", f"echo $$ > {record}.new; mv {record}.new {record}; exec sleep 300")
            engine.set("orders/a", "1:1", (probe(hanging, timeout=600 * SECOND),))
            async with asyncio.timeout(PATIENCE):
                while not record.exists():  # noqa: ASYNC110 - another process makes it
                    await asyncio.sleep(0.02)
            engine.clear("orders/a")
            engine.set("orders/b", "1:1", (probe(program("true")),))
            await ear.count(1)

    asyncio.run(main())
    until_gone(record)


def until_gone(record: Path) -> None:
    """Wait until no process whose pid is in `record` runs. A zombie, left to whoever inherited it, does not."""
    pids = [int(pid) for pid in record.read_text().split()]
    deadline = time.monotonic() + PATIENCE
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pytest.fail(f"left behind: {pids}")
        time.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
