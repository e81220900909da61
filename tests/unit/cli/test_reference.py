"""The page about the command line says what the program says. `REWRITE=1` makes it anew."""

import os
import re
from pathlib import Path

from holdfast.cli.exits import ExitCode
from holdfast.cli.reference import renewed

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_has_the_help_of_every_verb() -> None:
    if os.environ.get("REWRITE"):
        PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
    assert PAGE.read_text("utf-8") == renewed(PAGE.read_text("utf-8"))


def test_the_page_has_every_exit_code() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", PAGE.read_text("utf-8"), re.MULTILINE)}
    assert codes == set(ExitCode)
