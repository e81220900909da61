import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from holdfast.coordination.etcd_answers import Done
from holdfast.coordination.etcd_gateway import Gateway
from holdfast.model.time import SECOND
from holdfast.ports.coordination import UnavailableError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def endpoint(*, answers: bool) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if answers:
                    writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def test_who_gave_a_silent_endpoint_up_is_answered_by_another_next_time() -> None:
    async def ask() -> bool:
        async with endpoint(answers=False) as silent, endpoint(answers=True) as other:
            gateway = Gateway([silent, other], limit=10 * SECOND)
            try:
                async with asyncio.timeout(0.2):
                    await gateway.read("/v3/kv/range", {}, Done)
            except TimeoutError:
                pass
            async with asyncio.timeout(5):
                await gateway.read("/v3/kv/range", {}, Done)
            await gateway.close()
        return True

    assert asyncio.run(ask())


def test_a_silent_endpoint_is_told_in_words() -> None:
    async def ask() -> None:
        async with endpoint(answers=False) as silent:
            gateway = Gateway([silent], limit=SECOND // 10)
            try:
                with pytest.raises(UnavailableError, match="etcd has no answer: none came in time"):
                    await gateway.read("/v3/kv/range", {}, Done, within=SECOND // 5)
            finally:
                await gateway.close()

    asyncio.run(ask())
