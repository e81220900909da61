"""Heartbeats over real sockets: who is believed, and what is refused and counted."""

import asyncio
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.beating import Refusal, letters
from holdfast.beating.ear import now
from holdfast.beating.letters import Echo
from holdfast.beating.sealing import OVERHEAD, PROTOCOL, Seal
from holdfast.model.beats import Beat, Heard
from holdfast.model.time import SECOND
from tests.contract.heartbeat_stage import SECRET, Host, Wire, acquainted, long_report, until

SLACK = SECOND // 20  # between two clocks that are not read at once


@asynccontextmanager
async def pair(**changes: str | bytes) -> AsyncIterator[tuple[Host, Host, Wire]]:
    """Return host a, host b, and the wire from a to b. `changes` are how a differs."""
    a = await Host("a", "127.0.0.2").open(**changes)  # type: ignore[arg-type]  # the tests name them
    b = await Host("b", "127.0.0.3").open()
    wire = Wire(b.where)
    a.knows(b=wire.where)
    b.knows(a=a.where)
    try:
        yield a, b, wire
    finally:
        wire.close()
        await a.beating.close()
        await b.beating.close()


@asynccontextmanager
async def restarted(host: Host, life: str, **peers: tuple[str, int]) -> AsyncIterator[Host]:
    """Return the host in its next life, on its old port."""
    port = host.beating.port
    await host.beating.close()
    successor = await Host(host.ours.host, host.address, life).open(port=port)
    successor.knows(**peers)
    try:
        yield successor
    finally:
        await successor.beating.close()


def test_hosts_believe_each_other_once_each_has_heard_the_other() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            a.send()
            await until(lambda: b.refused(Refusal.UNPROVEN) == 1)
            assert not b.heard
            b.send()
            await until(lambda: a.has_heard("b-1"))
            a.send(is_connected=False)
            await until(lambda: b.has_heard("a-1"))
            beat, at = b.heard[-1]
            assert (beat.host, beat.sequence, beat.is_connected) == ("a", 2, False)
            assert now() - 20 * SECOND < at <= now()
            assert not b.said

    asyncio.run(main())


def test_beats_that_waited_for_a_busy_loop_keep_the_instant_at_which_they_came() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            await acquainted(a, b)
            a.knows(b=b.where)
            heard = len(b.heard)
            sent: list[tuple[int, int]] = []
            for _ in range(3):
                before = now()
                a.send()
                sent.append((before - SLACK, now() + SLACK))
                time.sleep(0.2)  # noqa: ASYNC251 - a loop that is busy; the kernel keeps the packets
            b.beating.drain()
            came = [at for beat, at in b.heard[heard:] if beat.sequence > a.sequence - 3]
            assert len(came) == 3
            assert all(after <= at <= before for (after, before), at in zip(sent, came, strict=True))

    asyncio.run(main())


def test_a_link_that_works_only_one_way_carries_beats_on() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            wire.is_cut = True  # b hears a no more
            await asyncio.sleep(2.5)  # longer than a held-back beat is believed
            a.heard.clear()
            await until(lambda: len(a.heard) > 5, b.send)
            assert not a.refused(Refusal.STALE)

    asyncio.run(main())


@pytest.mark.parametrize("place", [len(PROTOCOL), OVERHEAD, -1])
def test_a_packet_of_which_one_bit_was_changed_is_refused(place: int) -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            wire.is_cut = True
            passed = len(wire.passed)
            a.send()
            await until(lambda: len(wire.passed) > passed)
            heard = len(b.heard)
            changed = bytearray(wire.passed[-1])
            changed[place] ^= 1
            wire.put(bytes(changed))
            await until(lambda: b.refused(Refusal.BAD_SEAL) == 1)
            assert len(b.heard) == heard
            wire.put(wire.passed[-1])
            await until(lambda: len(b.heard) == heard + 1)

    asyncio.run(main())


def test_without_the_secret_nobody_is_heard() -> None:
    async def main() -> None:
        async with pair(secret=b"another") as (a, b, _):
            await until(lambda: b.refused(Refusal.BAD_SEAL) > 3, a.send)
            assert not b.heard
            assert len(b.said) == 1
            assert "bad seal" in b.said[0]

    asyncio.run(main())


