"""What is asked, and what the answers mean, without a socket."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.observation import Failure, Layer, Outcome
from holdfast.model.policy import HttpCheck, TcpCheck
from holdfast.probing.dialogue import HEARD_MAX, Banner
from holdfast.probing.http_exchange import TAIL_MAX, HttpExchange, request

WHERE = "127.0.0.1:80"


def test_a_request_names_its_host_and_keeps_the_connection() -> None:
    assert request(HttpCheck("db.example", 8080, "/health")) == (
        b"GET /health HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: holdfast\r\n"
        b"Accept: */*\r\nConnection: keep-alive\r\n\r\n"
    )


def test_a_host_header_has_no_standard_port_and_brackets_for_ipv6() -> None:
    assert b"\r\nHost: [::1]\r\n" in request(HttpCheck("::1", 443, tls=True))
    assert b"\r\nHost: a:443\r\n" in request(HttpCheck("a", 443))


def test_the_operators_headers_replace_ours_whatever_their_case() -> None:
    made = request(HttpCheck("a", 80, headers={"host": "orders.example", "X-Probe": "1"}))
    assert made.count(b"ost:") == 1
    assert b"\r\nhost: orders.example\r\n" in made
    assert b"\r\nX-Probe: 1\r\n" in made


def test_nothing_in_a_check_can_end_a_line_of_the_request_early() -> None:
    made = request(HttpCheck("a", 80, "/x\r\nEvil: 1", headers={"A": "b\r\nEvil: 2"}))
    assert b"\r\nEvil" not in made
    assert made.startswith(b"GET /x%0D%0AEvil:%201 HTTP/1.1\r\n")


def test_a_body_is_searched_across_pieces() -> None:
    exchange = HttpExchange(HttpCheck("a", 80, expect_body="healthy"))
    exchange.begin()
    assert exchange.heard(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall is hea") is None
    verdict = exchange.heard(b"lthy")
    assert verdict is not None
    assert verdict.outcome is Outcome.PASSED
    assert not exchange.is_over  # the tail is heard out before the connection is used again


def test_the_verdict_does_not_wait_for_a_body_that_nobody_asked_for() -> None:
    exchange = HttpExchange(HttpCheck("a", 80))
    exchange.begin()
    verdict = exchange.heard(b"HTTP/1.1 200 OK\r\nContent-Le")
    assert verdict is not None
    assert verdict.detail == "HTTP 200 OK"
    assert exchange.heard(b"ngth: 2\r\n\r\nok") is None
    assert exchange.is_over
    assert exchange.may_go_on


def test_a_tail_without_end_is_not_heard_out() -> None:
    exchange = HttpExchange(HttpCheck("a", 80))
    exchange.begin()
    exchange.heard(b"HTTP/1.1 200 OK\r\n\r\n")
    exchange.heard(b"x" * (TAIL_MAX + 1))
    assert exchange.is_over
    assert not exchange.may_go_on


def test_each_answer_is_judged_by_itself() -> None:
    exchange = HttpExchange(HttpCheck("a", 80, expect_body="yes"))
    outcomes = []
    for status, body in ((b"200 OK", b"yes"), (b"500 No", b"yes"), (b"200 OK", b"not"), (b"200 OK", b"yes")):
        exchange.begin()
        verdict = exchange.heard(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\n\r\n" + body)
        assert verdict is not None
        outcomes.append((verdict.outcome, verdict.failure))
    assert outcomes == [
        (Outcome.PASSED, Failure.NONE),
        (Outcome.FAILED, Failure.STATUS),
        (Outcome.FAILED, Failure.BODY),
        (Outcome.PASSED, Failure.NONE),
    ]


def test_a_close_in_the_middle_of_a_body_is_a_reset_if_the_body_is_needed() -> None:
    exchange = HttpExchange(HttpCheck("a", 80, expect_body="yes"))
    exchange.begin()
    exchange.heard(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nno")
    verdict = exchange.ended(WHERE)
    assert (verdict.layer, verdict.failure) == (Layer.ANSWER, Failure.RESET)


def test_a_banner_is_looked_for_in_the_first_64_kib_only() -> None:
    banner = Banner(TcpCheck("a", 1, expect="needle"))
    banner.begin()
    assert banner.heard(b"x" * (HEARD_MAX - 3)) is None
    verdict = banner.heard(b"needle")
    assert verdict is not None
    assert verdict.failure is Failure.BODY


@given(st.lists(st.binary(min_size=1)), st.text(max_size=3))
def test_no_answer_upsets_a_dialogue(pieces: list[bytes], expect: str) -> None:
    for dialogue in (
        HttpExchange(HttpCheck("a", 80, expect_body=expect)),
        Banner(TcpCheck("a", 1, "hi", expect or "x")),
    ):
        dialogue.begin()
        verdict = dialogue.sent()
        for piece in pieces:
            if not dialogue.is_over:
                verdict = dialogue.heard(piece) or verdict
        if verdict is None:
            verdict = dialogue.ended(WHERE)
        assert verdict.detail
