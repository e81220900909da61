"""What is done to Redis servers, and what they say of themselves, against real ones."""

import asyncio
import signal

import pytest

from holdfast.model.redis import OWN_PARAMETERS
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.redis import running
from holdfast.redis.asking import Fault, Stamp, Unanswered, Where, ask
from holdfast.redis.comparing import EMPTY, position_of
from holdfast.redis.resp import command, read_answer
from holdfast.redis.settings import NOBODY
from tests.contract.redis.stage import CLIENTS, GENEROUS, STAMP, Server, Stage, run, until


async def promoted(server: Server, epoch: int = 1) -> None:
    await running.promote(server.where, server.policy, STAMP, epoch, GENEROUS)


async def following(server: Server, primary: Server) -> None:
    await running.follow(server.where, primary.place)

    async def follows() -> bool:
        own, other = await server.standing(), await primary.standing()
        return own.is_following and own.place == other.place and own.stamp == other.stamp

    await until(follows, "it follows, and has everything")


async def pair(stage: Stage) -> tuple[Server, Server]:
    primary, standby = stage.server("a"), stage.server("b")
    await promoted(primary)
    await following(standby, primary)
    return primary, standby


async def first_fault(server: Server, words: tuple[str | int, ...]) -> Fault:
    """Ask until it is refused, and return why."""
    for _ in range(1000):
        try:
            await server.ask(*words)
        except Unanswered as unanswered:
            if unanswered.fault not in {Fault.SILENT, Fault.REFUSED}:  # a busy machine
                return unanswered.fault
        await asyncio.sleep(0.002)
    raise AssertionError("it was never refused")


