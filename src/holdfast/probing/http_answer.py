"""Reading one HTTP/1.1 answer, byte by byte if it must be.

Made for asking, not for browsing: the status counts as soon as its line is there, only the first 64 KiB of
the body are kept, and of the headers only those that say where the body ends. Whatever comes in, nothing is
raised: what is not HTTP leaves a `fault`.

The common answer, whole in one piece, takes two regular expressions and no loop over its headers: this
runs tens of thousands of times a second.
"""

import re

HEAD_MAX = 64 * 1024
BODY_MAX = 64 * 1024

# What is being read. Plain numbers: comparing members of an Enum costs ten times as much, and it is done a lot.
_HEAD, _LENGTH, _CHUNK_SIZE, _CHUNK, _CHUNK_END, _TRAILER, _UNTIL_CLOSE, _COMPLETE = range(8)

_WHOLE_HEAD = re.compile(rb"(HTTP/1\.([01]) (\d{3})(?: ([^\r\n]*))?)(\r?\n(?:[^\r\n]+\r?\n)*)\r?\n")
_STATUS_LINE = re.compile(rb"(HTTP/1\.([01]) (\d{3})(?: ([^\r\n]*))?)\r?\n")
_HEADERS = re.compile(rb"\n(connection|content-length|transfer-encoding):[ \t]*([^\r\n]*)")  # in lower case
_LENGTH_VALUE = re.compile(rb"\d{1,16}")
_SIZE_VALUE = re.compile(rb"[0-9a-fA-F]{1,16}")
_CHUNK_LINE_MAX = 4096  # a chunk's size with its extensions, or a trailer


class HttpAnswer:
    """One answer as far as it has come."""

    __slots__ = (
        "_buffer",
        "_has_body",
        "_left",
        "_part",
        "body",
        "fault",
        "is_complete",
        "is_kept",
        "line",
        "status",
    )

    def __init__(self, *, has_body: bool) -> None:
        self._has_body = has_body  # an answer to HEAD has none whatever its headers say
        self._buffer = b""
        self._left = 0
        self._part = _HEAD
        self.status = 0  # 0: its line has not come yet
        self.line = b""  # the status line
        self.body = bytearray()  # the first BODY_MAX bytes
        self.fault = ""  # not HTTP, and why
        self.is_complete = False  # nothing more is to come
        self.is_kept = False  # the connection may be used again once the answer is complete

    @property
    def has_begun(self) -> bool:
        """Tell whether anything came at all."""
        return bool(self._buffer) or self._part != _HEAD

    @property
    def reason(self) -> str:
        """Return the words after the status."""
        return self.line[13:].decode("latin-1").strip()

    def feed(self, data: bytes) -> None:
        """Read on."""
        self._buffer = self._buffer + data if self._buffer else data
        while not self.is_complete and not self.fault and self._step():
            pass

    def close(self) -> None:
        """Learn that the other side closed: the end of a body without length."""
        if self._part == _UNTIL_CLOSE:
            self._end()

    def _step(self) -> bool:
        """Read the next part; return whether there may be more to read in what has come."""
        part = self._part
        if part == _HEAD:
            return self._read_head()
        if part in (_LENGTH, _CHUNK):
            return self._read_body()
        if part == _UNTIL_CLOSE:
            self._keep(self._buffer)
            self._buffer = b""
            return False
        return self._read_chunk_line()

    def _end(self) -> None:
        self._part = _COMPLETE
        self.is_complete = True

    def _read_head(self) -> bool:
        head = _WHOLE_HEAD.match(self._buffer)
        if head is None:
            self._read_half_head()
            return False
        line, version, status, _, headers = head.groups()
        self._buffer = self._buffer[head.end() :]
        number = int(status)
        if number < 200 and number != 101:
            return True  # an interim answer: the real one follows
        self.status, self.line = number, line
        self._plan_body(headers, is_kept=version == b"1")
        return True

    def _read_half_head(self) -> None:
        """Take the status from a head that is not whole yet, and see early what is not HTTP."""
        buffer = self._buffer
        match = _STATUS_LINE.match(buffer)
        if match is not None:
            number = int(match[3])
            if number >= 200 or number == 101:
                self.status, self.line = number, match[1]
        elif b"\n" in buffer or not b"HTTP/1.".startswith(buffer[:7]):
            self.fault = f"{_show(buffer)} instead of an HTTP status line"
        if len(buffer) > HEAD_MAX:
            self.fault = "a head of more than 64 KiB"

    def _plan_body(self, headers: bytes, *, is_kept: bool) -> None:
        """Learn from the headers where the body ends."""
        length = coding = connection = None
        for name, value in _HEADERS.findall(headers.lower()):
            match len(name):  # which of the three it is
                case 10:
                    connection = value
                case 14:
                    length = value.strip()
                case _:
                    coding = value.strip()
        if connection is not None:
            is_kept = b"keep-alive" in connection or (is_kept and b"close" not in connection)
        self.is_kept = is_kept
        if not self._has_body or self.status in (101, 204, 304):
            self.is_kept = is_kept and self.status != 101  # that speaks another language from here on
            self._end()
        elif coding is not None and coding.endswith(b"chunked"):
            self._part = _CHUNK_SIZE
        elif length is not None and coding is None:
            if not _LENGTH_VALUE.fullmatch(length):
                self.fault = f"a Content-Length of {_show(length)}"
                return
            self._left = int(length)
            self._part = _LENGTH
        else:
            self.is_kept = False
            self._part = _UNTIL_CLOSE

    def _read_body(self) -> bool:
        piece = self._buffer[: self._left]
        self._keep(piece)
        self._buffer = self._buffer[len(piece) :]
        self._left -= len(piece)
        if self._left:
            return False
        if self._part == _LENGTH:
            self._end()
        else:
            self._part = _CHUNK_END
        return True

    def _read_chunk_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            if len(line) > _CHUNK_LINE_MAX:
                self.fault = "a chunk without size"
            return False
        self._buffer = rest
        line = line.strip()
        if self._part == _CHUNK_END:
            self._part = _CHUNK_SIZE
            if line:
                self.fault = "a chunk longer than its size"
        elif self._part == _TRAILER:
            if not line:
                self._end()
        else:
            self._read_chunk_size(line.partition(b";")[0].strip())
        return True

    def _read_chunk_size(self, digits: bytes) -> None:
        if not _SIZE_VALUE.fullmatch(digits):
            self.fault = f"a chunk of size {_show(digits)}"
            return
        self._left = int(digits, 16)
        self._part = _CHUNK if self._left else _TRAILER

    def _keep(self, piece: bytes) -> None:
        if len(self.body) < BODY_MAX:
            self.body += piece[: BODY_MAX - len(self.body)]


def _show(some: bytes) -> str:
    return ascii(some[:40].decode("latin-1"))
