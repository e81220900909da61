"""`holdfast fence` with real fence agents: what it says, what it changes, and its exit codes."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.main import main
from tests.contract.fencing_stage import agent, asked

FILE = """\
system: shop
cluster: {{ coordinator: "etcd://e1,e2,e3", secret: {{ file: key }} }}
hosts:
  h1: {{ address: 10.0.0.1, fence: {{ agent: fence_dummy, options: {{ status_file: {folder}/h1 }} }} }}
  h2: {{ address: 10.0.0.2, fence: {h2} }}
  h3: {{ address: 10.0.0.3 }}
services:
  web: {{ run: srv }}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h1").write_text("on")
    write(tmp_path, "{ command: /bin/true }")
    return tmp_path


def write(folder: Path, h2: str) -> None:
    (folder / "holdfast.yaml").write_text(FILE.format(folder=folder, h2=h2))


def fence(*args: str) -> Result:
    return CliRunner().invoke(main, ["fence", *args], prog_name="holdfast")


def test_testing_tells_of_every_host_that_has_a_fence_and_changes_nothing(folder: Path) -> None:
    result = fence("test")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "h1 (fence_dummy): ready: the device answers: the host is on",
        "h2 (/bin/true): ready: /bin/true is there; whether it works shows only when it turns the host off",
    ]
    assert (folder / "h1").read_text() == "on"


def test_testing_one_host_as_json(folder: Path) -> None:
    (one,) = json.loads(fence("test", "h1", "--json").output)
    assert (one["host"], one["device"], one["problems"]) == ("h1", "fence_dummy", [])
    assert (one["seen"]["is_ready"], one["seen"]["power"]) == (True, "on")


def test_wrong_options_are_named_and_exit_with_2(folder: Path) -> None:
    write(folder, "{ agent: fence_dummy, options: { colour: red, delay: 5s } }")
    result = fence("test")
    assert result.exit_code == 2
    assert "h1 (fence_dummy): ready" in result.stdout
    assert "h2 (fence_dummy): wrong options: options.colour: fence_dummy has no such option" in result.stderr
    assert "options.delay must be a whole number of seconds" in result.stderr


META = """[ $action != metadata ] || echo '<resource-agent name="x"><parameters/><actions><action name="off"/>
<action name="status"/></actions></resource-agent>'
"""


@pytest.mark.parametrize(("body", "code"), [("exit 1", 1), ("sleep 300", 7)])
def test_a_device_that_does_not_answer_exits_with_1_or_7(folder: Path, body: str, code: int) -> None:
    handmade = agent(folder, f"{META}[ $action = metadata ] || {body}")
    write(folder, f"{{ agent: {handmade}, timeout: 1s }}")
    result = fence("test", "h2")
    assert result.exit_code == code
    assert "not ready: the device cannot be reached" in result.stderr


def test_turning_a_host_off_needs_yes_where_nobody_can_be_asked(folder: Path) -> None:
    result = fence("off", "h1")
    assert result.exit_code == 2
    assert "holdfast fence off h1 --yes" in result.stderr
    assert (folder / "h1").read_text() == "on"


def test_turning_a_host_off_says_that_it_is_off(folder: Path) -> None:
    result = fence("off", "h1", "--yes")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("h1 is off, in ")
    assert (folder / "h1").read_text() == "off"


@pytest.mark.parametrize(("answer", "power"), [("n", "on"), ("y", "off")])
def test_on_a_terminal_it_asks(folder: Path, answer: str, power: str) -> None:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "holdfast.cli.main", "fence", "off", "h1"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as command:
            os.write(ours, f"{answer}\n".encode())
            told, _ = command.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Turn h1 off, with all that runs there" in told
    assert (folder / "h1").read_text() == power
    assert command.returncode == (0 if power == "off" else 1)


def test_a_dry_run_checks_and_changes_nothing(folder: Path) -> None:
    result = fence("off", "h1", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output == "h1 would be turned off with fence_dummy, within 1m; nothing was changed\n"
    assert (folder / "h1").read_text() == "on"
    write(folder, "{ agent: fence_toaster }")
    result = fence("off", "h2", "--dry-run")
    assert result.exit_code == 2
    assert "apt-get install fence-agents" in result.stderr


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("[ $action = status ]", 1, "h2 was not turned off, after"),
        ("exit 1", 1, "h2 may be off or not, after"),
        ("sleep 300", 7, "h2 may be off or not, after"),
    ],
)
def test_whatever_is_not_verified_is_no_success(folder: Path, body: str, code: int, said: str) -> None:
    write(folder, f"{{ agent: {agent(folder, body)}, timeout: 2s }}")
    result = fence("off", "h2", "--yes")
    assert result.exit_code == code
    assert said in result.stderr
    assert "start nothing in its place" in result.stderr
    assert asked(folder)[0] == "off"


def test_as_json_it_tells_how_it_ended_and_still_fails(folder: Path) -> None:
    write(folder, "{ command: /bin/false }")
    result = fence("off", "h2", "--yes", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ending"] == "failed"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("test", "h9"), "'h9' is no host of the file"),
        (("off", "h9", "--yes"), "hosts: h1, h2, h3"),
        (("off", "h3", "--yes"), "h3 has no fence"),
    ],
)
def test_a_host_that_cannot_be_fenced_is_a_usage_error(
    folder: Path, args: tuple[str, ...], said: str
) -> None:
    result = fence(*args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_file_for_one_host_has_nothing_to_fence(folder: Path) -> None:
    (folder / "holdfast.yaml").write_text("system: shop\nservices:\n  web: { run: srv }\n")
    result = fence("test")
    assert result.exit_code == 2
    assert "the file names no hosts" in result.stderr
