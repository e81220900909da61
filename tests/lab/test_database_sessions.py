"""The lab's clients, against real servers: what they call acknowledged, failed and unknown."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.postgresql import running
from holdfast.postgresql.instance import Instance
from tests.contract.postgresql.stage import Stage, free_port, play, query, settings, until
from tests.contract.postgresql.stage import signal_everything as signal_all
from tests.lab.database_history import Outcome
from tests.lab.database_sessions import SCHEMA, NotDone, PostgresSession, Where, Who, open_postgresql
from tests.lab.redis_sessions import RedisSession, open_redis


async def outcome(question: Awaitable[Any], within_s: float = 20.0) -> Outcome:
    """Return what a client would write down."""
    try:
        async with asyncio.timeout(within_s):
            await question
    except NotDone as refusal:
        return refusal.outcome
    except TimeoutError:
        return Outcome.UNKNOWN
    return Outcome.ACKNOWLEDGED


async def says(instance: Instance, question: str) -> bool:
    return bool(await query(instance, question))


# --- PostgreSQL ---------------------------------------------------------------------------------------


async def connected(stage: Stage) -> PostgresSession:
    """Return a session on a primary with the schema, which is the stage's first instance."""
    a = await stage.primary("a")
    await query(a, *(statement for statement in SCHEMA.split(";") if statement.strip()))
    return await open_postgresql(Where(str(a.beside), a.port, user="postgres"))


def test_postgresql_acknowledges_and_tells_its_timeline() -> None:
    async def story(stage: Stage) -> None:
        session = await connected(stage)
        assert await session.append("a", 1) == Who("", 1)
        await session.write(1, 7)
        assert await session.read(1) == (7, Who("", 1))
        assert await session.swap(1, 7, 8) == (True, Who("", 1))
        assert await session.swap(1, 7, 9) == (False, Who("", 1))
        assert await session.sample("h1") == (1, 0)
        session.close()

    play(story)


def test_what_a_read_only_server_refuses_has_failed() -> None:
    async def story(stage: Stage) -> None:
        session = await connected(stage)
        await session.ask("set default_transaction_read_only = on")
        assert await outcome(session.append("a", 1)) is Outcome.FAILED
        session.close()

    play(story)


def test_what_a_killed_server_did_last_is_unknown() -> None:
    async def story(stage: Stage) -> None:
        session = await connected(stage)
        signal_all(stage.instances[0], signal.SIGKILL)
        assert await outcome(session.append("a", 1)) is Outcome.UNKNOWN
        session.close()
        with pytest.raises(NotDone) as refused:
            await open_postgresql(Where("127.0.0.1", stage.instances[0].port))
        assert refused.value.outcome is Outcome.FAILED

    play(story)


def test_a_commit_whose_wait_for_standbys_was_cancelled_is_unknown() -> None:
    async def story(stage: Stage) -> None:
        session = await connected(stage)
        a = stage.instances[0]
        await running.follow(a, settings(synchronous="nobody"))
        named = "select 1 from pg_settings where name = 'synchronous_standby_names' and setting <> ''"
        await until(lambda: says(a, named))
        waiting = asyncio.create_task(outcome(session.append("a", 1)))
        cancel = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
        await until(lambda: says(a, cancel))
        assert await waiting is Outcome.UNKNOWN
        assert await query(a, "select number from appended") == [("1",)], "it was committed all the same"
        session.close()

    play(story)


# --- Redis --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[tuple[Where, "subprocess.Popen[bytes]"]]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no Redis on this host: tools/bootstrap installs it")
    port = free_port()
    command = [
        "redis-server",
        "--port",
        str(port),
        "--dir",
        str(folder),
        "--requirepass",
        "lab",
        "--save",
        "",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen([*command, *options], stdout=log) as server:
        try:
            yield Where("127.0.0.1", port, password="lab", hosts={"127.0.0.1": "h1"}), server
        finally:
            server.kill()


async def opened(where: Where) -> RedisSession:
    """Return a session once the server is up."""
    end = asyncio.get_running_loop().time() + 30
    while True:
        try:
            return await open_redis(where)
        except NotDone:
            assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


def test_redis_acknowledges_and_tells_who_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        with redis(tmp_path) as (where, _):
            session = await opened(where)
            who = await session.append("a", 1)
            assert who.host == "h1"
            assert who.reign > 0
            await session.write(1, 7)
            assert await session.read(1) == (7, who)
            assert await session.swap(1, 7, 8) == (True, who)
            assert await session.swap(1, 7, 9) == (False, who)
            assert await session.sample("h1") == (who.reign, 0)
            assert await session.listed() == (True, ["a 1"], who.reign)
            session.close()

    asyncio.run(story())


def test_a_promotion_begins_another_reign(tmp_path: Path) -> None:
    async def story() -> None:
        with redis(tmp_path) as (where, _):
            session = await opened(where)
            before = await session.append("a", 1)
            await session.ask(("REPLICAOF", "127.0.0.1", "1"))
            assert await outcome(session.append("a", 2)) is Outcome.FAILED
            await session.ask(("REPLICAOF", "NO", "ONE"))
            assert (await session.append("a", 3)).reign != before.reign
            assert (await session.listed())[1] == ["a 1", "a 3"]
            session.close()

    asyncio.run(story())


def test_what_redis_refuses_for_lack_of_standbys_has_failed(tmp_path: Path) -> None:
    async def story() -> None:
        with redis(tmp_path, "--min-replicas-to-write", "1") as (where, _):
            session = await opened(where)
            assert await outcome(session.append("a", 1)) is Outcome.FAILED
            assert (await session.listed())[1] == []
            session.close()

    asyncio.run(story())


def test_what_a_killed_redis_did_last_is_unknown(tmp_path: Path) -> None:
    async def story() -> None:
        with redis(tmp_path) as (where, server):
            session = await opened(where)
            server.kill()
            assert await outcome(session.append("a", 1)) is Outcome.UNKNOWN
            session.close()
            with pytest.raises(NotDone) as refused:
                await open_redis(where)
            assert refused.value.outcome is Outcome.FAILED

    asyncio.run(story())
