"""What another host may ask over TLS: real sockets on loopback, certificates made by our own verb's code."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from holdfast.agent import protocol, remote
from holdfast.agent.access import Access, verb_of
from holdfast.agent.client import ControlError
from holdfast.agent.protocol import (
    DownRequest,
    DrainRequest,
    ErrorKind,
    PauseRequest,
    ReloadRequest,
    RestartRequest,
    ResumeRequest,
    SwitchoverRequest,
)
from holdfast.agent.tls import client_context
from holdfast.agent.tokens import TOKENS, write_tokens
from holdfast.cli.certificates import issue_host
from holdfast.model.policy import HostPolicy
from holdfast.model.value import replace
from tests.contract.remote_stage import LOOPBACK, Pki, Stage, play, until, with_cluster


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def blocking(act: Callable[[Stage], None]) -> Callable[[Stage], asyncio.Future[None]]:
    """Have a scene of blocking calls played beside the loop."""

    async def scene(stage: Stage) -> None:
        await asyncio.to_thread(act, stage)

    return scene  # type: ignore[return-value]  # a coroutine is awaited as well as a future


def refused(act: Callable[[], object]) -> ControlError:
    with pytest.raises(ControlError) as caught:
        act()
    return caught.value


# --- who gets in ----------------------------------------------------------------------------------------


def test_certificate_of_the_clusters_authority_gets_in_and_is_greeted_by_name(
    tmp_path: Path, pki: Pki
) -> None:
    def act(stage: Stage) -> None:
        with stage.as_("viewer") as client:
            assert client.status().services[0].name == "web"
            assert client.state().state.policy.system == "rehearsal"
            assert client.greeting == protocol.Greeting("h1", f"viewer@{LOOPBACK}", "view")

    play(tmp_path, pki, blocking(act))


def test_no_certificate_gets_nowhere(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        context = ssl.create_default_context(cafile=str(pki.folder / "ca.pem"))
        with socket.create_connection((LOOPBACK, stage.port), 10) as plain:
            # In TLS 1.3 the client is through before the server has looked: the refusal comes when it reads.
            connection = context.wrap_socket(plain, server_hostname=LOOPBACK)
            with connection, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                connection.recv(1000)

    stage = play(tmp_path, pki, blocking(act))
    assert any(line.word == "denied" and "did not return a certificate" in line.text for line in stage.lines)


def test_certificate_of_another_authority_is_refused(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        error = refused(stage.client(pki.tls("adminer", pki.strange)).ping)
        assert error.kind is ErrorKind.DENIED
        assert "does not accept our certificate" in error.message

    stage = play(tmp_path, pki, blocking(act))
    assert not stage.audited()


def test_expired_certificate_is_refused_by_name_of_the_fault(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        error = refused(stage.as_("expired").ping)
        assert error.kind is ErrorKind.DENIED
        assert "certificate expired" in error.message

    play(tmp_path, pki, blocking(act))


@pytest.mark.parametrize("name", ["h2", "adminer"])
def test_who_answers_with_another_hosts_or_a_persons_certificate_is_not_spoken_to(
    tmp_path: Path, pki: Pki, name: str
) -> None:
    async def scene(stage: Stage) -> None:
        stage.policy = with_cluster(stage.policy, pki.tls(name))
        await stage.remote.open()  # follows the policy
        error = await asyncio.to_thread(refused, stage.as_("adminer").ping)
        assert error.kind is ErrorKind.DENIED
        assert "is not its agent" in error.message

    play(tmp_path, pki, scene)


def test_older_tls_is_not_spoken(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        context = client_context(pki.tls("adminer"))
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((LOOPBACK, stage.port), 10) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=LOOPBACK)

    play(tmp_path, pki, blocking(act))


def test_plaintext_is_hung_up_on(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with socket.create_connection((LOOPBACK, stage.port), 10) as plain:
            plain.sendall(b'{"verb":"down"}\n')
            answer = b""
            try:
                while piece := plain.recv(1000):
                    answer += piece
            except ConnectionResetError:
                pass
            assert b"{" not in answer
        assert not stage.turning.state.is_going_down
        with stage.as_("viewer") as client:
            client.ping()

    play(tmp_path, pki, blocking(act))


def test_nothing_listens_without_tls_and_says_nothing_about_it(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        port = stage.port
        stage.policy = with_cluster(stage.policy, None)
        await stage.remote.open()
        assert stage.remote.port is None
        assert not stage.remote.problem
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, port)

    play(tmp_path, pki, scene)


def test_it_listens_on_the_hosts_own_address_only(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", stage.port)

    play(tmp_path, pki, scene)


# --- who may ask for what -------------------------------------------------------------------------------

EVERY_REQUEST = [
    protocol.PingRequest(),
    protocol.StatusRequest(),
    protocol.StateRequest(),
    protocol.WatchRequest(),
    protocol.ExplainDataRequest(),
    protocol.IncidentsRequest(),
    protocol.IncidentRequest(id="i-1"),
    protocol.HealthRequest(),
    SwitchoverRequest(service="web"),
    DrainRequest(component="web/web-1", dry_run=True),
    PauseRequest(for_s=60, dry_run=True),
    ResumeRequest(dry_run=True),
    RestartRequest(target="web", dry_run=True),
    ReloadRequest(),
    DownRequest(dry_run=True),
    protocol.ClusterRequest(),
    protocol.PolicyRequest(),
    protocol.ApplyRequest(text="nonsense", dry_run=True),
    protocol.PoliciesRequest(),
]
MAY = {
    Access.VIEW: {
        "ping", "status", "state", "watch", "explain-data", "incidents", "incident", "health", "cluster",
        "policy",
    },
    Access.OPERATE: {"switchover", "drain", "pause", "resume", "restart", "reload"},
    Access.ADMIN: {"down", "apply", "policies"},
}  # fmt: skip


def test_every_verb_is_in_this_table() -> None:
    # Who adds a verb decides here who may use it.
    assert {type(request) for request in EVERY_REQUEST} == set(get_args(protocol.AnyRequest))
    assert {verb_of(request) for request in EVERY_REQUEST} == set().union(*MAY.values())


@pytest.mark.parametrize("access", list(Access))
def test_every_verb_is_open_to_those_it_is_for_and_to_nobody_else(
    tmp_path: Path, pki: Pki, access: Access
) -> None:
    may = {verb for level, verbs in MAY.items() if access.includes(level) for verb in verbs}

    async def scene(stage: Stage) -> None:
        for request in EVERY_REQUEST:
            reader, writer = await stage.connect(f"{access}er")
            writer.write(msgspec.json.encode(request) + b"\n")
            answer = json.loads(await reader.readline())
            kind = (answer.get("error") or {}).get("kind")
            assert (kind == "denied") == (verb_of(request) not in may), (verb_of(request), answer)
            writer.close()
            await writer.wait_closed()
        assert not stage.turning.state.is_going_down

    play(tmp_path, pki, scene)


def test_denial_names_what_is_needed_and_the_connection_goes_on(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.as_("viewer") as client:
            error = refused(lambda: client.do(DrainRequest(component="web/web-1")))
            assert error.kind is ErrorKind.DENIED
            assert "drain needs operate access, and this is view" in error.message
            client.ping()
        assert not stage.turning.state.flights

    play(tmp_path, pki, blocking(act))


def test_command_is_turned_in_the_callers_name(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.as_("operateer") as client:
            accepted = client.do(PauseRequest(for_s=60, why="upgrade"))
            assert accepted.by == f"operateer@{LOOPBACK}"
        assert stage.turning.state.pause is not None
        assert stage.turning.state.pause.by == f"operateer@{LOOPBACK}"

    play(tmp_path, pki, blocking(act))


def test_agent_reads_and_forwards_what_an_operator_asked_of_it_and_no_more(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.as_("h2") as client:
            client.status()
            assert refused(lambda: client.do(PauseRequest(for_s=60))).kind is ErrorKind.DENIED
        with stage.client(pki.tls("h2"), behalf="ann") as client:
            assert client.do(PauseRequest(for_s=60)).by == "ann@h2"
            assert refused(lambda: client.do(DownRequest())).kind is ErrorKind.DENIED
        assert not stage.turning.state.is_going_down

    play(tmp_path, pki, blocking(act))


def test_only_an_agent_asks_on_behalf_of_others(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        error = refused(stage.client(pki.tls("viewer"), behalf="root").ping)
        assert error.kind is ErrorKind.DENIED
        assert "only an agent asks on behalf of others" in error.message

    play(tmp_path, pki, blocking(act))


def test_host_that_the_file_does_not_name_is_refused_also_while_it_is_connected(
    tmp_path: Path, pki: Pki
) -> None:
    def act(stage: Stage) -> None:
        assert "does not name host h9" in refused(stage.as_("h9").ping).message
        with stage.as_("h2") as client:
            client.ping()
            stage.policy = replace(stage.policy, hosts={"h1": HostPolicy("h1", LOOPBACK)})
            assert "does not name host h2" in refused(client.ping).message

    play(tmp_path, pki, blocking(act))


# --- tokens ---------------------------------------------------------------------------------------------


def test_token_gives_its_own_access_and_name(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        file = stage.give_token("bob", Access.ADMIN)
        with stage.client(pki.tls("viewer"), token=file) as client:
            assert client.do(PauseRequest(for_s=60)).by == f"bob@{LOOPBACK}"
            assert client.greeting is not None
            assert client.greeting.access == "admin"

    play(tmp_path, pki, blocking(act))


def test_wrong_token_is_no_way_back_to_the_certificates_access(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        file = stage.give_token("bob", Access.VIEW)
        file.write_text("hf_wrong", "ascii")
        error = refused(stage.client(pki.tls("adminer"), token=file).ping)
        assert error.kind is ErrorKind.DENIED
        assert "token is not known" in error.message
        assert "hf_wrong" not in str(error)

    stage = play(tmp_path, pki, blocking(act))
    assert "hf_wrong" not in (stage.folder / "audit.jsonl").read_text("utf-8")
    assert not any("hf_wrong" in line.text for line in stage.lines)


def test_revoked_token_is_refused_at_once_also_while_its_owner_is_connected(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.client(pki.tls("viewer"), token=stage.give_token("bob", Access.ADMIN)) as client:
            client.ping()
            write_tokens(stage.folder / TOKENS, ())
            error = refused(client.ping)
            assert error.kind is ErrorKind.DENIED
            assert "token is not known" in error.message

    play(tmp_path, pki, blocking(act))


def test_tokens_that_others_can_read_are_not_believed(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        file = stage.give_token("bob", Access.ADMIN)
        (stage.folder / TOKENS).chmod(0o644)
        assert refused(stage.client(pki.tls("viewer"), token=file).ping).kind is ErrorKind.DENIED
        assert any("chmod 600" in line.text for line in stage.lines)

    play(tmp_path, pki, blocking(act))


def test_revoked_token_ends_a_watch_before_it_tells_more(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.client(pki.tls("viewer"), token=stage.give_token("bob", Access.VIEW)) as client:
            told = client.watch(within_s=30)
            next(told)
            write_tokens(stage.folder / TOKENS, ())
            with stage.as_("operateer") as other:
                other.do(PauseRequest(for_s=60))
            assert refused(lambda: next(told)).kind is ErrorKind.DENIED

    play(tmp_path, pki, blocking(act))


# --- what hurts nobody ----------------------------------------------------------------------------------


def test_request_of_a_megabyte_and_more_is_refused(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        reader, writer = await stage.connect("viewer")
        writer.write(b"x" * (protocol.LINE_MAX + 10) + b"\n")
        assert "at most 1048576 bytes" in json.loads(await reader.readline())["error"]["message"]
        writer.close()

    play(tmp_path, pki, scene)


def test_silence_before_the_handshake_is_ended_and_others_are_served_meanwhile(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "HANDSHAKE_WITHIN_S", 1.0)

    async def scene(stage: Stage) -> None:
        silent = [await asyncio.open_connection(LOOPBACK, stage.port) for _ in range(8)]
        for _, writer in silent:
            writer.write(b"\x16\x03\x01")  # the beginning of a hello, and then nothing
        with stage.as_("viewer") as client:
            await asyncio.to_thread(client.ping)
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        await until(lambda: not stage.remote._talks)

    play(tmp_path, pki, scene)


def test_silence_after_the_handshake_is_ended(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "FIRST_LINE_WITHIN_S", 0.3)

    async def scene(stage: Stage) -> None:
        reader, writer = await stage.connect("adminer")
        writer.write(b'{"verb":')  # and never the rest
        assert b"no request within" in await reader.readline()
        assert await reader.read() == b""
        writer.close()

    play(tmp_path, pki, scene)


def test_one_address_takes_no_more_than_its_share(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PER_ADDRESS_MAX", 3)

    async def scene(stage: Stage) -> None:
        open_ones = [await stage.connect("viewer") for _ in range(3)]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await stage.connect("viewer")
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()
        await until(lambda: not stage.remote._talks)
        _, writer = await stage.connect("viewer")
        writer.close()

    play(tmp_path, pki, scene)


def test_flood_of_connections_leaves_the_loop_its_time(tmp_path: Path, pki: Pki) -> None:
    # Not how fast, only that it turns: a loop that is starved by accepting turns a few times, not hundreds.
    async def scene(stage: Stage) -> None:
        flooding = asyncio.create_task(asyncio.to_thread(flood, stage.port, 300))
        turns = 0
        while not flooding.done():
            await asyncio.sleep(0.001)
            turns += 1
        await flooding
        assert turns > 100
        await until(lambda: not stage.remote._talks)
        assert len([line for line in stage.lines if line.word == "denied"]) < 10

    play(tmp_path, pki, scene)


def flood(port: int, count: int) -> None:
    give_up_at = time.monotonic() + 5
    for _ in range(count):
        if time.monotonic() > give_up_at:
            return
        with socket.socket() as plain:
            plain.settimeout(1)
            try:
                plain.connect((LOOPBACK, port))
                plain.sendall(b"\x00garbage\x00")
            except OSError:
                continue


def test_watcher_who_never_reads_is_let_go(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        _, writer = await stage.connect("viewer")
        writer.write(b'{"verb":"watch"}\n')
        await until(lambda: stage.remote._talks)
        writer.transport.abort()
        await until(lambda: not stage.remote._talks)

    play(tmp_path, pki, scene)


# --- what is kept ---------------------------------------------------------------------------------------


def test_audit_log_tells_who_asked_what_from_where_and_what_came_of_it(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        with stage.as_("operateer") as client:
            client.do(PauseRequest(for_s=60, why="upgrade"))
            refused(lambda: client.do(DrainRequest(component="web/web-9")))
            refused(lambda: client.do(DownRequest()))
            for _ in range(5):
                client.status()

    stage = play(tmp_path, pki, blocking(act))
    told = [(entry.verb, entry.allowed, entry.result.partition(":")[0]) for entry in stage.audited()]
    assert told == [
        ("pause", True, "ok"),
        ("drain", True, "usage"),
        ("down", False, "denied"),
        ("status", True, "ok"),
    ]
    first = stage.audited()[0]
    assert (first.who, first.access, first.how, first.place) == (
        f"operateer@{LOOPBACK}",
        "operate",
        "certificate",
        LOOPBACK,
    )
    assert first.asked == {"for_s": 60.0, "why": "upgrade"}
    assert (stage.folder / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_audit_log_keeps_who_was_turned_away(tmp_path: Path, pki: Pki) -> None:
    def act(stage: Stage) -> None:
        for _ in range(3):
            refused(stage.as_("h9").ping)

    stage = play(tmp_path, pki, blocking(act))
    (entry,) = stage.audited()
    assert (entry.who, entry.how, entry.allowed) == ("h9", "host", False)
    assert "does not name host h9" in entry.result


# --- certificates come and go -----------------------------------------------------------------------------


def test_renewed_certificate_is_taken_up_and_who_is_connected_shows_theirs_again(
    tmp_path: Path, pki: Pki
) -> None:
    async def scene(stage: Stage) -> None:
        with stage.as_("viewer") as client:
            await asyncio.to_thread(client.ping)
            issue_host(pki.folder, "h1", [LOOPBACK], 2)
            await stage.remote.open()
            error = await asyncio.to_thread(refused, client.ping)
            assert error.kind is ErrorKind.UNREACHABLE
        with stage.as_("viewer") as client:
            await asyncio.to_thread(client.ping)

    play(tmp_path, pki, scene)


def test_unusable_certificate_is_told_and_the_old_one_goes_on(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        stage.policy = with_cluster(stage.policy, pki.tls("never-issued"))
        await stage.remote.open()
        assert "never-issued.key: No such file" in stage.remote.problem
        with stage.as_("viewer") as client:
            await asyncio.to_thread(client.ping)

    play(tmp_path, pki, scene)


def test_key_that_others_can_read_is_not_used(tmp_path: Path, pki: Pki) -> None:
    async def scene(stage: Stage) -> None:
        (pki.folder / "h2.key").chmod(0o644)
        try:
            stage.policy = with_cluster(stage.policy, pki.tls("h2"))
            await stage.remote.open()
        finally:
            (pki.folder / "h2.key").chmod(0o600)
        assert "others than its owner can use it" in stage.remote.problem

    play(tmp_path, pki, scene)