def test_a_system_of_another_name_with_the_same_secret_is_not_heard() -> None:
    async def main() -> None:
        async with pair(system="library") as (a, b, _):
            await until(lambda: b.refused(Refusal.OTHER_SYSTEM) > 3, a.send)
            assert not b.heard

    asyncio.run(main())


def test_recorded_beats_are_refused_while_their_host_lives_and_when_it_is_dead() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            await asyncio.sleep(0.05)
            await a.beating.close()
            heard = len(b.heard)
            for packet in wire.passed:
                wire.put(packet)
            await until(lambda: b.refused(Refusal.REPEATED) + b.refused(Refusal.UNPROVEN) > len(wire.passed))
            assert len(b.heard) == heard

    asyncio.run(main())


def test_beats_that_were_held_back_do_not_make_a_dead_host_seem_alive() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            await asyncio.sleep(0.05)
            wire.is_cut = True
            held_back = len(wire.passed)
            for _ in range(5):
                a.send()
            await until(lambda: len(wire.passed) == held_back + 5)
            await asyncio.sleep(2.2)  # b itself goes on
            b.send()
            heard = len(b.heard)
            for packet in wire.passed[held_back:]:
                wire.put(packet)
            await until(lambda: b.refused(Refusal.STALE) == 5)
            assert len(b.heard) == heard

    asyncio.run(main())


def test_a_host_that_starts_anew_refuses_what_was_recorded_before() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            await until(lambda: len(wire.passed) > 5, a.send)
            recorded = list(wire.passed)
            async with restarted(b, "2", a=a.where) as successor:
                for packet in recorded:
                    wire.put(packet)
                await until(lambda: successor.refused(Refusal.UNPROVEN) == len(recorded))
                assert not successor.heard
                await acquainted(a, successor)
                assert a.heard[-1][0].life == "b-2"

    asyncio.run(main())


def test_beats_of_an_earlier_life_are_refused_once_the_next_one_is_believed() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            wire.is_cut = True
            passed = len(wire.passed)
            for _ in range(5):  # never delivered, so their sequences would be new
                a.send()
            await until(lambda: len(wire.passed) == passed + 5)
            wire.is_cut = False
            recorded = wire.passed[passed:]
            async with restarted(a, "2", b=wire.where) as successor:
                await acquainted(successor, b)
                refused = b.refused(Refusal.UNPROVEN)
                heard = len(b.heard)
                for packet in recorded:
                    wire.put(packet)
                await until(lambda: b.refused(Refusal.UNPROVEN) == refused + len(recorded))
                assert len(b.heard) == heard
                await until(lambda: len(b.heard) > heard, successor.send)  # and the present one still is

    asyncio.run(main())


def test_a_packet_for_another_host_or_from_a_stranger_is_refused() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            seal = Seal(SECRET)
            beat = letters.write_beat(a.beat())
            stranger = letters.write_beat(Beat("z", "z-1", 1))
            echo = (Echo("b-1", b.sequence, 0),)
            wire.put(seal.sealed(letters.write("shop", "c", echo, beat)))
            await until(lambda: b.refused(Refusal.MISDIRECTED) == 1)
            wire.put(seal.sealed(letters.write("shop", "b", echo, stranger)))
            await until(lambda: b.refused(Refusal.STRANGER) == 1)
            wire.put(seal.sealed(letters.write("shop", "b", echo, beat)))  # the same, rightly addressed
            await until(lambda: b.heard[-1][0].sequence == a.sequence)

    asyncio.run(main())


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x94", b"\x93\x01\x02\x03", b"\x91" * 5_000, b"\xdf\xff\xff\xff\xff", b"{}"]
)
def test_nonsense_from_somebody_with_the_secret_is_refused(payload: bytes) -> None:
    async def main() -> None:
        async with pair() as (_, b, wire):
            wire.put(Seal(SECRET).sealed(payload))
            await until(lambda: b.refused(Refusal.MALFORMED) == 1)

    asyncio.run(main())


@pytest.mark.parametrize("packet", [b"", b"H", PROTOCOL, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 60_000])
def test_anything_else_that_comes_to_the_port_is_counted_and_said_once(packet: bytes) -> None:
    async def main() -> None:
        async with pair() as (_, b, wire):
            for _ in range(20):
                wire.put(packet)
            why = Refusal.BAD_SEAL if packet.startswith(PROTOCOL) else Refusal.FOREIGN
            await until(lambda: b.refused(why) == 20)
            assert len(b.said) == 1

    asyncio.run(main())


