"""A small web service for the demonstration and the benchmarks: answers each request after a fixed time.

python -m holdfast.demo.web --port 8081 --name web-1 --takes-ms 20
python -m holdfast.demo.web --port 8090 --name worker --asks 8080     (a worker that needs the service on 8080)
"""

import argparse
import asyncio
import sys


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, takes_s: float
) -> None:
    try:
        while (await reader.readline()).strip():
            while (await reader.readline()).strip():
                pass
            await asyncio.sleep(takes_s)
            body = f"{name}\n".encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (ConnectionError, asyncio.LimitOverrunError, ValueError):
        pass  # the client left, or does not speak HTTP
    finally:
        writer.close()


async def _ask_for_ever(port: int) -> None:
    """Do the worker's work: ask the service that it depends on, ten times a second."""
    while True:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /work HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n")
                await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            print(f"no work done: {type(error).__name__}", flush=True)
        await asyncio.sleep(0.1)


async def _serve(name: str, port: int, takes_s: float, asks: int | None) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _answer(reader, writer, name, takes_s), "127.0.0.1", port, backlog=512
    )
    print(f"{name} serves on 127.0.0.1:{port}", flush=True)
    async with server:
        await asyncio.gather(server.serve_forever(), *([_ask_for_ever(asks)] if asks else []))


def main() -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="a small web service for demonstrations")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="web")
    parser.add_argument("--takes-ms", type=float, default=0.0)
    parser.add_argument("--asks", type=int)
    options = parser.parse_args()
    asyncio.run(_serve(options.name, options.port, options.takes_ms / 1e3, options.asks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
