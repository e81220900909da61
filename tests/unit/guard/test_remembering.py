"""The guard's memory: what was armed is there for the next guard of this boot, and nonsense is not believed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.guard import remembering
from holdfast.guard.armed import Armed, ArmedSet
from holdfast.guard.facts import Facts
from holdfast.guard.remembering import Memory

FACTS = Facts(100, 7, "this boot", ("HOLDFAST_COMPONENT=orders/a",), "/sys/fs/cgroup/holdfast-x")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory.take(str(tmp_path), is_patient=False)
    assert memory is not None
    yield memory
    memory.close()
    path = Path(memory.path)
    for left in (path, path.with_suffix(".lock"), path.with_suffix(".json.new")):
        left.unlink(missing_ok=True)


def test_a_directory_that_is_not_there_has_no_guard(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Memory.take(str(tmp_path / "nowhere"), is_patient=False)
    assert not Path(remembering.place_of(str(tmp_path / "nowhere"))[0] + ".lock").exists()


def one() -> ArmedSet:
    armed = ArmedSet()
    armed.components["orders/a"] = Armed(FACTS, 5)
    return armed


def test_what_was_kept_is_recalled_in_the_same_boot_only(memory: Memory) -> None:
    assert memory.keep(one(), "this boot") == ""
    armed, trouble = memory.recall("this boot")
    assert trouble == ""
    assert armed.components["orders/a"].deadline == 5
    assert armed.components["orders/a"].facts.as_json() == FACTS.as_json()
    assert memory.recall("another boot")[0].components == {}


def test_nothing_armed_leaves_no_file(memory: Memory) -> None:
    assert memory.keep(one(), "this boot") == ""
    assert memory.keep(ArmedSet(), "this boot") == ""
    assert not Path(memory.path).exists()
    assert memory.recall("this boot")[1] == ""


def test_a_remembered_pid_that_is_now_the_guards_own_does_not_spoil_the_memory(memory: Memory) -> None:
    armed = one()
    armed.components["stock/b"] = Armed(Facts(os.getpid(), 7, "this boot"), 5)
    assert memory.keep(armed, "this boot") == ""
    recalled, trouble = memory.recall("this boot")
    assert trouble == ""
    assert recalled.components.keys() == armed.components.keys()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{",
        '{"v": 1}',
        json.dumps({"v": 1, "boot": "this boot", "armed": {"orders/a": {"facts": 1}}}),
    ],
)
def test_a_file_that_is_not_ours_is_told_of_and_not_believed(memory: Memory, content: str) -> None:
    Path(memory.path).write_text(content)
    armed, trouble = memory.recall("this boot")
    assert armed.components == {}
    assert "cannot be read" in trouble


def test_one_directory_has_one_guard(memory: Memory, tmp_path: Path) -> None:
    assert Memory.take(str(tmp_path), is_patient=False) is None
    assert Memory.take(str(tmp_path / "." / ".." / tmp_path.name), is_patient=False) is None


def test_what_cannot_be_written_is_told(memory: Memory) -> None:
    beside = Path(f"{memory.path}.new")
    beside.mkdir()
    try:
        assert memory.keep(one(), "this boot")
    finally:
        beside.rmdir()


def test_directories_have_different_names_however_long_they_are() -> None:
    paths = ["/a/b", "/a%2Fb", "/a-b", "/" + "x" * 300 + "/a", "/" + "y" * 300 + "/a"]
    names = [remembering._escape(path) for path in paths]
    assert len(set(names)) == len(paths)
    assert all("/" not in name and len(name) < 200 for name in names)
