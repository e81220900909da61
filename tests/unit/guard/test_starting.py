"""How the guard is started: by its unit, by `holdfast guard`, with nothing around it."""

import re
import subprocess
import sys
from pathlib import Path

from holdfast.guard.command import command

ROOT = Path(__file__).parents[3]
GUARD = dict(
    re.findall(r"^(\w+)=(.*)$", (ROOT / "deploy/holdfast-guard.service").read_text("utf-8"), re.MULTILINE)
)
AGENT = (ROOT / "deploy/holdfast.service").read_text("utf-8")


def test_a_guard_that_ended_is_started_again_whatever_its_reason() -> None:
    assert GUARD["Restart"] == "always"
    assert GUARD["StartLimitIntervalSec"] == "0"


def test_while_an_agent_runs_there_is_a_guard() -> None:
    assert GUARD["Before"] == "holdfast.service"
    assert re.search(r"^Wants=holdfast-guard.service$", AGENT, re.MULTILINE)
    assert "KillMode" not in GUARD, (
        "the default leaves nothing behind, and the guard has nothing that should stay"
    )


def test_the_guard_needs_nothing_that_is_not_pythons_own() -> None:
    arguments, environment = command(
        "/nowhere", watchdog="/dev/none", watchdog_timeout=5, unless_running=True
    )
    assert arguments[-6:] == [
        "/nowhere",
        "--watchdog",
        "/dev/none",
        "--watchdog-timeout",
        "5",
        "--unless-running",
    ]
    program = "import sys, holdfast.guard.__main__; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = set(done.stdout.split())
    ours = {name for name in imported if name.startswith("holdfast")}
    assert all(name in {"holdfast", "holdfast.guard"} or name.startswith("holdfast.guard.") for name in ours)
    heavy = {
        "asyncio",
        "argparse",
        "hashlib",
        "logging",
        "msgspec",
        "pathlib",
        "subprocess",
        "threading",
        "typing",
    }
    assert imported.isdisjoint(heavy), imported & heavy


def test_a_wrong_command_line_is_answered_with_the_right_one() -> None:
    arguments, environment = command("/nowhere")
    for wrong in (
        arguments[:-2],
        [*arguments, "--loud", "1"],
        [*arguments, "--watchdog"],
        [*arguments, "--watchdog-timeout", "x"],
    ):
        done = subprocess.run(wrong, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert "--directory DIR" in done.stderr
