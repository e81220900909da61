"""`holdfast lock` with what is no name of a lock."""

from pathlib import Path

import pytest

from tests.unit.cli.calling import Call


@pytest.mark.parametrize("name", ["Backup", "größe", "", "../x", "/x", "x/", "a b"])
def test_what_is_no_name_of_a_lock_is_told_as_it_was_written(call: Call, folder: Path, name: str) -> None:
    result = call("lock", name, "--on", f"embedded://{folder}/store", "--", "true")
    assert result.exit_code == 2
    assert f"{name!r} is no name of a lock" in result.output
    assert "shop/backup" in result.output
