"""What the probe engine says about targets that misbehave, each a real socket on loopback."""

import asyncio
import socket
import time
from functools import partial
from pathlib import Path

import pytest

from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import HttpCheck, ProbePolicy
from holdfast.model.time import MILLISECOND, SECOND
from tests.contract.probing_targets import (
    answering,
    ask,
    ask_once,
    certificate,
    full_queue,
    http,
    listener,
    probe,
    probing,
    refused_port,
    resetting,
    server,
    silent,
    stopped_server,
    tcp,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhealthy"
SHORT = 300 * MILLISECOND


def says(answer: Observation, layer: Layer, failure: Failure) -> bool:
    expected = Outcome.PASSED if failure is Failure.NONE else Outcome.FAILED
    return (answer.outcome, answer.layer, answer.failure) == (expected, layer, failure)


# --- TCP ----------------------------------------------------------------------------------------------


def test_a_port_at_which_nobody_listens_refuses() -> None:
    port = refused_port()
    answer = ask_once(tcp(port))
    assert says(answer, Layer.CONNECT, Failure.REFUSED)
    assert answer.detail == f"connection refused by 127.0.0.1:{port}"


def test_a_listener_passes_again_and_again() -> None:
    with listener() as (_, port):
        assert all(says(answer, Layer.CONNECT, Failure.NONE) for answer in ask(probe(tcp(port)), times=5))


def test_a_listener_that_goes_and_comes_back_is_seen_to_do_so() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            with listener() as (listening, port):
                engine.set("orders/a", "1:1", (probe(tcp(port), every=20 * MILLISECOND),))
                await ear.count(3)
                listening.close()
                await ear.until(lambda: ear.of("check")[-1].failure is Failure.REFUSED)
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(("127.0.0.1", port))
                again.listen()
                await ear.until(lambda: ear.of("check")[-1].outcome is Outcome.PASSED)

    asyncio.run(main())


def test_the_service_never_sees_a_plain_tcp_check() -> None:
    with listener() as (listening, port):
        listening.setblocking(False)
        ask(probe(tcp(port), every=20 * MILLISECOND), times=10)
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        # A loop that was late by more than the delayed ACK lets one through; it is reset at once.
        with connection, pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_full_accept_queue_is_named_with_evidence() -> None:
    with full_queue() as port:
        answer = ask_once(tcp(port), timeout=SHORT)
        other = ask_once(http(port), timeout=SHORT)
    assert says(answer, Layer.CONNECT, Failure.QUEUE_FULL)
    assert (
        answer.detail
        == f"no connection to 127.0.0.1:{port} within 300ms: it accepts nothing (accept queue 1 of 0)"
    )
    assert says(other, Layer.CONNECT, Failure.QUEUE_FULL)


def test_ipv6_is_asked_like_ipv4() -> None:
    with listener(host="::1") as (_, port):
        assert all(
            says(answer, Layer.CONNECT, Failure.NONE) for answer in ask(probe(tcp(port, "::1")), times=3)
        )
    assert ask_once(tcp(port, "::1")).detail == f"connection refused by [::1]:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_found_wherever_it_listens(host: str) -> None:
    with listener(host=host) as (_, port):
        assert says(ask_once(tcp(port, "localhost")), Layer.CONNECT, Failure.NONE)
    assert says(ask_once(tcp(refused_port(), "localhost")), Layer.CONNECT, Failure.REFUSED)


def test_a_name_that_nobody_knows_is_unknown() -> None:
    answer = ask_once(tcp(80, "nobody.invalid"), timeout=2 * SECOND)
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.detail.startswith("cannot find the address of nobody.invalid: ")


def test_a_target_without_a_way_to_it_is_unreachable() -> None:
    answer = ask_once(tcp(80, "255.255.255.255"), timeout=SHORT)
    assert says(answer, Layer.CONNECT, Failure.UNREACHABLE)


def test_send_and_expect_pass_when_the_answer_contains_it() -> None:
    with server(answering(b"+PO", b"NG\r\n")) as port:
        answers = ask(probe(tcp(port, send="PING\r\n", expect="+PONG")), times=3)
    assert all(says(answer, Layer.CONTENT, Failure.NONE) for answer in answers)


def test_a_banner_is_expected_without_sending_anything() -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example ESMTP\r\n")
        silent(connection)

    with server(greet) as port:
        assert says(ask_once(tcp(port, expect="220 ")), Layer.CONTENT, Failure.NONE)


def test_an_answer_that_lacks_what_is_expected_fails_by_its_content() -> None:
    with server(answering(b"-LOADING\r\n", keeps=False)) as port:
        answer = ask_once(tcp(port, send="PING\r\n", expect="+PONG"))
    assert says(answer, Layer.CONTENT, Failure.BODY)
    assert "'-LOADING\\r\\n'" in answer.detail


def test_sending_alone_needs_no_answer() -> None:
    with server(silent) as port:
        assert says(ask_once(tcp(port, send="hello\n")), Layer.SEND, Failure.NONE)


# --- HTTP ---------------------------------------------------------------------------------------------


def test_http_passes_by_its_status_and_its_connection_is_renewed_now_and_then() -> None:
    connections: list[float] = []

    def serve(connection: socket.socket) -> None:
        connections.append(time.monotonic())
        answering(OK)(connection)

    with server(serve) as port:
        answers = ask(probe(http(port), every=20 * MILLISECOND), times=12)
    assert {answer.detail for answer in answers} == {"HTTP 200 OK"}
    assert all(says(answer, Layer.CONTENT, Failure.NONE) for answer in answers)
    assert len(connections) == 3  # twelve questions, a new connection for every fourth


def test_a_status_that_is_not_expected_fails_with_its_own_words() -> None:
    with server(answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")) as port:
        answer = ask_once(http(port))
    assert says(answer, Layer.CONTENT, Failure.STATUS)
    assert answer.detail == "HTTP 503 Service Unavailable"


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with server(answering(b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n")) as port:
        assert ask_once(http(port)).detail == "HTTP 302 Found"


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", b"hea", b"lthy"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nhea\r\n4",
            b"\r\nlthy\r\n",
            b"0\r\n\r\n",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"all is ", b"healthy"),
    ],
    ids=["length", "chunked", "until close"],
)
def test_a_body_is_found_however_it_is_delimited(pieces: tuple[bytes, ...]) -> None:
    keeps = not pieces[0].startswith(b"HTTP/1.0")
    with server(answering(*pieces, keeps=keeps)) as port:
        answers = ask(probe(http(port, expect_body="healthy"), every=20 * MILLISECOND), times=6)
        missing = ask_once(http(port, expect_body="sound"))
    assert all(says(answer, Layer.CONTENT, Failure.NONE) for answer in answers)
    assert says(missing, Layer.CONTENT, Failure.BODY)


def test_an_endless_answer_passes_by_its_status() -> None:
    def stream(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(stream) as port:
        assert ask_once(http(port)).detail == "HTTP 200 OK"
        assert says(ask_once(http(port, expect_body="y")), Layer.CONTENT, Failure.BODY)


def test_garbage_is_malformed() -> None:
    with server(answering(b"\x00\xff SSH-2.0-OpenSSH\r\n")) as port:
        assert says(ask_once(http(port)), Layer.CONTENT, Failure.MALFORMED)


def test_a_stopped_process_is_connected_to_and_does_not_answer() -> None:
    with stopped_server() as port:
        answer = ask_once(http(port), timeout=SHORT)
        knock = ask_once(tcp(port))
    assert says(answer, Layer.ANSWER, Failure.TIMED_OUT)
    assert answer.detail == "no answer within 300ms (connected; accept queue 1 of 5)"
    assert says(knock, Layer.CONNECT, Failure.NONE)  # which is why a TCP check alone is not enough


def test_half_an_answer_is_told_from_none() -> None:
    with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")) as port:
        answer = ask_once(http(port, expect_body="whole"), timeout=SHORT)
    assert says(answer, Layer.ANSWER, Failure.TIMED_OUT)
    assert answer.detail == "the answer was not complete within 300ms"


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha"], ids=["at once", "halfway"]
)
def test_a_reset_while_the_answer_is_awaited_is_a_reset(first: bytes) -> None:
    with server(partial(resetting, first=first)) as port:
        assert says(ask_once(http(port, expect_body="whole")), Layer.ANSWER, Failure.RESET)


def test_a_connection_closed_without_an_answer_is_a_reset() -> None:
    with server(answering(b"", keeps=False)) as port:
        answer = ask_once(http(port))
    assert says(answer, Layer.ANSWER, Failure.RESET)
    assert answer.detail == f"127.0.0.1:{port} closed the connection without an answer"


def test_a_kept_connection_that_fell_is_no_failure() -> None:
    with server(answering(OK, keeps=False)) as port:
        answers = ask(probe(http(port), every=20 * MILLISECOND), times=12)
    assert {answer.outcome for answer in answers} == {Outcome.PASSED}


def test_a_kept_connection_that_falls_at_the_question_is_asked_anew() -> None:
    def once(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        resetting(connection)

    with server(once) as port:
        answers = ask(probe(http(port), every=20 * MILLISECOND), times=12)
    assert {answer.outcome for answer in answers} == {Outcome.PASSED}


# --- TLS ----------------------------------------------------------------------------------------------


def https(port: int, *, host: str = "127.0.0.1", verify: bool = True) -> HttpCheck:
    return HttpCheck(host, port, tls=True, tls_verify=verify, expect_body="healthy")


def test_a_trusted_certificate_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, trusted = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with server(answering(OK), tls=tls) as port:
        answers = ask(probe(https(port), every=20 * MILLISECOND), times=6)
    assert all(says(answer, Layer.CONTENT, Failure.NONE) for answer in answers)


def test_a_certificate_that_nobody_vouches_for_fails_unless_told_otherwise(tmp_path: Path) -> None:
    tls, _ = certificate(tmp_path, "127.0.0.1")
    with server(answering(OK), tls=tls) as port:
        answer = ask_once(https(port))
        assert says(answer, Layer.TLS, Failure.CERTIFICATE)
        assert answer.detail == f"the certificate of 127.0.0.1:{port} is not trusted: self-signed certificate"
        assert says(ask_once(https(port, verify=False)), Layer.CONTENT, Failure.NONE)


def test_a_certificate_for_another_name_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, trusted = certificate(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with server(answering(OK), tls=tls) as port:
        assert says(ask_once(https(port, host="localhost")), Layer.TLS, Failure.CERTIFICATE)


def test_a_target_that_speaks_no_tls_is_malformed_or_silent() -> None:
    with server(answering(b"HTTP/1.0 400 Bad Request\r\n\r\n")) as port:
        assert says(ask_once(https(port)), Layer.TLS, Failure.MALFORMED)
    with server(silent) as port:
        assert says(ask_once(https(port), timeout=SHORT), Layer.TLS, Failure.TIMED_OUT)
    with server(resetting) as port:
        assert says(ask_once(https(port)), Layer.TLS, Failure.RESET)


# --- many ---------------------------------------------------------------------------------------------


def test_a_thousand_targets_are_asked_at_once() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            for number in range(1000):
                host = f"127.1.{number // 250}.{1 + number % 250}"
                checks: tuple[ProbePolicy, ...] = (
                    probe(tcp(port, host), "up", every=SECOND),
                    probe(tcp(refused, host), "down", every=SECOND, every_suspect=SECOND),
                )
                engine.set(f"orders/{number}", "1:1", checks)
            await ear.until(lambda: len(ear.heard) >= 4000)
            assert len({(component, name) for component, name, _, _ in ear.heard}) == 2000
            assert {answer.outcome for answer in ear.of("up")} == {Outcome.PASSED}
            assert {answer.failure for answer in ear.of("down")} == {Failure.REFUSED}

    refused = refused_port()
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen(1024)
        port = listening.getsockname()[1]
        asyncio.run(main())
