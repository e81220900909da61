"""Connections as clients of the lab have them, and how sure a client may be that what failed has not happened.

They use none of what holdfast asks servers with: what judges it must not share its faults.
"""

import asyncio
from typing import Protocol

import msgspec
from psycopg import OperationalError, pq

from tests.lab.database_history import Outcome


class Where(msgspec.Struct, frozen=True):
    """Where a client connects to, and which hosts have which addresses, as the answer names an address."""

    address: str
    port: int
    user: str = "app"
    password: str = "app"
    options: str = ""  # more of the connection string
    hosts: dict[str, str] = {}  # address to name
    inside: str = ""  # the network namespace of who connects; empty: where the process is


class Who(msgspec.Struct, frozen=True):
    """Who answered, and under which reign."""

    host: str = ""
    reign: int = 0


class NotDone(Exception):  # noqa: N818 - it is an answer: the service is as it is
    """It was not done, or nobody knows. `is_elsewhere`: another server may do it."""

    def __init__(self, outcome: Outcome, why: str, *, is_elsewhere: bool = False) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.is_elsewhere = is_elsewhere


class Session(Protocol):
    """One connection. Each call raises `NotDone`; whoever stops waiting for one has to close it."""

    async def append(self, client: str, number: int) -> Who: ...
    async def read(self, key: int) -> tuple[int, Who]: ...
    async def write(self, key: int, value: int) -> Who: ...
    async def swap(self, key: int, expected: int, value: int) -> tuple[bool, Who]: ...
    async def sample(self, host: str) -> tuple[int, int]: ...
    def close(self) -> None: ...


async def open_postgresql(where: Where) -> "PostgresSession":
    """Connect. Nothing was sent that could have been done if it raises `NotDone`."""
    words = f"host='{where.address}' port={where.port} user={where.user} password={where.password}"
    target = f"{words} dbname=postgres sslmode=disable options='{where.options}'"
    return PostgresSession(await connected(target), where.hosts)


# --- PostgreSQL ---------------------------------------------------------------------------------------

REGISTERS = (1, 2, 3)
SCHEMA = """
create table appended (place bigint generated always as identity, client text, number bigint);
create table registers (key int primary key, value bigint);
insert into registers values (1, 0), (2, 0), (3, 0);
create table sampled (host text);
create role app login password 'app';
grant all on appended, registers, sampled to app;
"""
LISTING = "select client, number from appended order by place"
REIGN = "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int"
_FOLLOWERS = "(select count(*) from pg_stat_replication where state = 'streaming')"
_WHO = f"host(inet_server_addr()), {REIGN}"
# The server took the statement, and refused it before it did anything: read-only, no room, no right, no such thing.
_REFUSALS = ("25006", "53", "28", "42", "23")
_GOOD = {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}


class PostgresSession:
    """One connection to a PostgreSQL server."""

    def __init__(self, connection: pq.abc.PGconn, hosts: dict[str, str]) -> None:
        self._connection = connection
        self._hosts = hosts

    async def append(self, client: str, number: int) -> Who:
        return self._who(
            await self.ask(
                f"insert into appended (client, number) values ($1, $2) returning {_WHO}", client, number
            )
        )

    async def read(self, key: int) -> tuple[int, Who]:
        rows = await self.ask(f"select {_WHO}, value from registers where key = $1", key)
        return int(rows[0][2]), self._who(rows)

    async def write(self, key: int, value: int) -> Who:
        return self._who(
            await self.ask(f"update registers set value = $2 where key = $1 returning {_WHO}", key, value)
        )

    async def swap(self, key: int, expected: int, value: int) -> tuple[bool, Who]:
        # One statement: it waits for the row, and looks at what stands there then.
        changed = await self.ask(
            f"with changed as (update registers set value = $3 where key = $1 and value = $2 returning key) "
            f"select {_WHO}, count(*) from changed",
            key,
            expected,
            value,
        )
        return changed[0][2] == "1", self._who(changed)

    async def sample(self, host: str) -> tuple[int, int]:
        """Write for the sampler; return the reign, and how many follow."""
        rows = await self.ask(f"insert into sampled (host) values ($1) returning {REIGN}, {_FOLLOWERS}", host)
        return int(rows[0][0]), int(rows[0][1])

    async def ask(self, statement: str, *arguments: str | int) -> list[list[str]]:
        """Return the rows of a statement that is committed by itself."""
        warnings: list[str] = []
        connection = self._connection
        connection.notice_handler = lambda notice: warnings.append(notice.get_error_message())
        try:
            connection.send_query_params(
                statement.encode(), [str(argument).encode() for argument in arguments]
            )
            while connection.flush():
                await until_ready(connection.socket, writing=True)
            results = []
            while True:
                while connection.is_busy():
                    await until_ready(connection.socket, writing=False)
                    connection.consume_input()
                result = connection.get_result()
                if result is None:
                    break
                results.append(result)
        except OperationalError as error:  # the connection broke
            raise NotDone(Outcome.UNKNOWN, _line(str(error)), is_elsewhere=True) from None
        for result in results:
            if result.status not in _GOOD:
                raise _refusal(result)
        if warnings or not results:
            # Such as: committed here, and the wait for standbys was cancelled. That is no acknowledgement.
            raise NotDone(Outcome.UNKNOWN, _line("; ".join(warnings)) or "no result", is_elsewhere=True)
        return _rows(results[-1])

    def close(self) -> None:
        self._connection.finish()

    def _who(self, rows: list[list[str]]) -> Who:
        address, reign = rows[0][:2]
        return Who(self._hosts.get(address, address), int(reign))


async def connected(target: str) -> pq.abc.PGconn:
    """Return a new connection."""
    connection = pq.PGconn.connect_start(target.encode())
    is_open = False
    try:
        state = pq.PollingStatus.WRITING
        while state is not pq.PollingStatus.OK:
            if pq.PollingStatus.FAILED is state or connection.status == pq.ConnStatus.BAD:
                why = _line(connection.get_error_message())
                raise NotDone(Outcome.FAILED, why, is_elsewhere=True)
            await until_ready(connection.socket, writing=state is pq.PollingStatus.WRITING)
            state = pq.PollingStatus(connection.connect_poll())
        connection.nonblocking = 1
        is_open = True
    except OperationalError as error:
        raise NotDone(Outcome.FAILED, _line(str(error)), is_elsewhere=True) from None
    finally:
        if not is_open:
            connection.finish()
    return connection


def _refusal(result: pq.abc.PGresult) -> NotDone:
    code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    outcome = Outcome.FAILED if code.startswith(_REFUSALS) else Outcome.UNKNOWN
    return NotDone(
        outcome,
        f"{code} {_line(result.get_error_message())}".strip(),
        is_elsewhere=not code.startswith(("42", "23")),
    )


def _rows(result: pq.abc.PGresult) -> list[list[str]]:
    return [
        [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]


async def until_ready(socket: int, *, writing: bool) -> None:
    """Wait until a socket can be read, or written to."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(socket, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(socket)


def _line(text: str) -> str:
    return " ".join(text.split())
