import os
import re
from pathlib import Path

import pytest

from holdfast.agent.directory import DirectoryError, StateDirectory, choose_directory


def test_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with StateDirectory.take(tmp_path / "a" / "b") as taken:
        taken.admit(None)
        assert taken.path.stat().st_mode & 0o777 == 0o700
        taken.admit(os.getegid())
        assert taken.path.stat().st_mode & 0o777 == 0o710


def test_second_agent_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        StateDirectory.take(tmp_path),
        pytest.raises(
            DirectoryError, match=re.escape(f"another agent (pid {os.getpid()}) runs on {tmp_path}")
        ),
    ):
        StateDirectory.take(tmp_path)
    StateDirectory.take(tmp_path).close()


def test_directory_that_cannot_be_made_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryError, match="cannot be used"):
        StateDirectory.take(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, -1)
    with pytest.raises(DirectoryError, match="belongs to uid 65534"):
        StateDirectory.take(tmp_path)


def test_argument_wins_over_the_environment_and_that_over_the_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_DIRECTORY", "/from/environment")
    assert choose_directory("shop", tmp_path) == tmp_path
    assert choose_directory("shop") == Path("/from/environment")
    monkeypatch.delenv("HOLDFAST_DIRECTORY")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert choose_directory("shop") == Path("/var/lib/holdfast/shop")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/ann/state")
    assert choose_directory("shop") == Path("/home/ann/state/holdfast/shop")
