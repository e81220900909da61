"""A component for the tests: `program.py WHAT ...`. Standard library only; started with python -S."""
# ruff: noqa: T201 - it talks to the test through its output

import os
import signal
import socket
import sys
import time


def listen(port: int) -> None:
    """Serve a port that only one process may hold, from a child that outlives its parent."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    if os.fork() == 0:
        time.sleep(1000)
    print("listening", flush=True)
    time.sleep(1000)


def daemonise(*, environment: dict[str, str]) -> None:
    """Leave a child, a daemon by the book, and one that forked once; then stay."""
    if os.fork() == 0:
        time.sleep(1000)
    for forks in (1, 2):
        if (child := os.fork()) == 0:
            os.setsid()
            if forks == 2 and os.fork() != 0:
                os._exit(0)
            os.execve("/bin/sleep", ["sleep", "1000"], environment)
        if forks == 2:
            os.waitpid(child, 0)
    print("daemons away", flush=True)
    time.sleep(1000)


def ignore(name: str) -> None:
    """Ignore a signal."""
    signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
    print("ignoring", flush=True)
    while True:
        time.sleep(1000)


def grow(mebibytes: int) -> None:
    """Hold memory that takes the kernel a while to tear down."""
    held = bytearray(mebibytes << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1
    print("grown", flush=True)
    time.sleep(1000)


def main() -> None:
    """Do what the first argument says."""
    match sys.argv[1:]:
        case ["listen", port]:
            listen(int(port))
        case ["daemonise"]:
            daemonise(environment=dict(os.environ))
        case ["daemonise-clean"]:
            daemonise(environment={})
        case ["ignore", name]:
            ignore(name)
        case ["grow", mebibytes]:
            grow(int(mebibytes))
        case unknown:
            raise SystemExit(f"unknown: {unknown}")


main()
