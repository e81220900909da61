"""One question over a new connection, with a time limit that holds whatever the server does.

A connection that is kept hides a postmaster that hangs, so each question opens its own. The driver's own time limits
begin too late or wait for the server (a cancellation is a connection too), so this uses libpq's non-blocking calls:
when the time is over, the socket is closed and nobody is asked. Names are looked up before, as libpq would block for that.
"""

import asyncio
import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Final, TypeAlias

from psycopg import OperationalError, pq

from holdfast.model.time import SECOND, Duration
from holdfast.postgresql.faults import Fault, Unanswered, fault_of

Row: TypeAlias = tuple[str | None, ...]
Statement: TypeAlias = str | tuple[str, Sequence[str]]  # with arguments for $1, $2, ...

_GOOD: Final = {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY}
_PROTOCOL: Final = 196608  # 3.0
_PORT: Final = "5432"  # libpq's own default
_FULL: Final = ("too many clients", "connection slots")  # as servers that speak English say it
_KNOCK_WITHIN: Final = 0.25  # seconds for the second look at a connection that failed


def conninfo(**settings: str | int | None) -> str:
    """Return the settings as libpq takes them, each value quoted; None is left out."""
    return " ".join(f"{name}={_quote(str(value))}" for name, value in settings.items() if value is not None)


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def ask(target: str, *statements: Statement, within: Duration) -> list[list[Row]]:
    """Return the rows of each statement, all asked over one new connection within `within` altogether.

    Unanswered tells why there is no answer. A statement stands alone: each is committed by itself.
    """
    answers: list[list[Row]] = []
    connection: pq.abc.PGconn | None = None
    try:
        async with asyncio.timeout(within / SECOND):
            target = await _with_addresses(target)
            connection = pq.PGconn.connect_start(target.encode())
            await _connect(connection, target)
            for statement in statements:
                answers += [await _answer(connection, statement)]
            return answers
    except OperationalError as error:  # libpq's calls raise it for a connection that broke
        raise Unanswered(Fault.BROKEN, _one_line(str(error))) from None
    except TimeoutError:
        stage = "connection" if not answers and not _is_open(connection) else "question"
        raise Unanswered(Fault.SILENT, f"no answer to a new {stage} within {within / SECOND:g}s") from None
    finally:
        if connection is not None:
            connection.finish()


def _is_open(connection: pq.abc.PGconn | None) -> bool:
    return connection is not None and connection.status == pq.ConnStatus.OK


async def _connect(connection: pq.abc.PGconn, target: str) -> None:
    state = pq.PollingStatus.WRITING
    while True:
        if connection.status == pq.ConnStatus.BAD:
            raise await _why(connection, target)
        match state:
            case pq.PollingStatus.OK:
                break
            case pq.PollingStatus.FAILED:
                raise await _why(connection, target)
            case pq.PollingStatus.READING:
                await _until_ready(connection.socket, writing=False)
            case _:
                await _until_ready(connection.socket, writing=True)
        state = pq.PollingStatus(connection.connect_poll())
    connection.nonblocking = 1


async def _answer(connection: pq.abc.PGconn, statement: Statement) -> list[Row]:
    if isinstance(statement, str):
        connection.send_query(statement.encode())
    else:
        connection.send_query_params(statement[0].encode(), [value.encode() for value in statement[1]])
    while connection.flush():
        await _until_ready(connection.socket, writing=True)
    rows: list[Row] = []
    failed: Unanswered | None = None
    while True:
        while connection.is_busy():
            await _until_ready(connection.socket, writing=False)
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            break
        if result.status not in _GOOD:
            failed = failed or _failure(connection, result)
            if connection.status == pq.ConnStatus.BAD:
                break
        rows = _rows(result)
        result.clear()
    if failed is not None:
        raise failed
    return rows


def _rows(result: pq.abc.PGresult) -> list[Row]:
    return [
        tuple(
            None if (value := result.get_value(row, column)) is None else value.decode("utf-8", "replace")
            for column in range(result.nfields)
        )
        for row in range(result.ntuples)
    ]


