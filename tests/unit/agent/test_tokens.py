import os
from pathlib import Path

import pytest

from holdfast.agent.access import Access
from holdfast.agent.tokens import (
    Token,
    Tokens,
    TokensError,
    digest_of,
    fresh_token,
    read_tokens,
    write_tokens,
)

ANN = Token("ann", Access.VIEW, digest_of("a"))
BOB = Token("bob", Access.ADMIN, digest_of("b"))


def test_fresh_tokens_differ_and_have_256_bits() -> None:
    drawn = {fresh_token() for _ in range(100)}
    assert len(drawn) == 100
    assert all(token.startswith("hf_") and len(token) == 46 for token in drawn)


def test_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens")
    assert tokens.find(ANN.digest) is None  # there is no file yet
    write_tokens(tmp_path / "tokens", (ANN, BOB))
    assert tokens.find(ANN.digest) == ANN
    assert tokens.find(BOB.digest) == BOB
    write_tokens(tmp_path / "tokens", (BOB,))
    assert tokens.find(ANN.digest) is None
    (tmp_path / "tokens").unlink()
    assert tokens.find(BOB.digest) is None


def test_operator_may_write_the_file_with_an_editor(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# who may\n\nann view {ANN.digest}\n", "ascii")
    file.chmod(0o600)
    assert read_tokens(file) == (ANN,)


@pytest.mark.parametrize(
    "line", ["ann view", f"ann root {ANN.digest}", f"ann view {ANN.digest}x", "ann view ABC"]
)
def test_line_that_says_nothing_makes_the_whole_file_unbelievable(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"bob admin {BOB.digest}\n{line}\n", "ascii")
    file.chmod(0o600)
    tokens = Tokens(file)
    for _ in range(2):
        with pytest.raises(TokensError, match=":2: must be NAME ACCESS SHA256"):
            tokens.find(BOB.digest)


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o620, 0o602])
def test_file_that_others_can_use_is_not_believed_until_that_is_mended(tmp_path: Path, bits: int) -> None:
    file = tmp_path / "tokens"
    write_tokens(file, (ANN,))
    tokens = Tokens(file)
    assert tokens.find(ANN.digest) == ANN
    file.chmod(bits)
    with pytest.raises(TokensError, match="chmod 600"):
        tokens.find(ANN.digest)
    file.chmod(0o600)
    assert tokens.find(ANN.digest) == ANN


def test_link_is_not_followed(tmp_path: Path) -> None:
    write_tokens(tmp_path / "elsewhere", (ANN,))
    (tmp_path / "tokens").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokensError):
        Tokens(tmp_path / "tokens").find(ANN.digest)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens", (ANN,))
    os.chown(tmp_path / "tokens", 65534, 65534)
    with pytest.raises(TokensError, match="belongs to uid 65534"):
        Tokens(tmp_path / "tokens").find(ANN.digest)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_the_agents_user(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    write_tokens(folder / "tokens", (ANN,))
    assert (folder / "tokens").stat().st_uid == 65534
    assert (folder / "tokens").stat().st_mode & 0o777 == 0o600
