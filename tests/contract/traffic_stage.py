"""A stage for the traffic tests: a real HAProxy, real members, real clients, all on loopback.

HAProxy is started from the ProcessSpec of the policy, as the agent's process adapter would.
"""

import asyncio
import functools
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, ParamSpec

from holdfast.model.events import Ending, MemberTraffic
from holdfast.model.ids import MemberName, ServiceName
from holdfast.model.policy import (
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Protocol,
    Purpose,
    ServicePolicy,
    TrafficPolicy,
)
from holdfast.model.routing import Lane, Routing
from holdfast.ports.traffic import ServiceTraffic
from holdfast.traffic.balancer import process
from holdfast.traffic.console import Console, Silent
from holdfast.traffic.haproxy import HaproxyTraffic

BOUND = 20.0  # seconds: after that a condition will not come true any more
P = ParamSpec("P")


def story(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Wait until `condition` holds."""
    try:
        async with asyncio.timeout(BOUND):
            while not await condition():  # noqa: ASYNC110 - the world sets no events
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None


async def counted(answered: Counter[str], who: str, count: int) -> None:
    """Wait until `who` has answered `count` more requests; `who` empty: anybody."""

    def so_far() -> int:
        return answered[who] if who else answered.total()

    wanted = so_far() + count

    async def is_reached() -> bool:
        return so_far() >= wanted

    await until(is_reached, f"{count} more requests answered by {who or 'anybody'}: {answered}")


def started(command: Sequence[str], log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def service(
    name: ServiceName, mode: Mode, ports: dict[MemberName, int], *, protocol: Protocol = Protocol.HTTP
) -> ServicePolicy:
    """Return a service with members at `ports`, each with an HTTP probe on /health."""
    members = tuple(
        MemberPolicy(
            name=member,
            run=ProcessSpec(command=("true",)),
            port=port,
            probes=(ProbePolicy("alive", Purpose.LIVENESS, HttpCheck("127.0.0.1", port, "/health")),),
        )
        for member, port in ports.items()
    )
    traffic = TrafficPolicy(listen_host="127.0.0.1", listen_port=free_port(), protocol=protocol)
    return ServicePolicy(name=name, mode=mode, members=members, traffic=traffic)


class Stage:
    """Services, their members' processes, HAProxy, and the adapter under test."""

    def __init__(self, directory: Path, *services: ServicePolicy) -> None:
        self.directory = directory
        self.policy = Policy(system="stage", services={each.name: each for each in services})
        self.traffic = HaproxyTraffic(directory)
        self.members: dict[MemberName, subprocess.Popen[bytes]] = {}
        self.haproxy: subprocess.Popen[bytes] | None = None

    # --- processes ---

    async def start_members(self) -> None:
        for each in self.policy.services.values():
            for member in each.members:
                if member.name not in self.members:
                    await self.start_member(each.name, member.name)

    async def start_member(self, name: ServiceName, member: MemberName, *options: str) -> None:
        known = self.policy.services[name].member(member)
        assert known is not None
        assert known.port is not None
        backend = Path(__file__).with_name("traffic_backend.py")
        command = [sys.executable, "-I", str(backend), str(known.port), member, *options]
        self.members[member] = started(command)
        await until(lambda: answers("127.0.0.1", known.port or 0), f"{member} answers")

    def kill(self, member: MemberName) -> None:
        self.members[member].kill()
        self.members[member].wait()

    async def start_haproxy(self) -> None:
        spec = process(self.policy, self.directory)
        with (self.directory / "haproxy.log").open("ab") as log:
            self.haproxy = started(spec.command, log)
        await until(self.traffic.look, f"HAProxy answers: {self.log()}")

    def stop_haproxy(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End HAProxy with its workers, as the process adapter does with a whole control group."""
        assert self.haproxy is not None
        workers = Path(f"/proc/{self.haproxy.pid}/task/{self.haproxy.pid}/children").read_text().split()
        self.haproxy.send_signal(signal.SIGCONT)
        self.haproxy.send_signal(how)
        self.haproxy.wait()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)
        self.haproxy = None

    def log(self) -> str:
        return (self.directory / "haproxy.log").read_text()

    async def close(self) -> None:
        await self.traffic.close()
        if self.haproxy is not None:
            self.stop_haproxy(signal.SIGKILL)
        for member in self.members.values():
            member.kill()
            member.wait()

    # --- what is seen ---

    async def seen(self, name: ServiceName) -> ServiceTraffic:
        found = await self.traffic.look()
        assert found is not None
        return next(each for each in found if each.service == name)

    async def member(self, name: ServiceName, member: MemberName) -> MemberTraffic:
        return (await self.seen(name)).members[member]

    async def lanes(self, name: ServiceName) -> dict[MemberName, Lane]:
        return {member: each.lane for member, each in (await self.seen(name)).members.items()}

    async def until_up(self, name: ServiceName, *members: MemberName) -> None:
        async def are_up() -> bool:
            seen = (await self.seen(name)).members
            return all(seen[member].is_up for member in members)

        await until(are_up, f"{members} of {name} are up")

    async def route(self, name: ServiceName, active: MemberName | None, **lanes: Lane) -> None:
        result = await self.traffic.route(name, Routing(active, dict(lanes)))
        assert result.ending is Ending.DONE, result.error

    async def by_hand(self, *commands: str) -> list[str]:
        console = Console(self.directory / "haproxy" / "stats.sock")
        try:
            return await console.ask(*commands)
        finally:
            console.drop()

    async def is_settled(self) -> bool:
        """Tell whether the master process is done starting: until then it is deaf, to signals too."""
        console = Console(self.directory / "haproxy" / "master.sock")
        try:
            return bool(await console.ask("show proc"))
        except Silent:
            return False
        finally:
            console.drop()

    # --- clients ---

    def port(self, name: ServiceName) -> int:
        traffic = self.policy.services[name].traffic
        assert traffic is not None
        return traffic.listen_port

    async def get(self, name: ServiceName) -> str:
        """Return who answered one request of a new client; a word for how it failed otherwise."""
        return await request("127.0.0.1", self.port(name))

    async def served_by(self, name: ServiceName, *, count: int = 20) -> Counter[str]:
        return Counter([await self.get(name) for _ in range(count)])

    @asynccontextmanager
    async def clients(self, name: ServiceName, *, count: int = 4) -> AsyncIterator[Counter[str]]:
        """Have clients send requests all the while; count who answered."""
        answered: Counter[str] = Counter()
        is_over = asyncio.Event()

        async def client() -> None:
            while not is_over.is_set() and answered.total() < 100_000:
                answered[await self.get(name)] += 1
                await asyncio.sleep(0.002)

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(client())
            try:
                yield answered
            finally:
                is_over.set()

    @asynccontextmanager
    async def session(self, name: ServiceName) -> AsyncIterator[asyncio.StreamReader]:
        """Hold one request open that is never answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port(name))
        writer.write(b"GET /hold HTTP/1.1\r\nHost: stage\r\n\r\n")
        try:
            yield reader
        finally:
            writer.close()


async def request(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: stage\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in head.split(b"\r\n")[0]:
                    return head.split(b"\r\n")[0].decode()
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                return (await reader.readexactly(length)).decode()
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        return f"failed: {error!r}"


async def answers(host: str, port: int) -> bool:
    return not (await request(host, port)).startswith("failed")


def failures(answered: Counter[str], *members: MemberName) -> dict[str, int]:
    """Return what did not come from one of `members`."""
    return {who: count for who, count in answered.items() if who not in members}


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        os.sched_yield()  # its threads stop one after the other
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
