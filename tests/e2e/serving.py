"""A tiny HTTP server for the tests: says its name, writes down its life, and holds a lock while it lives.

With SLOW_START_S in its environment it takes so long until it answers.

Run as `python serving.py PORT NAME NOTES`. Into the file NOTES it writes a line for its start and its orderly end;
on NOTES.lock it holds a lock all its life, so that a second one beside it is noticed and noted as an overlap.
"""

import fcntl
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType


def main() -> None:
    port, name, notes = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

    def note(word: str) -> None:
        with notes.open("a", encoding="utf-8") as file:
            file.write(
                f"{word} {name} {os.getpid()} {os.environ.get('HOLDFAST_EPOCH', '')} {time.monotonic_ns()}\n"
            )

    def end(_signal: int, _frame: FrameType | None) -> None:
        note("stop")
        os._exit(0)

    lock = os.open(f"{notes}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("overlap")
    signal.signal(signal.SIGTERM, end)
    note("start")
    time.sleep(float(os.environ.get("SLOW_START_S", "0")))
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(1)
            try:
                connection.recv(65536)
                connection.sendall(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nConnection: close\r\n\r\n{name}".encode()
                )
            except OSError:
                continue


main()
