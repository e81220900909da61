import json
from pathlib import Path

from holdfast.agent import audit
from holdfast.agent.access import Access, Caller
from holdfast.agent.audit import AUDIT, Audit, older, read_entries
from holdfast.agent.log import Line
from holdfast.agent.protocol import (
    Answer,
    ApplyRequest,
    DrainRequest,
    ErrorKind,
    Failure,
    PauseRequest,
    StatusRequest,
    SwitchoverRequest,
)

ANN = Caller("ann@10.0.0.9", Access.OPERATE, "certificate", "10.0.0.9")
ROOT = Caller("root", Access.ADMIN, "socket")
OK = Answer(ok=True)
DENIED = Answer(ok=False, error=Failure(ErrorKind.DENIED, "ann may not"))


def test_local_reading_is_nobodys_business_and_remote_reading_is_kept_once(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    for _ in range(100):
        log.note(ROOT, StatusRequest(), OK)
        log.note(ANN, StatusRequest(), OK)
        log.note(ANN, PauseRequest(for_s=1), DENIED)
    log.close()
    kept = [(entry.who, entry.verb, entry.allowed) for entry in read_entries(tmp_path / AUDIT)]
    assert kept == [(ANN.name, "status", True), (ANN.name, "pause", False)]


def test_every_change_is_kept_whoever_asks_however_often(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    refused = Answer(ok=False, error=Failure(ErrorKind.REFUSED, "it is refused", ("last member", "paused")))
    for _ in range(3):
        log.note(ROOT, DrainRequest(component="web/web-1"), refused)
    log.close()
    entries = list(read_entries(tmp_path / AUDIT))
    assert [entry.result for entry in entries] == ["refused: it is refused; last member; paused"] * 3
    assert entries[0].asked == {"component": "web/web-1"}
    assert entries[0].at.endswith("Z")


def test_whole_files_are_kept_by_their_digest(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    log.note(ROOT, ApplyRequest(text="system: orders\npassword: hunter2\n", expect=3), OK)
    log.note(ROOT, PauseRequest(for_s=1, why="x" * 4000), OK)
    log.close()
    applied, paused = read_entries(tmp_path / AUDIT)
    assert applied.asked["expect"] == 3
    assert applied.asked["text"].startswith("33 letters, sha256 ")
    assert paused.asked["why"].startswith("4000 letters, sha256 ")
    assert "hunter2" not in (tmp_path / AUDIT).read_text("utf-8")


def test_two_files_of_bounded_size_are_kept(tmp_path: Path) -> None:
    path = tmp_path / AUDIT
    log = Audit(path, lambda _: None, bytes_max=2000)
    for number in range(100):
        log.note(ROOT, PauseRequest(for_s=1, why=f"number {number}"), OK)
    log.close()
    assert path.stat().st_size <= 2000
    assert older(path).stat().st_size <= 2000
    assert sorted(one.name for one in tmp_path.iterdir()) == [AUDIT, f"{AUDIT}.1"]
    whys = [entry.asked["why"] for entry in read_entries(path)]
    assert whys == [f"number {number}" for number in range(100 - len(whys), 100)]
    assert len(whys) > 10


def test_files_are_for_the_agents_user_only_even_if_they_were_opened_wider(tmp_path: Path) -> None:
    path = tmp_path / AUDIT
    path.touch(0o644)
    log = Audit(path, lambda _: None)
    log.note(ROOT, PauseRequest(for_s=1), OK)
    log.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    log.note(ROOT, PauseRequest(for_s=1), OK)
    log.close()
    with (tmp_path / AUDIT).open("ab") as file:
        file.write(b'{"at": "2026-\n')
    assert len(list(read_entries(tmp_path / AUDIT))) == 1
    assert json.loads((tmp_path / AUDIT).read_text("utf-8").splitlines()[0])["who"] == "root"


def test_disk_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    lines: list[Line] = []
    log = Audit(tmp_path / "missing" / AUDIT, lines.append)
    for _ in range(5):
        log.note(ROOT, PauseRequest(for_s=1), OK)
    log.close()
    assert [line.word for line in lines] == ["failed"]
    assert "No such file" in lines[0].text


def test_who_was_told_of_is_forgotten_in_bounds(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    for number in range(audit._KNOWN_MAX + 50):
        log.note_stranger(f"h{number}", "host", "10.0.0.1", "why")
    log.close()
    assert len(log._noted_at) == audit._KNOWN_MAX


def test_what_was_asked_for_is_kept_though_it_is_nothing(tmp_path: Path) -> None:
    log = Audit(tmp_path / AUDIT, lambda _: None)
    log.note(ROOT, SwitchoverRequest(service="db", open_transactions_s=0.0), OK)
    log.note(ROOT, SwitchoverRequest(service="db"), OK)
    log.close()
    asked = [entry.asked for entry in read_entries(tmp_path / AUDIT)]
    assert asked == [{"service": "db", "open_transactions_s": 0.0}, {"service": "db"}]
