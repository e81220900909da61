"""Reading HTTP answers: whole, in pieces, wrong, and anything else that bytes can be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.probing.http_answer import BODY_MAX, HEAD_MAX, HttpAnswer

LENGTH = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 7\r\n\r\nhealthy"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
    b"3;name=value\r\nhea\r\n4\r\nlthy\r\n0\r\nTrailer: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhealthy"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + LENGTH


def read(*pieces: bytes, has_body: bool = True) -> HttpAnswer:
    answer = HttpAnswer(has_body=has_body)
    for piece in pieces:
        answer.feed(piece)
    return answer


@pytest.mark.parametrize("whole", [LENGTH, CHUNKED, INTERIM])
def test_an_answer_is_read_alike_in_one_piece_and_in_single_bytes(whole: bytes) -> None:
    for pieces in ([whole], [whole[i : i + 1] for i in range(len(whole))]):
        answer = read(*pieces)
        assert (answer.status, answer.reason, bytes(answer.body)) == (200, "OK", b"healthy")
        assert answer.is_complete
        assert answer.is_kept
        assert not answer.fault


def test_a_body_without_length_ends_with_the_connection() -> None:
    answer = read(UNTIL_CLOSE)
    was_complete = answer.is_complete
    answer.close()
    assert (was_complete, answer.is_complete, answer.is_kept) == (False, True, False)
    assert bytes(answer.body) == b"healthy"


def test_the_status_counts_before_the_head_is_whole() -> None:
    answer = read(b"HTTP/1.1 503 Go away\r\nServer: slow")
    assert (answer.status, answer.reason) == (503, "Go away")
    assert not answer.is_complete


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\nCONNECTION:Close", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.1 204 No Content", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9", True),
        (b"HTTP/1.1 101 Switching Protocols", False),
    ],
)
def test_a_connection_is_kept_as_the_head_says(head: bytes, is_kept: bool) -> None:
    answer = read(head + b"\r\n\r\n")
    assert answer.is_complete
    assert answer.is_kept is is_kept


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", has_body=False).is_complete


def test_a_reason_may_be_missing_and_lines_may_end_in_a_bare_newline() -> None:
    assert read(b"HTTP/1.1 200\r\n\r\n").status == 200
    answer = read(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
    assert (answer.status, answer.reason, bytes(answer.body), answer.is_complete) == (200, "OK", b"ok", True)


def test_only_the_first_64_kib_of_a_body_are_kept() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x" * 100_000)
    assert answer.is_complete
    assert len(answer.body) == BODY_MAX


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x00\xffSSH", r"'\x00\xffSSH' instead of an HTTP status line"),
        (b"HTTP/2 200\r\n\r\n", r"'HTTP/2 200\r\n\r\n' instead of an HTTP status line"),
        (b"HTTP/1.1 20 OK\r\n", r"'HTTP/1.1 20 OK\r\n' instead of an HTTP status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "a Content-Length of 'ten'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "a Content-Length of '-1'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", "a chunk of size 'hello'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "a chunk longer than its size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000, "a chunk without size"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MAX, "a head of more than 64 KiB"),
    ],
)
def test_what_is_not_http_leaves_a_fault(data: bytes, fault: str) -> None:
    answer = read(data)
    assert answer.fault == fault
    assert not answer.is_complete


def test_a_host_that_is_not_http_is_seen_before_its_first_line_ends() -> None:
    assert read(b"220 mail.example ").fault


HTTP_LIKE = st.lists(
    st.sampled_from(
        [b"HTTP/1.1 200 OK", b"\r\n", b"\n", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"0", b"5"]
    )
    | st.binary(max_size=8)
).map(b"".join)


@given(st.lists(st.binary() | HTTP_LIKE), st.booleans())
def test_reading_never_raises(pieces: list[bytes], has_body: bool) -> None:
    answer = read(*pieces, has_body=has_body)
    answer.close()
    assert isinstance(answer.reason, str)
    assert not (answer.is_complete and answer.fault)


@given(HTTP_LIKE, st.lists(st.integers(min_value=0, max_value=200)))
def test_where_the_pieces_were_cut_makes_no_difference(whole: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    one = read(whole)
    other = read(*(whole[a:b] for a, b in pairwise(edges) if a != b))
    assert (one.status, one.is_complete, one.is_kept, one.body) == (
        other.status,
        other.is_complete,
        other.is_kept,
        other.body,
    )
    assert bool(one.fault) == bool(other.fault)