def test_a_server_starts_as_a_standby_that_follows_nobody_and_takes_no_write(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a")
        standing = await server.standing()
        assert not standing.is_primary
        assert standing.upstream == NOBODY
        assert position_of(standing) == EMPTY
        with pytest.raises(Unanswered) as refused:
            await server.ask("SET", "x", 1)
        assert refused.value.fault is Fault.READ_ONLY

    run(play())


def test_a_promoted_server_is_stamped_and_a_standby_has_the_stamp(stage: Stage) -> None:
    async def play() -> None:
        primary, standby = await pair(stage)
        assert (await primary.standing()).is_primary
        stamp = (await standby.standing()).stamp
        assert stamp is not None
        assert stamp.epoch == 1

    run(play())


def test_one_that_lost_its_memory_feeds_nobody(stage: Stage) -> None:
    async def play() -> None:
        primary, standby = await pair(stage)
        await primary.ask("SET", "x", 1)
        await following(standby, primary)
        primary.kill()
        primary.start()  # in the place where the standby still asks for it

        async def has_asked() -> bool:
            said = (stage.folder / "b.log").read_text("utf-8", "replace")
            return "NOMASTERLINK" in said

        await until(has_asked, "the standby asked the one that came back empty")
        assert position_of(await primary.standing()) == EMPTY
        assert await standby.ask("GET", "x") == b"1"

    run(play())


def test_a_former_primary_follows_with_what_was_missing_only(stage: Stage) -> None:
    async def play() -> None:
        old, new = await pair(stage)
        assert await running.hand_over(old.where, (new.where,), STAMP, 5 * SECOND) == ""
        await running.follow(new.where, None)
        assert position_of(await old.standing()) == position_of(await new.standing())
        await promoted(new, 2)
        await following(old, new)
        assert "Successful partial resynchronization" in (stage.folder / "a.log").read_text()

    run(play())


def test_what_only_a_former_primary_has_is_discarded(stage: Stage) -> None:
    async def play() -> None:
        old, new = await pair(stage)
        await running.follow(new.where, None)
        await old.ask("SET", "only-here", 1)
        await promoted(new, 2)
        await new.ask("SET", "new", 1)
        await following(old, new)
        assert await old.ask("GET", "only-here") is None
        assert position_of(await old.standing())[0] == 3

    run(play())


def test_a_stamp_tells_histories_apart_when_places_cannot(stage: Stage) -> None:
    async def play() -> None:
        old, new = await pair(stage)
        await running.follow(new.where, None)
        for number in range(100):
            await old.ask("SET", f"lost-{number}", "much more than the other one has")
        await promoted(new, 2)
        await running.follow(old.where, None)
        await running.follow(new.where, None)
        assert (await old.standing()).place > (await new.standing()).place
        assert position_of(await new.standing()) > position_of(await old.standing())

    run(play())


def test_one_that_was_started_from_its_disk_tells_how_far_it_came(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a", parameters={"appendonly": "yes"})
        await promoted(server, 5)
        await server.ask("SET", STAMP, Stamp(5, 1234).text())
        server.kill(signal.SIGTERM)
        server.start()

        async def tells() -> bool:
            return position_of(await server.standing()) == (6, 1234)

        await until(tells, "its position, once it has loaded its data")

    run(play())


def test_handing_over_waits_for_every_write_and_acknowledges_none_after_it(stage: Stage) -> None:
    async def play() -> None:
        old, new = await pair(stage)
        acknowledged: list[int] = []
        is_over = asyncio.Event()

        async def write(client: int) -> None:
            reader, writer = await asyncio.open_connection(*old.place)
            writer.write(command("AUTH", CLIENTS))
            await read_answer(reader)
            number = client
            while not is_over.is_set():
                number += 10
                writer.write(command("RPUSH", "seen", number))
                try:
                    answer = await read_answer(reader)
                except (EOFError, OSError):
                    break
                if not isinstance(answer, int):
                    break
                acknowledged.append(number)
            writer.transport.abort()

        clients = [asyncio.create_task(write(client)) for client in range(5)]
        await asyncio.sleep(0.2)
        assert await running.hand_over(old.where, (new.where,), STAMP, 10 * SECOND) == ""
        is_over.set()
        await asyncio.gather(*clients)
        await running.follow(new.where, None)
        await promoted(new, 2)
        there = await new.ask("LRANGE", "seen", 0, -1)
        assert isinstance(there, list)
        assert acknowledged
        assert {str(number).encode() for number in acknowledged} <= {
            one for one in there if isinstance(one, bytes)
        }

    run(play())


def test_handing_over_says_what_was_not_reached(stage: Stage) -> None:
    async def play() -> None:
        old = stage.server("a")
        await promoted(old)
        assert await running.hand_over(old.where, (), STAMP, SECOND) == "no standby follows it"
        assert not (await old.standing()).is_primary

    run(play())


def test_a_full_memory_does_not_keep_a_server_from_being_promoted(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a", parameters={"maxmemory": "1mb"})
        await promoted(server)
        assert await server.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"1048576"]
        assert await first_fault(server, ("SET", "x", "x" * 1_000_000)) is Fault.NO_MEMORY
        await running.follow(server.where, None)
        await promoted(server, 2)

    run(play())


def test_a_primary_with_too_few_standbys_takes_no_write_but_its_stamp(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a", min_replicas_to_write=1)
        await promoted(server)
        with pytest.raises(Unanswered) as refused:
            await server.ask("SET", "x", 1)
        assert refused.value.fault is Fault.TOO_FEW_STANDBYS
        standby = stage.server("b", min_replicas_to_write=1)
        await following(standby, server)

        async def is_taken() -> bool:
            return await server.ask("SET", "x", 1) == "OK"

        await until(is_taken, "a write that a standby may follow")  # it counts its standbys once a second

    run(play())


def test_causes_are_named(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a")

        async def fault(where: Where) -> Fault:
            with pytest.raises(Unanswered) as unanswered:
                await ask(where, ("PING",), within=300 * MILLISECOND)
            return unanswered.value.fault

        assert await fault(Where("127.0.0.1", server.policy.port, "wrong")) is Fault.NOT_LET_IN
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        assert await fault(server.where) is Fault.SILENT
        server.process.send_signal(signal.SIGCONT)
        server.kill()
        assert await fault(server.where) is Fault.REFUSED

    run(play())


def test_a_server_that_loads_its_data_says_so(stage: Stage) -> None:
    async def play() -> None:
        slow = {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
        server = stage.server("a", parameters={"appendonly": "yes"} | slow)
        await promoted(server)
        await ask(server.where, *(("SET", f"x{number}", 1) for number in range(2000)), within=GENEROUS)
        server.kill()
        server.start()
        assert await first_fault(server, ("GET", "x")) is Fault.LOADING

    run(play())


def test_a_disk_that_takes_nothing_is_told(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a", parameters={"save": "3600 1", "dbfilename": "dump.rdb"})
        await promoted(server)
        (stage.folder / "a" / "dump.rdb").mkdir()  # so the file cannot be put in its place
        await server.ask("BGSAVE")
        assert await first_fault(server, ("SET", "x", 1)) is Fault.NO_DISK

    run(play())


def test_whoever_has_no_password_is_not_let_in_and_clients_do_not_administer(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a")
        reader, writer = await asyncio.open_connection(*server.place)
        asked = (
            ("PING",),
            ("AUTH", CLIENTS),
            ("PING",),
            ("CONFIG", "GET", "masterauth"),
            ("REPLICAOF", "NO", "ONE"),
        )
        writer.write(b"".join(command(*words) for words in asked))
        answers = [await read_answer(reader) for _ in asked]
        writer.transport.abort()
        assert "NOAUTH" in str(answers[0])
        assert answers[1:3] == ["OK", "PONG"]
        assert all("NOPERM" in str(answer) for answer in answers[3:]), "clients do not administer"

    run(play())


def test_each_parameter_that_is_ours_is_one_of_redis(stage: Stage) -> None:
    async def play() -> None:
        server = stage.server("a")
        told = await server.ask("CONFIG", "GET", "*")
        assert isinstance(told, list)
        known = {name.decode() for name in told[::2] if isinstance(name, bytes)}
        assert OWN_PARAMETERS - known <= {"user", "rename-command"}

    run(play())
