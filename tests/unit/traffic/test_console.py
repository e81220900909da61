"""The command line client against a server that says what it is told to say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from holdfast.traffic.console import Console, Silent
from holdfast.traffic.places import reachable


@asynccontextmanager
async def haproxy(
    folder: Path, *answers: bytes | None, ended: asyncio.Event | None = None
) -> AsyncIterator[Console]:
    """Answer each connection's commands from `answers`; None: hang up. `ended` is set when the caller hung up."""
    left = list(answers)
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await reader.readline()
        writer.write(b"\n> ")
        while line := await reader.readline():
            if not left:
                break
            answer = left.pop(0)
            if answer is None:
                break
            writer.write(answer)
        if ended and not line:
            ended.set()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    socket = folder / "stats.sock"
    with reachable(socket) as address:
        server = await asyncio.start_unix_server(serve, address)
    console = Console(socket, answer_timeout=0.2)
    try:
        yield console
    finally:
        console.drop()
        server.close()
        await asyncio.gather(*(task for task in serving if task))


def test_answers_are_given_in_order_one_for_each_command(tmp_path: Path) -> None:
    async def main() -> None:
        async with haproxy(tmp_path, b"\n> ", b"No such server.\n\n> \n> ", b"a\nb\n\n> ") as console:
            assert await console.ask("one", "two;three", "four") == ["", "No such server.", "", "a\nb"]

    asyncio.run(main())


def test_no_socket_is_silence_and_nothing_was_sent(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(Silent, match=r"does not answer on .*/stats\.sock") as caught:
            await Console(tmp_path / "stats.sock").ask("show info")
        assert not caught.value.is_sent

    asyncio.run(main())


def test_a_connection_that_breaks_is_silence_after_sending_and_the_next_call_connects_anew(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with haproxy(tmp_path, None, b"well\n\n> ") as console:
            with pytest.raises(Silent) as caught:
                await console.ask("show info")
            assert caught.value.is_sent
            assert await console.ask("show info") == ["well"]

    asyncio.run(main())


def test_a_late_answer_is_never_taken_for_the_next_ones(tmp_path: Path) -> None:
    async def main() -> None:
        async with haproxy(tmp_path, b"half an answer", b"whole\n\n> ") as console:
            with pytest.raises(TimeoutError):
                await console.ask("show info")
            assert await console.ask("show info") == ["whole"]

    asyncio.run(main())


def test_who_hangs_up_lets_the_answer_come_that_is_awaited_and_keeps_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        ended = asyncio.Event()
        async with haproxy(tmp_path, b"well\n\n> ", b"again\n\n> ", ended=ended) as console:
            asking = asyncio.create_task(console.ask("show info"))
            await asyncio.sleep(0)  # it has its turn now
            console.hang_up()
            assert await asking == ["well"]
            async with asyncio.timeout(20):
                await ended.wait()
            assert await console.ask("show info") == ["again"]

    asyncio.run(main())


def test_a_long_path_is_reached_by_a_short_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def main() -> None:
        async with haproxy(folder, b"well\n\n> ") as console:
            assert await console.ask("show info") == ["well"]

    asyncio.run(main())
    with reachable(folder / "stats.sock") as address:
        assert len(address) < 100
