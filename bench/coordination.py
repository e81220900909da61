"""How fast the embedded coordinator is: takeover after kill -9, hand-over, writes, reads, watch latency.

    python bench/coordination.py [--rounds 20] [--folder FOLDER]

The folder decides which disk is measured: every write of a key is synced to it.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from holdfast.client.client import Client
from holdfast.coordination.address import connect
from holdfast.coordination.clock import now
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.ports.coordination import Change, Condition, Coordinator

WRITES = 2000
HOLDER = """
import sys, time
from holdfast.client import connect_blocking
with connect_blocking(sys.argv[1]) as client, client.lock("bench", ttl=10):
    print("held", flush=True)
    time.sleep(60)
"""


def show(what: str, durations: Sequence[int]) -> None:
    ms = sorted(duration / MILLISECOND for duration in durations)
    print(
        f"{what:38} p50 {statistics.median(ms):7.2f} ms   min {ms[0]:7.2f}   max {ms[-1]:7.2f}   n={len(ms)}"
    )


async def takeovers(url: str, rounds: int) -> list[int]:
    """From kill -9 of the holding process to the lock in the hands of one who waits."""
    took = []
    client = Client(connect(url))
    for _ in range(rounds):
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDER, url, stdout=asyncio.subprocess.PIPE
        )
        assert holder.stdout is not None
        await holder.stdout.readline()
        waiting = asyncio.create_task(acquired_at(client))
        await queued(client.coordinator)
        killed_at = now()
        os.kill(holder.pid, signal.SIGKILL)
        took.append(await waiting - killed_at)
        await holder.communicate()
    await client.close()
    return took


async def acquired_at(client: Client) -> int:
    async with client.lock("bench"):
        return now()


async def queued(coordinator: Coordinator) -> None:
    while not (await coordinator.list("/client/locks/bench/queue")).entries:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def hand_overs(url: str, rounds: int) -> list[int]:
    """From the release of a lock to the lock in the hands of one who waits, both in this process."""
    took = []
    one, two = Client(connect(url)), Client(connect(url))
    for _ in range(rounds):
        async with one.lock("bench"):
            waiting = asyncio.create_task(acquired_at(two))
            await queued(one.coordinator)
            released_at = now()
        took.append(await waiting - released_at)
    await one.close()
    await two.close()
    return took


async def operations(url: str) -> None:
    client = connect(url)
    for what, calls in (
        ("writes, one after the other", [lambda n: client.put("/bench/k", b"%d" % n)]),
        ("reads, one after the other", [lambda n: client.get("/bench/k")]),  # noqa: ARG005 - one signature
    ):
        began = now()
        for number in range(WRITES):
            await calls[0](number)
        print(f"{what:38} {WRITES * SECOND / (now() - began):7.0f} /s")
    session = await client.open_session(10 * SECOND)
    began = now()
    for _ in range(WRITES):
        await session.renew()
    print(f"{'renewals, one after the other':38} {WRITES * SECOND / (now() - began):7.0f} /s")
    await session.close()
    await client.close()


async def watch_latencies(url: str, rounds: int) -> list[int]:
    """From the call of a write to its sighting by another client."""
    one, two = connect(url), connect(url)
    watch = two.watch("/bench/watched")
    await anext(watch)
    took = []
    for number in range(rounds):
        await asyncio.sleep(0.007 * (number % 5))
        began = now()
        await one.put("/bench/watched", b"%d" % number, expect=Condition.ANY)
        while not isinstance(await anext(watch), Change):
            pass
        took.append(now() - began)
    await one.close()
    await two.close()
    return took


async def loop_delays(url: str, seconds: float) -> list[int]:
    """How late a timer of 1 ms comes while the loop's own coordinator writes, reads, watches and renews."""
    client = connect(url)
    delays: list[int] = []

    async def work() -> None:
        session = await client.open_session(SECOND)
        while True:
            await client.put("/bench/busy", b"x" * 1000)
            await client.list("/bench")
            await session.renew()

    async def watch() -> None:
        async for _ in client.watch("/bench"):
            pass

    working = [asyncio.create_task(work()), asyncio.create_task(watch())]
    ends = now() + round(seconds * SECOND)
    while (began := now()) < ends:
        await asyncio.sleep(0.001)
        delays.append(now() - began - MILLISECOND)
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await client.close()
    return delays


async def main(folder: Path, rounds: int) -> None:
    url = f"embedded://{folder}/store"
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    await operations(url)
    show("watch: write to sighting", await watch_latencies(url, 10 * rounds))
    show("loop: delay of a timer meanwhile", await loop_delays(url, 3.0))
    show("hand-over after a release", await hand_overs(url, rounds))
    show("takeover after kill -9", await takeovers(url, rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        asyncio.run(main(Path(temporary), arguments.rounds))
