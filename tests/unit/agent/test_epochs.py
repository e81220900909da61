import json
from pathlib import Path

import pytest

from holdfast.agent.epochs import EpochBook, EpochBookError
from holdfast.loop.reconcile import reconcile
from holdfast.model.events import AgentStarted
from holdfast.model.policy import Policy
from holdfast.model.state import ServiceState, State


def book(folder: Path) -> EpochBook:
    return EpochBook(folder / "epochs.json")


def test_new_book_covers_no_epoch_but_zero(tmp_path: Path) -> None:
    assert book(tmp_path).covers("db", 0)
    assert not book(tmp_path).covers("db", 1)


def test_raised_ceiling_is_on_disk_before_the_call_returns_and_covers_a_block(tmp_path: Path) -> None:
    book(tmp_path).raise_to("db", 1)
    again = book(tmp_path)
    assert again.ceiling("db") == 16
    assert again.covers("db", 16)
    assert not again.covers("db", 17)
    assert not again.covers("other", 1)


def test_disk_is_asked_once_in_sixteen_epochs(tmp_path: Path) -> None:
    writes = set()
    kept = book(tmp_path)
    for epoch in range(1, 33):
        kept.raise_to("db", epoch)
        writes.add((tmp_path / "epochs.json").stat().st_ino)
    assert kept.ceiling("db") == 32
    assert json.loads((tmp_path / "epochs.json").read_bytes()) == {"db": 32}


def test_new_agent_goes_on_above_every_epoch_that_may_have_been_used(tmp_path: Path) -> None:
    kept = book(tmp_path)
    kept.raise_to("db", 7)
    forgotten = State(
        policy=Policy("s", {}), services={"db": ServiceState("db"), "web": ServiceState("web", epoch=3)}
    )
    started = AgentStarted("boot", "1", 0, 1, book(tmp_path).floors())
    state, _ = reconcile(forgotten, started, 1)
    assert state.epoch_floors["db"] == 22
    assert state.epoch_floors["web"] == 3


def test_torn_book_is_refused_instead_of_guessed(tmp_path: Path) -> None:
    (tmp_path / "epochs.json").write_bytes(b'{"db": 1')
    with pytest.raises(EpochBookError, match=r"epochs\.json cannot be read"):
        book(tmp_path)


def test_write_that_was_interrupted_leaves_the_old_book(tmp_path: Path) -> None:
    book(tmp_path).raise_to("db", 1)
    (tmp_path / "epochs.new").write_bytes(b"{")
    assert book(tmp_path).ceiling("db") == 16
    book(tmp_path).raise_to("db", 17)
    assert book(tmp_path).ceiling("db") == 32
