"""A few hosts that beat through a network with jitter and loss, heard by one that may stand still. Virtual time.

It reads its socket as a plain loop would: a beat is heard when the loop turns, and carries that instant. (The real
transport knows when the kernel got it, which is easier.)
"""

import heapq
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from holdfast.detect.reach import Peer, Reach, excuse, hear, next_change, reach_of
from holdfast.model.beats import Beat, Heard
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant

EVERY = 100 * MILLISECOND
TICK = 20 * MILLISECOND  # the loop is asked at least so often
LATE = 5 * MILLISECOND  # a tick is called late from here on
ME = "me"

Delay = Callable[[random.Random], float]  # seconds on the way


def calm(rng: random.Random) -> float:
    return rng.uniform(0.0001, 0.001)


def normal(rng: random.Random) -> float:
    return max(0.0, rng.gauss(0.03, 0.02))


def exponential(rng: random.Random) -> float:
    return rng.expovariate(1 / 0.04)


def lognormal(rng: random.Random) -> float:
    return rng.lognormvariate(-4.0, 1.2)  # median 18 ms, one in a hundred above 300 ms


def pareto(rng: random.Random) -> float:
    return min(2.0, 0.004 * rng.paretovariate(1.3))  # one in 530 above 500 ms


def bursty(rng: random.Random) -> float:
    return rng.uniform(0.2, 0.35) if rng.random() < 0.05 else rng.uniform(0.0, 0.01)


class World(NamedTuple):
    """What the network and we ourselves do."""

    hosts: tuple[str, ...] = ("a", "b")
    delay: Delay = calm
    loss: float = 0.0
    pause: Duration = 0  # how long our loop stands still
    pause_every: Duration = 3 * SECOND  # about
    sender_pause: Duration = 0  # how long a sender stands still, about every 3 s
    crashes: dict[str, Instant] = {}
    is_excused: bool = True  # our loop tells the detector how late it was
    cut: frozenset[str] = frozenset()  # never heard by us directly from their crash instant on, but alive


class Answer(NamedTuple):
    """What was thought of the hosts from an instant on."""

    at: Instant
    reach: dict[str, Reach]


def watch(world: World, seconds: float, seed: int) -> Iterator[Answer]:
    """Return each change of opinion, in order."""
    rng = random.Random(seed)
    end = round(seconds * SECOND)
    beats = _sent(world, rng, end)
    peers: dict[str, Peer] = {}
    before: dict[str, Reach] = {}
    now, late = 0, 0
    pause_at = round(rng.expovariate(1 / world.pause_every)) if world.pause else end * 2
    while now < end:
        if late >= LATE and world.is_excused:
            peers = excuse(peers, late, now)
        while beats and beats[0][0] <= now:
            _, _, beat = heapq.heappop(beats)
            peers[beat.host] = hear(peers.get(beat.host) or Peer(beat.host), beat, now, EVERY)
        reach = reach_of(peers, world.hosts, ME, now, EVERY, late if world.is_excused else 0)
        if reach != before:
            yield Answer(now, reach)
            before = reach
        wake = next_change(peers, world.hosts, ME, now, EVERY, 0)
        due = min(now + TICK, wake if wake is not None else end, beats[0][0] if beats else end)
        turn = max(due, now + 1)
        if pause_at <= turn:
            turn = pause_at + world.pause
            pause_at = turn + round(rng.expovariate(1 / world.pause_every))
        late, now = max(0, turn - due), turn


def _sent(world: World, rng: random.Random, end: Instant) -> list[tuple[Instant, int, Beat]]:
    """Return the beats that reach us, as a heap by arrival. Each carries when its sender had heard the others."""
    sent: dict[str, list[tuple[Instant, dict[str, Instant]]]] = {}
    for host in world.hosts:
        at, stops_at = rng.randrange(EVERY), world.crashes.get(host, end * 2)
        pause_at = round(rng.expovariate(1 / (3 * SECOND))) if world.sender_pause else end * 2
        sent[host] = []
        while at < end and (at < stops_at or host in world.cut):
            arrivals = {
                to: at + round(world.delay(rng) * SECOND)
                for to in (ME, *world.hosts)
                if to != host and rng.random() >= world.loss
            }
            if host in world.cut and at >= stops_at:
                arrivals.pop(ME, None)
            sent[host].append((at, arrivals))
            at += EVERY
            if at >= pause_at:
                at += world.sender_pause
                pause_at = at + round(rng.expovariate(1 / (3 * SECOND)))
    return _as_heard(sent)


def _as_heard(sent: dict[str, list[tuple[Instant, dict[str, Instant]]]]) -> list[tuple[Instant, int, Beat]]:
    heap: list[tuple[Instant, int, Beat]] = []
    for host, own in sent.items():
        came = {
            other: sorted(
                (arrivals[host], number) for number, (_, arrivals) in enumerate(theirs) if host in arrivals
            )
            for other, theirs in sent.items()
            if other != host
        }
        read = dict.fromkeys(came, 0)
        for sequence, (at, arrivals) in enumerate(own, start=1):
            heard: dict[str, Heard] = {}
            for other, there in came.items():
                while read[other] < len(there) and there[read[other]][0] <= at:
                    read[other] += 1
                if read[other]:
                    newest, number = there[read[other] - 1]
                    heard[other] = Heard("life", number + 1, at - newest)
            if ME in arrivals:
                heap.append((arrivals[ME], len(heap), Beat(host, "life", sequence, heard)))
    heapq.heapify(heap)
    return heap


def episodes(answers: Iterator[Answer], host: str, reach: Reach) -> list[Instant]:
    """Return when the host began to be thought of so."""
    began: list[Instant] = []
    before: Reach | None = None
    for answer in answers:
        if answer.reach[host] is reach and before is not reach:
            began.append(answer.at)
        before = answer.reach[host]
    return began
