"""Targets to be probed, and an ear for what the probes report. Real sockets on loopback, ended by whoever opened them."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from holdfast.model.observation import Observation
from holdfast.model.policy import Check, ExecCheck, HttpCheck, ProbePolicy, Purpose, TcpCheck
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.ports.probing import Probing
from holdfast.probing import ProbeEngine

PATIENCE = 30.0  # seconds that any condition may take on a busy machine
NEVER = 3600 * SECOND  # an interval that no test lives to see

Serve = Callable[[socket.socket], None]


def probe(
    check: Check,
    name: str = "check",
    *,
    every: Duration = 100 * MILLISECOND,
    every_suspect: Duration = 100 * MILLISECOND,
    timeout: Duration = 10 * SECOND,
    fall: int = 3,
    rise: int = 1,
) -> ProbePolicy:
    return ProbePolicy(
        name,
        Purpose.READINESS,
        check,
        every=every,
        every_suspect=every_suspect,
        timeout=timeout,
        jitter=0.0,
        fall=fall,
        rise=rise,
    )


def tcp(port: int, host: str = "127.0.0.1", *, send: str = "", expect: str = "") -> TcpCheck:
    return TcpCheck(host, port, send, expect)


def http(port: int, path: str = "/health", *, expect_body: str = "", host: str = "127.0.0.1") -> HttpCheck:
    return HttpCheck(host, port, path, expect_body=expect_body)


def program(*command: str) -> ExecCheck:
    return ExecCheck(command)


# --- listening to the probes --------------------------------------------------------------------------


class Ear:
    """Keeps what was reported, and lets a test wait for more."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str, Observation]] = []
        self._news = asyncio.Event()

    def __call__(self, component: str, name: str, incarnation: str, observation: Observation) -> None:
        self.heard.append((component, name, incarnation, observation))
        self._news.set()

    def of(self, name: str) -> list[Observation]:
        return [observation for _, heard, _, observation in self.heard if heard == name]

    async def until(self, is_met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_met():
                self._news.clear()
                await self._news.wait()

    async def count(self, number: int, name: str = "check") -> list[Observation]:
        await self.until(lambda: len(self.of(name)) >= number)
        return self.of(name)


@contextlib.asynccontextmanager
async def probing() -> AsyncIterator[tuple[Probing, Ear]]:
    engine: Probing = ProbeEngine(random.Random(7))
    ear = Ear()
    engine.watch(ear)
    try:
        yield engine, ear
    finally:
        await engine.close()


def ask(*policies: ProbePolicy, times: int = 1) -> list[Observation]:
    """Return what the first probe brought back, once all have answered `times`."""

    async def main() -> list[Observation]:
        async with probing() as (engine, ear):
            engine.set("orders/a", "1:1", policies)
            for policy in policies:
                await ear.count(times, policy.name)
            return ear.of(policies[0].name)

    return asyncio.run(main())


def ask_once(check: Check, *, timeout: Duration = 10 * SECOND) -> Observation:
    return ask(probe(check, every=NEVER, timeout=timeout))[0]


# --- targets ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener(*, host: str = "127.0.0.1", backlog: int = 128) -> Iterator[tuple[socket.socket, int]]:
    """A port that the kernel answers for; nobody accepts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.bind((host, 0))
        listening.listen(backlog)
        yield listening, listening.getsockname()[1]


def refused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextlib.contextmanager
def server(serve: Serve, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port at which `serve` is called for each connection, on a thread of its own."""
    with listener(host=host) as (listening, port):
        threads: list[threading.Thread] = []
        open_connections: set[socket.socket] = set()

        def handle(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if tls is None:
                    serve(connection)
                else:
                    with tls.wrap_socket(connection, server_side=True) as secured:
                        serve(secured)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                open_connections.add(connection)
                threads.append(threading.Thread(target=handle, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield port
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE)
            for connection in open_connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE)


def answering(*pieces: bytes, keeps: bool = True) -> Serve:
    """Answer every request on a connection with `pieces`, one send each."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(65536):
            for piece in pieces:
                connection.sendall(piece)
            if not keeps:
                return

    return serve


def resetting(connection: socket.socket, first: bytes = b"") -> None:
    """Read the question, perhaps say something, and reset the connection."""
    connection.recv(65536)
    if first:
        connection.sendall(first)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silent(connection: socket.socket) -> None:
    """Read, and never answer."""
    while connection.recv(65536):
        pass


_STOPPABLE = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def stopped_server() -> Iterator[int]:
    """A server process stopped by a signal: the kernel accepts, nobody answers."""
    process = subprocess.Popen([sys.executable, "-c", _STOPPABLE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        try:
            port = int(output.readline())
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            yield port
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """A listener whose accept queue is full: the kernel answers no SYN any more."""
    with listener(backlog=0) as (_, port), contextlib.ExitStack() as clients:
        for _ in range(4):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for `name`; return what a server needs, and the file to trust."""
    key, certificate_file = folder / "key.pem", folder / "certificate.pem"
    kind = "IP" if name[0].isdigit() else "DNS"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", str(key), "-out", str(certificate_file), "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName={kind}:{name}"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key)
    return context, certificate_file