def _failure(connection: pq.abc.PGconn, result: pq.abc.PGresult) -> Unanswered:
    code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    text = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
    said = text.decode("utf-8", "replace") if text else result.get_error_message()
    if not code:
        return Unanswered(Fault.BROKEN, _one_line(said or connection.get_error_message()))
    return Unanswered(fault_of(code), _one_line(said), code)


async def _until_ready(socket: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    if writing:
        loop.add_writer(socket, _set, ready)
    else:
        loop.add_reader(socket, _set, ready)
    try:
        await ready
    finally:
        if writing:
            loop.remove_writer(socket)
        else:
            loop.remove_reader(socket)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _words(target: str) -> dict[str, str]:
    return {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(target.encode())
        if option.val is not None
    }


# --- names ----------------------------------------------------------------------------------------------


async def _with_addresses(target: str) -> str:
    """Return `target` with the addresses of the name in it. libpq would ask a resolver that hangs while all of us wait."""
    words = _words(target)
    host = words.get("host", "/")
    if "hostaddr" in words or "," in host or not _is_name(host):
        return target
    try:
        addresses = await _look_up(host, words.get("port", _PORT))
    except (OSError, UnicodeError) as error:
        raise Unanswered(Fault.REFUSED, f"the address of {host} is not known: {error}") from None
    # The last word counts. libpq wants as many names as addresses.
    return f"{target} {conninfo(host=','.join([host] * len(addresses)), hostaddr=','.join(addresses))}"


def _is_name(host: str) -> bool:
    if host.startswith("/"):
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False


async def _look_up(host: str, port: str) -> list[str]:
    """Return the addresses of a name; OSError, UnicodeError. In a thread of its own, which may hang: others are needed."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def look() -> None:
        error: Exception | None = None
        addresses: list[str] = []
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, addresses, error)

    def settle(addresses: list[str], error: Exception | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses)

    threading.Thread(target=look, name=f"address of {host}", daemon=True).start()
    return await found


# --- the code of a connection that failed ---------------------------------------------------------------


async def _why(connection: pq.abc.PGconn, target: str) -> Unanswered:
    """Return why there is no connection. libpq has the text; the code is asked for once more."""
    said = _one_line(connection.get_error_message())
    try:
        async with asyncio.timeout(_KNOCK_WITHIN):
            code = await _knock(target)
    except TimeoutError:
        return Unanswered(Fault.SILENT, said)
    except BlockingIOError:
        return Unanswered(Fault.SILENT, f"its queue of new connections is full: {said}")
    except OSError:
        return Unanswered(Fault.REFUSED, said)
    except EOFError:
        return Unanswered(Fault.BROKEN, said)
    if not code and any(words in said for words in _FULL):
        code = "53300"  # a place has become free since
    # Let in, or asked who we are: then it is the authentication that failed.
    return Unanswered(fault_of(code) if code else Fault.DENIED, said, code)


async def _knock(target: str) -> str:
    """Ask to be let in, and return the SQLSTATE of the refusal; empty: it asks for a password, or lets us in."""
    words = _words(target)
    host = words["hostaddr"].partition(",")[0] if "hostaddr" in words else words.get("host", "/tmp")  # noqa: S108 - libpq's own default
    port = int(words.get("port", _PORT))
    if host.startswith("/"):
        reading, writing = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    else:
        reading, writing = await asyncio.open_connection(host, port)
    try:
        pairs = [("user", words.get("user", "")), ("database", words.get("dbname", ""))]
        if "replication" in words:
            pairs.append(("replication", words["replication"]))
        content = b"".join(f"{name}\0{value}\0".encode() for name, value in pairs) + b"\0"
        writing.write(struct.pack("!II", len(content) + 8, _PROTOCOL) + content)
        while True:
            kind = await reading.readexactly(1)
            (length,) = struct.unpack("!I", await reading.readexactly(4))
            body = await reading.readexactly(length - 4)
            if kind == b"E":
                fields = (field for field in body.split(b"\0") if field)
                return next((field[1:].decode() for field in fields if field[:1] == b"C"), "")
            # R with 0 is "you are in", and the refusal may still come; with anything else it asks for proof.
            if kind == b"Z" or (kind == b"R" and body[:4] != b"\0\0\0\0"):
                return ""
    finally:
        writing.close()
