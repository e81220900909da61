"""`certs`, `tokens`, `secret` and `audit`, as an operator types them."""

import base64
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from holdfast.agent.access import Access, Caller
from holdfast.agent.audit import AUDIT, Audit
from holdfast.agent.identity import Identity, identity_of
from holdfast.agent.protocol import Answer, DownRequest, DrainRequest, ErrorKind, Failure
from holdfast.agent.tokens import TOKENS, Token, digest_of, read_tokens
from tests.unit.cli.calling import Call

FILE = """
system: orders
services:
  web: { mode: active-active, members: 2, port: 8081+, run: { command: [/bin/sleep, "60"] } }
cluster: { coordinator: "etcd://10.0.0.1:2379", secret: { env: KEY } }
hosts:
  h1: { address: 10.0.0.1 }
  h2: { address: 10.0.0.2 }
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def read_certificate(path: Path) -> Identity:
    """Read it as a handshake would have it."""
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # CPython's own tests use it
    return identity_of(decoded)


def verify(folder: Path, cert: str, purpose: str) -> bool:
    command = ["openssl", "verify", "-CAfile", "ca.pem", "-purpose", purpose, cert]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=30, check=False).returncode == 0


def test_two_commands_make_what_all_hosts_of_the_file_need(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text(FILE, "utf-8")
    assert call("certs", "init").exit_code == 0
    told = call("certs", "issue")
    assert told.exit_code == 0, told.output
    assert "cert: /etc/holdfast/host.pem" in told.output
    made = folder / "holdfast-certs"
    assert mode(made) == 0o700
    for name in ("ca", "h1", "h2"):
        assert mode(made / f"{name}.key") == 0o600
    assert read_certificate(made / "h2.pem") == Identity("h2", host="h2")
    assert verify(made, "h1.pem", "sslserver")
    assert verify(made, "h1.pem", "sslclient")
    again = call("certs", "issue")
    assert again.exit_code == 0
    assert "is there already" in again.output
    assert not [path for path in made.iterdir() if path.name.startswith(".")]


def test_persons_certificate_has_an_access_and_cannot_answer_in_an_agents_place(
    call: Call, folder: Path
) -> None:
    call("certs", "init")
    told = call("certs", "issue", "ann", "--access", "operate", "--days", "9")
    assert told.exit_code == 0, told.output
    made = folder / "holdfast-certs"
    assert read_certificate(made / "ann.pem") == Identity("ann", Access.OPERATE)
    assert verify(made, "ann.pem", "sslclient")
    assert not verify(made, "ann.pem", "sslserver")


def test_nothing_that_stands_is_overwritten_unless_asked_for(call: Call, folder: Path) -> None:
    call("certs", "init")
    call("certs", "issue", "ann", "--access", "view")
    before = (folder / "holdfast-certs" / "ann.pem").read_bytes()
    assert call("certs", "init").exit_code == 2
    assert call("certs", "issue", "ann", "--access", "view").exit_code == 2
    assert (folder / "holdfast-certs" / "ann.pem").read_bytes() == before
    assert call("certs", "issue", "ann", "--access", "view", "--renew").exit_code == 0
    assert (folder / "holdfast-certs" / "ann.pem").read_bytes() != before


@pytest.mark.parametrize(
    "args",
    [
        ("h1",),  # no file, no address
        ("h1", "--address", "not an address"),
        ("h1,DNS:evil", "--address", "10.0.0.1"),
        ("../h1", "--address", "10.0.0.1"),
        ("ca", "--access", "admin"),
        ("ann\nURI:holdfast:access/admin", "--access", "view"),
        ("ann", "--access", "everything"),
        ("--access", "view"),
    ],
)
def test_what_is_no_name_gets_no_certificate(call: Call, folder: Path, args: tuple[str, ...]) -> None:
    call("certs", "init")
    before = sorted((folder / "holdfast-certs").iterdir())
    assert call("certs", "issue", *args).exit_code == 2
    assert sorted((folder / "holdfast-certs").iterdir()) == before


def test_without_an_authority_nothing_is_issued(call: Call) -> None:
    result = call("certs", "issue", "ann", "--access", "view")
    assert result.exit_code == 2
    assert "holdfast certs init makes one" in result.output


def test_without_openssl_it_is_told_what_to_install(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = call("certs", "init")
    assert result.exit_code == 1
    assert "apt-get install openssl" in result.output


def test_secret_is_32_bytes_for_its_owner_only_and_never_overwrites(call: Call, folder: Path) -> None:
    printed = call("secret").output.strip()
    assert len(base64.b64decode(printed)) == 32
    assert call("secret", "--out", "cluster.key").exit_code == 0
    kept = (folder / "cluster.key").read_text("ascii")
    assert len(base64.b64decode(kept)) == 32
    assert mode(folder / "cluster.key") == 0o600
    assert kept.strip() not in call("secret", "--out", "cluster.key").output
    assert (folder / "cluster.key").read_text("ascii") == kept


def test_token_is_given_out_known_by_its_digest_and_taken_back(call: Call, folder: Path) -> None:
    state = folder / "agent"
    state.mkdir()
    at = ("--directory", str(state))
    assert call("tokens", "issue", "ann", "--access", "operate", "--out", "ann.token", *at).exit_code == 0
    text = (folder / "ann.token").read_text("ascii").strip()
    assert read_tokens(state / TOKENS) == (Token("ann", Access.OPERATE, digest_of(text)),)
    assert text not in (state / TOKENS).read_text("ascii")
    assert (mode(folder / "ann.token"), mode(state / TOKENS)) == (0o600, 0o600)
    assert call("tokens", "issue", "ann", "--access", "admin", *at).exit_code == 2
    assert json.loads(call("tokens", "list", "--json", *at).output) == [{"name": "ann", "access": "operate"}]
    assert call("tokens", "revoke", "ann", *at).exit_code == 0
    assert read_tokens(state / TOKENS) == ()
    assert "nobody has a token" in call("tokens", "list", *at).output
    assert call("tokens", "revoke", "ann", *at).exit_code == 2


def test_token_of_one_host_is_made_known_to_another(call: Call, folder: Path) -> None:
    (folder / "agent").mkdir()
    at = ("--directory", str(folder / "agent"))
    text = "hf_" + "x" * 40
    assert (
        call("tokens", "issue", "ann", "--access", "view", "--from", "-", *at, input=f"{text}\n").exit_code
        == 0
    )
    assert read_tokens(folder / "agent" / TOKENS) == (Token("ann", Access.VIEW, digest_of(text)),)
    assert (
        call("tokens", "issue", "bob", "--access", "view", "--from", "-", *at, input="short").exit_code == 2
    )


def test_audit_shows_who_asked_what_and_what_was_denied(call: Call, folder: Path) -> None:
    log = Audit(folder / AUDIT, lambda _: None)
    ann = Caller("ann@10.0.0.9", Access.OPERATE, "certificate", "10.0.0.9")
    log.note(ann, DrainRequest(component="web/web-1", why="disks\x1b[2J"), Answer(ok=True))
    log.note(ann, DownRequest(), Answer(ok=False, error=Failure(ErrorKind.DENIED, "ann may not")))
    log.close()
    at = ("--directory", str(folder))
    told = call("audit", *at).output
    assert "ann@10.0.0.9" in told
    assert "drain" in told
    assert "component=web/web-1" in told
    assert "\x1b" not in told
    assert [entry["verb"] for entry in json.loads(call("audit", "--json", *at).output)] == ["drain", "down"]
    assert [entry["verb"] for entry in json.loads(call("audit", "--denied", "--json", *at).output)] == [
        "down"
    ]
    assert [entry["verb"] for entry in json.loads(call("audit", "--limit", "1", "--json", *at).output)] == [
        "down"
    ]
