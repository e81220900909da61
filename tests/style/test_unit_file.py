"""The systemd unit agrees with what the agent does."""

import re
from pathlib import Path

from holdfast.agent import running

UNIT = (Path(__file__).parents[2] / "deploy/holdfast.service").read_text("utf-8")
SETTINGS = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))


def test_an_agent_that_was_told_to_leave_is_not_started_again() -> None:
    # After `holdfast down` it exits with 0; an agent that is started then would start everything again.
    assert SETTINGS["Restart"] == "on-failure"


def test_an_agent_that_cannot_read_its_file_is_not_started_again_and_again() -> None:
    assert SETTINGS["RestartPreventExitStatus"] == str(running.CONFIGURATION)


def test_the_group_that_may_speak_to_the_agent_gets_as_far_as_its_directory() -> None:
    assert int(SETTINGS["StateDirectoryMode"], 8) & 0o001


def test_stopping_the_agent_leaves_its_components_alone() -> None:
    assert SETTINGS["KillMode"] == "process"
