"""Hosts that send heartbeats on loopback addresses of their own, and a wire between two of them that can be cut."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from holdfast.beating import Beating, Ours, Refusal
from holdfast.beating.ear import now
from holdfast.model.beats import Beat, Heard
from holdfast.model.cluster import HostReport, MemberReport
from holdfast.model.ids import HostName
from holdfast.model.standing import Status
from holdfast.model.time import Instant

SECRET = b"the cluster's own"
PATIENCE = 20.0  # seconds


class Host:
    """An agent's heartbeats, sent when the test says so."""

    def __init__(self, name: HostName, address: str, life: str = "1") -> None:
        self.ours = Ours("shop", name, f"{name}-{life}")
        self.address = address
        self.sequence = 0
        self.heard: list[tuple[Beat, Instant]] = []
        self.said: list[str] = []
        self.beating: Beating

    async def open(self, *, port: int = 0, secret: bytes = SECRET, system: str = "shop") -> "Host":
        self.ours = Ours(system, self.ours.host, self.ours.life)
        self.beating = await Beating.open(
            self.ours,
            (self.address, port),
            {},
            secret=secret,
            on_beat=lambda beat, at: self.heard.append((beat, at)),
            say=self.said.append,
        )
        return self

    @property
    def where(self) -> tuple[str, int]:
        return self.address, self.beating.port

    def knows(self, **peers: tuple[str, int]) -> None:
        self.beating.set_peers(peers)

    def beat(self, **changes: Any) -> Beat:
        self.sequence += 1
        heard = {
            beat.host: Heard(beat.life, beat.sequence, max(0, now() - at), beat.report_number)
            for beat, at in self.heard
        }
        return Beat(self.ours.host, self.ours.life, self.sequence, **{"heard": heard} | changes)

    def send(self, **changes: Any) -> None:
        self.beating.send(self.beat(**changes))

    def has_heard(self, life: str) -> bool:
        return any(beat.life == life for beat, _ in self.heard)

    def refused(self, why: Refusal) -> int:
        return self.beating.counts.get(why, 0)


class Wire:
    """A way from one host to another that keeps what passes, and passes it only while it is not cut."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.passed: list[bytes] = []
        self.is_cut = False
        asyncio.get_running_loop().add_reader(self._socket, self._pass)

    @property
    def where(self) -> tuple[str, int]:
        address, port = self._socket.getsockname()
        return address, port

    def put(self, packet: bytes) -> None:
        self._socket.sendto(packet, self._to)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _pass(self) -> None:
        packet = self._socket.recv(65_535)
        self.passed.append(packet)
        if not self.is_cut:
            self.put(packet)


async def until(is_so: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until it is so, doing something every few milliseconds. Fails when it takes much too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while not is_so():
        assert loop.time() < end, "it did not become so"
        meanwhile()
        await asyncio.sleep(0.01)


async def acquainted(one: Host, other: Host) -> None:
    """Let two hosts believe each other."""

    def both() -> None:
        one.send()
        other.send()

    await until(
        lambda: one.has_heard(other.ours.life) and other.has_heard(one.ours.life),
        both,
    )


def long_report(members: int, number: int = 1) -> HostReport:
    """Return a report of that many members, about 130 bytes each."""
    return HostReport(
        "a-1",
        number,
        {
            f"web/web-{n}": MemberReport(
                Status.UP,
                reason=f"number {n} of many, {'each with a reason of its own that takes its room as well' if n else ''}",
            )
            for n in range(members)
        },
    )
