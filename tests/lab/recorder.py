"""The shared store of the lab, and its memory: takes the marks of all primaries and writes the history.

    recorder.py SOCKET HISTORY [--refuse-stale]

It listens on a path, so no partition of the network cuts it off. Each mark is a write tagged with an epoch. With --refuse-stale
it refuses those under the highest epoch it has seen of the service, as a store with fencing does; without, it takes all. Either
way the history says which, and the judge makes up its own mind.

Its own heartbeats stand in the history too: where they are missing, nobody knows what happened.
"""

import argparse
import json
import os
import select
import socket
import time
from typing import Any

BEAT_EVERY_S = 0.02
BATCH_MAX = 256


class Store:
    """The highest epoch of each service that was written."""

    def __init__(self, *, refuses_stale: bool) -> None:
        self._refuses_stale = refuses_stale
        self._highest: dict[str, int] = {}

    def write(self, mark: dict[str, Any]) -> bool:
        """Return whether the write is accepted."""
        highest = self._highest.get(mark["service"], 0)
        if mark["epoch"] < highest and self._refuses_stale:
            return False
        self._highest[mark["service"]] = max(highest, mark["epoch"])
        return True


def record(marks: socket.socket, history: int, store: Store) -> None:
    beat_at = 0.0
    while True:
        select.select([marks], [], [], BEAT_EVERY_S)
        lines = [
            {**mark, "received": _now(), "accepted": store.write(mark)}
            for mark in map(json.loads, _taken(marks))
        ]
        if time.monotonic() >= beat_at:
            lines.append({"is": "beat", "at": _now()})
            beat_at = time.monotonic() + BEAT_EVERY_S
        if lines:
            os.write(history, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _taken(marks: socket.socket) -> list[bytes]:
    taken: list[bytes] = []
    while len(taken) < BATCH_MAX:
        try:
            taken.append(marks.recv(65536))
        except BlockingIOError:
            break
    return taken


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def main() -> None:
    parser = argparse.ArgumentParser(description="The shared store of the lab.")
    parser.add_argument("socket")
    parser.add_argument("history")
    parser.add_argument("--refuse-stale", action="store_true")
    options = parser.parse_args()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as marks:
        marks.setblocking(False)
        marks.bind(options.socket)
        history = os.open(options.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        record(marks, history, Store(refuses_stale=options.refuse_stale))


if __name__ == "__main__":
    main()
