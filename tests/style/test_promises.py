"""Every promise names its test, and the test exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/.-]+)(?:::(\w+))?`", (ROOT / "docs/promises.md").read_text())


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test or file for file, test in NAMED])
def test_test_that_holds_a_promise_exists(file: str, test: str) -> None:
    path = ROOT / file
    assert path.is_file(), f"docs/promises.md names {file}, which does not exist"
    if test:
        assert re.search(rf"def {test}\(", path.read_text()), f"{file} has no {test}"
