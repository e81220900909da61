"""A member for the traffic tests: `python traffic_backend.py PORT NAME [unwell]`. Answers each request with its name.

`/hold` is never answered; an unwell one answers 503 to `/health`.
"""

import asyncio
import sys

PORT, NAME, *OPTIONS = sys.argv[1:]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ", 2)[1]
            if path == b"/hold":
                await reader.read()
                break
            status = b"503 Unwell" if path == b"/health" and "unwell" in OPTIONS else b"200 OK"
            body = NAME.encode()
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(PORT), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
