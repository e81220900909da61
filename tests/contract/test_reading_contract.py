"""Reading from standbys through a real HAProxy, and sessions that must be over in all of its workers."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.model.events import Ending
from holdfast.model.policy import Mode, Protocol, ServicePolicy
from holdfast.model.reading import ReadPolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.value import replace
from holdfast.traffic import workers
from holdfast.traffic.console import Console
from tests.contract.test_traffic_contract import slower_checks, stage
from tests.contract.traffic_stage import Stage, free_port, frozen, request, service, story, until

pytestmark = pytest.mark.e2e

IN, DRAIN, OUT = Lane.IN, Lane.DRAIN, Lane.OUT


def db(*, prefer_local: bool = False, protocol: Protocol = Protocol.TCP) -> ServicePolicy:
    members = {name: free_port() for name in "abc"}
    made = service("db", Mode.ACTIVE_STANDBY, members, protocol=protocol)
    assert made.traffic is not None
    reads = ReadPolicy("127.0.0.1", free_port(), prefer_local=prefer_local)
    return replace(made, traffic=replace(made.traffic, read_only=reads))


async def route(it: Stage, active: str, readers: str) -> None:
    """Have `active` serve and each letter of `readers` be read; a capital one drains."""
    lanes = {name: IN if name == active else OUT for name in "abc"}
    reads = {name: IN if name in readers else DRAIN if name.upper() in readers else OUT for name in "abc"}
    result = await it.traffic.route("db", Routing(active, lanes, reads))
    assert result.ending is Ending.DONE, result.error


def reading_port(it: Stage) -> int:
    traffic = it.policy.services["db"].traffic
    assert traffic is not None
    assert traffic.read_only is not None
    return traffic.read_only.listen_port


async def read_by(it: Stage, count: int = 12) -> set[str]:
    return set(Counter([await request("127.0.0.1", reading_port(it)) for _ in range(count)]))


async def until_read_by(it: Stage, *members: str) -> None:
    async def are_all() -> bool:
        return await read_by(it) == set(members)

    await until(are_all, f"reads are answered by {members}")


@asynccontextmanager
async def pinned(port: int) -> AsyncIterator[asyncio.StreamReader]:
    """Hold a session open that is never answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /hold HTTP/1.1\r\nHost: stage\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()


async def is_over(session: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(10):
            return b" 200 " not in await session.read()
    except ConnectionError:
        return True


# --- reading ------------------------------------------------------------------------------------------


@story
async def test_reads_are_spread_over_those_that_may_be_read_while_writes_go_to_the_primary(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, db()) as it:
        await route(it, "a", "bc")
        assert await it.served_by("db", count=5) == Counter({"a": 5})
        await until_read_by(it, "b", "c")
        seen = await it.seen("db")
        assert {name: each.lane for name, each in seen.readers.items()} == {"a": OUT, "b": IN, "c": IN}
        assert {name: each.lane for name, each in seen.members.items()} == {"a": IN, "b": OUT, "c": OUT}


@story
async def test_nobody_is_read_from_before_holdfast_said_who_may_be(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        assert not await read_by(it, 3) & set("abc")
        await route(it, "a", "b")
        await until_read_by(it, "b")
        it.stop_haproxy(signal.SIGKILL)
        await it.start_haproxy()
        assert not await read_by(it, 3) & set("abc"), "a HAProxy that starts anew knows nothing of lag"


@story
async def test_a_stale_standby_keeps_its_sessions_and_gets_no_new_ones_or_is_cut(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await route(it, "a", "b")
        async with pinned(reading_port(it)) as session:
            await until(lambda: has_readers(it, "b", 1), "b has a session")
            await route(it, "a", "Bc")
            await until_read_by(it, "c")
            assert await has_readers(it, "b", 1)
            assert not session.at_eof()
            await route(it, "a", "c")
            assert await is_over(session)
            assert await has_readers(it, "b", 0)


@story
async def test_the_local_standby_comes_first_where_that_is_wanted(tmp_path: Path) -> None:
    async with stage(tmp_path, db(prefer_local=True)) as it:
        await route(it, "a", "bc")
        await until_read_by(it, "b")
        it.kill("b")
        await until_read_by(it, "c")


@story
async def test_who_is_read_stays_so_through_reloads_and_after_holdfast_left(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await route(it, "a", "b")
        await until_read_by(it, "b")
        it.policy = slower_checks(it.policy)
        assert (await it.traffic.configure(it.policy)).ending is Ending.DONE
        assert await read_by(it) == {"b"}
        await it.traffic.release()
        await it.until_up("db", "a", "b", "c")  # HAProxy alone may fail over
        assert await read_by(it) == {"b"}, "but it does not know how old anybody's data is"


async def has_readers(it: Stage, member: str, count: int) -> bool:
    return (await it.seen("db")).readers[member].sessions == count


# --- a deposed primary --------------------------------------------------------------------------------


async def reloaded(it: Stage) -> None:
    it.policy = slower_checks(it.policy)
    result = await it.traffic.configure(it.policy)
    assert result.ending is Ending.DONE, result.error


async def old_workers(it: Stage) -> tuple[int, ...]:
    console = Console(it.directory / "haproxy" / "master.sock")
    try:
        (said,) = await console.ask("show proc")
        return workers.parse_workers(said).old
    finally:
        console.drop()


@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_a_deposed_primarys_sessions_are_over_in_every_worker_when_the_route_is_confirmed(
    tmp_path: Path, protocol: Protocol
) -> None:
    async with stage(tmp_path, db(protocol=protocol)) as it:
        await route(it, "a", "abc")
        async with pinned(it.port("db")) as first:
            await until_sessions(it, "a", 1)
            await reloaded(it)
            async with pinned(it.port("db")) as second:
                await until_sessions(it, "a", 2)
                await reloaded(it)
                async with pinned(it.port("db")) as third, pinned(reading_port(it)) as fourth:
                    await until_sessions(it, "a", 3)
                    assert len(await old_workers(it)) == 2
                    await route(it, "b", "c")
                    # Nothing is waited for here: that it is confirmed says that they are over.
                    seen = await it.seen("db")
                    assert (seen.members["a"].sessions, seen.readers["a"].sessions) == (0, 0)
                    assert await is_over(first)
                    assert await is_over(second)
                    if protocol is Protocol.TCP:  # a GET is tried anew with the next one
                        assert await is_over(third)
                        assert await is_over(fourth)


@story
async def test_an_old_worker_that_sleeps_on_a_deposed_primarys_session_is_ended(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await route(it, "a", "bc")
        async with pinned(it.port("db")) as session:
            await until_sessions(it, "a", 1)
            await reloaded(it)
            (worker,) = await old_workers(it)
            with frozen(worker):
                await route(it, "b", "c")
                assert await is_over(session)
                assert not await old_workers(it)


async def until_sessions(it: Stage, member: str, count: int) -> None:
    async def are_so_many() -> bool:
        return (await it.member("db", member)).sessions == count

    await until(are_so_many, f"{member} has {count} sessions")
