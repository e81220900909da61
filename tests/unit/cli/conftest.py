"""A place of its own for each command, and a stand-in for the agent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.main import main
from tests.unit.cli import worlds
from tests.unit.cli.calling import Call
from tests.unit.cli.stand_in import StandIn, running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of the command; nothing of the machine's own is looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    def invoke(*args: str, **named: str) -> Result:
        return CliRunner().invoke(main, args, prog_name="holdfast", **named)  # type: ignore[arg-type]  # input only

    return invoke


@pytest.fixture
def agent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("HOLDFAST_DIRECTORY", str(folder / "agent"))
    with running(StandIn(worlds.hurt(), worlds.TURNS), folder / "agent") as stand_in:
        yield stand_in
