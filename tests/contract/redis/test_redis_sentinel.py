"""Answers as a Sentinel gives them, asked by a client library and by Redis' own client."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis as Client
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel

from holdfast.redis import running
from holdfast.redis.sentinel import SWITCH, Listener, Served
from tests.contract.redis.stage import CLIENTS, GENEROUS, STAMP, Stage, free_port, run, until

A, B = ("127.0.0.1", 7001), ("127.0.0.2", 7002)


@asynccontextmanager
async def listening(served: Callable[[], dict[str, Served]]) -> AsyncIterator[Listener]:
    listener = Listener(f"127.0.0.1:{free_port()}", served)
    await listener.open()
    try:
        yield listener
    finally:
        await listener.close()
        await asyncio.sleep(0)


async def redis_cli(port: int, *words: str) -> str:
    program = shutil.which("redis-cli")
    if program is None:
        pytest.skip("there is no redis-cli on this host")
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(port), *words, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return said.decode().strip()


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_library_finds_the_primary_and_writes_to_it(stage: Stage, protocol: int) -> None:
    async def play() -> None:
        a, b = stage.server("a"), stage.server("b")
        await running.promote(a.where, a.policy, STAMP, 1, GENEROUS)
        await running.follow(b.where, a.place)
        async with listening(lambda: {"cache": Served(a.place, (b.place,))}) as listener:
            sentinel: Any = Sentinel([("127.0.0.1", listener.port)], protocol=protocol)  # type: ignore[no-untyped-call]  # redis-py has no annotations here
            assert await sentinel.discover_master("cache") == a.place
            assert await sentinel.discover_slaves("cache") == [b.place]
            with pytest.raises(MasterNotFoundError):
                await sentinel.discover_master("other")
            primary: Any = sentinel.master_for("cache", password=CLIENTS)
            assert await primary.set("x", "1")
            standby: Any = sentinel.slave_for("cache", password=CLIENTS)

            async def has_it() -> bool:
                return bool(await standby.get("x") == b"1")

            await until(has_it, "the standby has what was written")
            for client in (primary, standby, *sentinel.sentinels):
                await client.aclose()

    run(play())


def test_who_subscribed_is_told_of_another_primary() -> None:
    async def play() -> None:
        told = {"cache": Served(A, (B,))}
        async with listening(lambda: told) as listener:
            client: Any = Client(port=listener.port)
            subscription = client.pubsub()
            await subscription.subscribe(SWITCH)
            patterns = client.pubsub()
            await patterns.psubscribe("*")
            for each in (subscription, patterns):
                assert (await each.get_message(timeout=10))["type"].endswith("subscribe")
            listener.look()
            told["cache"] = Served(None, (A, B))
            listener.look()
            told["cache"] = Served(B, (A,))
            listener.look()
            for each in (subscription, patterns):
                message = await each.get_message(timeout=10)
                assert message["data"] == b"cache 127.0.0.1 7001 127.0.0.2 7002"
                await each.aclose()
            await client.aclose()

    run(play())


def test_redis_own_client_understands_the_answers() -> None:
    async def play() -> None:
        async with listening(lambda: {"cache": Served(A, (B,))}) as listener:
            port = listener.port
            asked = await redis_cli(port, "sentinel", "get-master-addr-by-name", "cache")
            assert asked.split() == ["127.0.0.1", "7001"]
            assert "num-slaves" in await redis_cli(port, "sentinel", "masters")
            assert "127.0.0.2:7002" in await redis_cli(port, "-3", "sentinel", "replicas", "cache")
            assert (await redis_cli(port, "sentinel", "ckquorum", "cache")).startswith("OK")
            assert await redis_cli(port, "sentinel", "sentinels", "cache") == ""
            assert "No such master" in await redis_cli(port, "sentinel", "master", "other")
            assert "questions only" in await redis_cli(port, "sentinel", "failover", "cache")
            assert "redis_mode:sentinel" in await redis_cli(port, "info")
            assert await redis_cli(port, "ping") == "PONG"
            assert (await redis_cli(port, "role")).split() == ["sentinel", "cache"]

    run(play())


def test_nonsense_ends_its_own_connection_only() -> None:
    async def play() -> None:
        async with listening(lambda: {"cache": Served(A, ())}) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"*1000000\r\n")
            assert await reader.read() == b""
            writer.close()
            assert await redis_cli(listener.port, "ping") == "PONG"

    run(play())