def test_a_long_report_comes_whole_and_is_not_sent_again_once_it_is_acknowledged() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            await acquainted(a, b)
            report = long_report(400)

            def send() -> None:
                a.send(report=report, report_number=1)

            await until(lambda: b.heard[-1][0].report == report, send)
            assert max(map(len, wire.passed)) > 40_000
            b.send()  # acknowledges it
            await until(lambda: bool(a.heard[-1][0].heard) and a.heard[-1][0].heard["a"].report == 1)
            send()
            await until(lambda: b.heard[-1][0].sequence == a.sequence)
            assert b.heard[-1][0].report is None
            assert len(wire.passed[-1]) < 1_200
            a.send(report=long_report(400, 2), report_number=2)  # a newer one is sent
            await until(lambda: b.heard[-1][0].report_number == 2)
            assert b.heard[-1][0].report is not None

    asyncio.run(main())


def test_what_our_last_life_was_acknowledged_does_not_count() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            await acquainted(a, b)
            b.send(heard={"a": Heard("a-0", 1, 0, report=9)})
            await until(lambda: a.heard[-1][0].sequence == b.sequence)
            a.send(report=long_report(100), report_number=1)
            await until(lambda: b.heard[-1][0].sequence == a.sequence)
            assert b.heard[-1][0].report is not None

    asyncio.run(main())


def test_a_long_report_comes_whole_where_packets_are_short() -> None:
    inside = "ip link set lo mtu 1500 up && exec " + shlex.join(
        [sys.executable, "-m", "tests.contract.heartbeat_fragments"]
    )
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    ran = subprocess.run(
        ["unshare", "--net", "sh", "-c", inside],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (0, "400 in fragments\n"), ran.stderr


def test_a_silent_peer_is_offered_a_long_report_rarely() -> None:
    async def main() -> None:
        async with pair() as (a, _, wire):
            wire.is_cut = True
            for _ in range(50):
                a.send(report=long_report(100), report_number=1)
                await asyncio.sleep(0.001)
            await until(lambda: len(wire.passed) == 50)
            assert sum(len(packet) > 1_200 for packet in wire.passed) == 5

    asyncio.run(main())


def test_a_report_that_no_packet_takes_is_left_out_and_said() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            await acquainted(a, b)
            a.send(report=long_report(1_000), report_number=1)
            await until(lambda: b.heard[-1][0].sequence == a.sequence)
            assert b.heard[-1][0].report is None
            assert a.beating.counts["too long"] == 1
            assert "too long" in a.said[0]

    asyncio.run(main())


def test_what_cannot_be_sent_is_counted_and_stops_nothing() -> None:
    async def main() -> None:
        async with pair() as (a, b, wire):
            a.knows(nowhere=("240.0.0.1", 9), unnamed=("no-such-host.invalid", 9), b=wire.where)
            await acquainted(a, b)
            assert a.beating.counts["no address"] > 0
            assert any(reason.startswith("unsent") for reason in a.beating.counts)

    asyncio.run(main())


def test_a_peer_may_be_given_by_name() -> None:
    async def main() -> None:
        a = await Host("a", "127.0.0.2").open()
        b = await Host("b", "127.0.0.1").open()
        a.knows(b=("localhost", b.beating.port))
        b.knows(a=a.where)
        await acquainted(a, b)
        await a.beating.close()
        await b.beating.close()

    asyncio.run(main())


def test_one_peer_alone_may_be_answered() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            await acquainted(a, b)
            beat = a.beat(heard={"b": Heard("b-1", 1, 0)})
            a.beating.send_to("b", beat)
            await until(lambda: b.heard[-1][0] == beat)

    asyncio.run(main())


def test_who_is_no_peer_any_more_is_not_heard() -> None:
    async def main() -> None:
        async with pair() as (a, b, _):
            await acquainted(a, b)
            b.knows()
            await until(lambda: b.refused(Refusal.STRANGER) > 0, a.send)

    asyncio.run(main())


def test_a_port_that_is_taken_is_told_to_who_opens() -> None:
    async def main() -> None:
        async with pair() as (a, _, __):
            with pytest.raises(OSError, match="in use"):
                await Host("c", a.address).open(port=a.beating.port)

    asyncio.run(main())
