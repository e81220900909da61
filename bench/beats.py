"""What heartbeats cost, and how soon and how surely a silent host is noticed.

One process is the host that is measured. A second one plays all its peers, each with a socket and a life of its own.
Both sides beat every 100 ms, authentic and echoed, over loopback. The measured host does what an agent does: it hears
each beat, asks after each who is reached, writes and sends its own beat. Only its CPU time counts, as the kernel accounts it.

In the second part three peers beat from processes of their own while both CPUs are kept busy; nobody is killed, so every
suspicion is false. In the third one of them is killed with SIGKILL, again and again.

    python bench/beats.py [--peers 50] [--seconds 10] [--kills 8]
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from holdfast.beating import Beating, Ours
from holdfast.beating.ear import now
from holdfast.detect.reach import Peer, Reach, excuse, hear, next_change, reach_of
from holdfast.model.beats import Beat, Heard
from holdfast.model.time import MILLISECOND, SECOND, Instant

EVERY = 100 * MILLISECOND
LATE = 5 * MILLISECOND
SECRET = b"of this bench"
ME = "me"
SPAWN = multiprocessing.get_context("spawn")


class Agent:
    """One host: hears, judges and beats."""

    def __init__(self, name: str, *, judge: bool = True) -> None:
        self.ours = Ours("bench", name, os.urandom(8).hex())
        self.peers: dict[str, Peer] = {}
        self.reach: dict[str, Reach] = {}
        self.changes: list[tuple[Instant, str, Reach]] = []
        self.heard = 0
        self.is_silent = False
        self._judges = judge
        self.sequence = 0
        self._due = now() + EVERY
        self.beating: Beating

    async def open(self, address: str) -> None:
        """Listen there."""
        self.beating = await Beating.open(self.ours, (address, 0), {}, secret=SECRET, on_beat=self._hear)

    def _hear(self, beat: Beat, at: Instant) -> None:
        self._excuse()
        self.heard += 1
        self.peers[beat.host] = hear(self.peers.get(beat.host) or Peer(beat.host), beat, at, EVERY)
        if self._judges:
            self._judge()

    def _excuse(self) -> None:
        """Blame nobody for what we slept through; before anything else is heard."""
        late = now() - self._due
        if late > LATE:
            self.peers = excuse(self.peers, late, now())
            self._due = now()

    def _judge(self) -> None:
        reach = reach_of(self.peers, self.peers, self.ours.host, now(), EVERY, 0)
        for host, how in reach.items():
            if how is not self.reach.get(host):
                self.changes.append((now(), host, how))
        self.reach = reach

    def beat(self) -> None:
        """Send one."""
        self.sequence += 1
        at = now()
        heard = {p.host: Heard(p.life, p.sequence, max(0, at - p.heard_at)) for p in self.peers.values()}
        self.beating.send(Beat(self.ours.host, self.ours.life, self.sequence, heard))

    async def run(self, seconds: float) -> None:
        """Beat, hear and judge for so long."""
        end, beat_at = now() + round(seconds * SECOND), now()
        while now() < end:
            self._excuse()
            self.beating.drain()
            if self._judges:
                self._judge()
            if now() >= beat_at:
                self.beat()
                beat_at += EVERY
            change = (
                next_change(self.peers, self.peers, self.ours.host, now(), EVERY, 0) if self._judges else None
            )
            self._due = min(beat_at, change if change is not None else beat_at)
            await asyncio.sleep(max(0, self._due - now()) / SECOND)


async def play(addresses: list[tuple[str, str]], me: tuple[str, int], pipe: Connection) -> None:
    """Be these peers, and beat until killed."""
    agents = []
    for name, address in addresses:
        agent = Agent(name, judge=False)
        await agent.open(address)
        agent.beating.set_peers({ME: me})
        agents.append(agent)
    pipe.send(
        {
            agent.ours.host: (address, agent.beating.port)
            for agent, (_, address) in zip(agents, addresses, strict=True)
        }
    )
    start = now()
    for number in range(1_000_000):
        for agent in agents:
            agent.beat()
            await asyncio.sleep(max(0, start + number * EVERY - now()) / SECOND if len(agents) == 1 else 0)
        await asyncio.sleep(max(0, start + (number + 1) * EVERY - now()) / SECOND)


def player(addresses: list[tuple[str, str]], me: tuple[str, int], pipe: Connection) -> None:
    asyncio.run(play(addresses, me, pipe))


def begin(
    addresses: list[tuple[str, str]], me: tuple[str, int]
) -> tuple[SpawnProcess, dict[str, tuple[str, int]]]:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=player, args=(addresses, me, theirs), daemon=True)
    process.start()
    return process, ours.recv()


def burn() -> None:
    while True:
        sum(range(100_000))


async def cost(peers: int, seconds: float) -> None:
    agent = Agent(ME)
    await agent.open("127.0.0.1")
    addresses = [(f"host-{n:02}", f"127.0.1.{n + 1}") for n in range(peers)]
    process, places = begin(addresses, ("127.0.0.1", agent.beating.port))
    agent.beating.set_peers(places)
    await agent.run(2)
    agent.beating.drain()
    heard, sequence = agent.heard, agent.sequence
    cpu, wall = time.process_time(), time.perf_counter()
    await agent.run(seconds)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rate = (agent.heard - heard) / wall
    sent = (agent.sequence - sequence) * peers / wall
    size = len(_written(agent))
    print(
        f"{peers} peers, a beat each 100 ms, {wall:.1f} s: {rate:.0f} beats/s heard, {sent:.0f}/s sent, of {size} bytes"
    )
    print(
        f"    CPU {cpu / wall:.1%} of one core, {cpu / (agent.heard - heard) * 1e6:.0f} us per beat heard, judged and sent"
    )
    print(f"    refused or unsent: {agent.beating.counts or 'none'}")
    process.kill()
    process.join()
    await agent.beating.close()


def _written(agent: Agent) -> bytes:
    from holdfast.beating import letters  # noqa: PLC0415 - only the size is wanted

    heard = {p.host: Heard(p.life, p.sequence, EVERY // 2) for p in agent.peers.values()}
    return letters.write_beat(Beat(ME, agent.ours.life, 1_000, heard))


async def three(seconds: float, kills: int) -> None:
    agent = Agent(ME)
    await agent.open("127.0.0.1")
    me = ("127.0.0.1", agent.beating.port)
    names = ["a", "b", "c"]
    places: dict[str, tuple[str, int]] = {}
    processes: dict[str, SpawnProcess] = {}

    def start(name: str) -> None:
        processes[name], place = begin([(name, f"127.0.2.{1 + names.index(name)}")], me)
        places.update(place)
        agent.beating.set_peers(places)

    for name in names:
        start(name)
    await agent.run(2)
    burners = [SPAWN.Process(target=burn, daemon=True) for _ in range(os.cpu_count() or 2)]
    for burner in burners:
        burner.start()
    await agent.run(1)
    agent.changes.clear()
    await agent.run(seconds)
    false = [how for _, _, how in agent.changes]
    print(
        f"3 peers, all CPUs busy, {seconds:.0f} s: {false.count(Reach.SUSPECT)} false suspicions, {false.count(Reach.LOST)} false losses"
    )
    for burner in burners:
        burner.kill()
        burner.join()
    found = []
    for number in range(kills):
        name = names[number % len(names)]
        await agent.run(1 + number * 0.013)
        agent.changes.clear()
        killed_at = now()
        processes[name].kill()
        await agent.run(1)
        processes[name].join()
        found += [at - killed_at for at, host, how in agent.changes if host == name and how is Reach.LOST]
        start(name)
    shown = [f / MILLISECOND for f in found]
    print(
        f"{kills} kills: {len(found)} found, median {statistics.median(shown):.0f} ms, from {min(shown):.0f} to {max(shown):.0f} ms"
    )
    for process in processes.values():
        process.kill()
        process.join()
    await agent.beating.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--kills", type=int, default=8)
    asked = parser.parse_args()
    asyncio.run(cost(asked.peers, asked.seconds))
    asyncio.run(three(asked.seconds, asked.kills))


if __name__ == "__main__":
    main()
