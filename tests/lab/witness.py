"""A component that bears witness: it serves HTTP, and tells a store outside all partitions each time that it serves.

    witness.py serve --name h1 --service db --port 8080 --history FILE [--marks SOCKET] [--control SOCKET]
    witness.py promote --control SOCKET         as the hooks of a member that has roles
    witness.py demote --control SOCKET

As primary it marks "I serve, under epoch e" every 5 ms on a Unix datagram socket: a path, which no network partition cuts. Each request
that it answers it notes in the history before it answers. As standby it does neither, and answers with 503.
GET /health is answered in either role, and noted in neither.

Instants are nanoseconds of CLOCK_BOOTTIME as the machine counts them: one clock for all hosts of the lab. The standard
library only, so that it starts in an instant.
"""

import argparse
import json
import os
import socket
import threading
import time
from pathlib import Path

MARK_EVERY_S = 0.005
REQUEST_WITHIN_S = 1.0


class Witness:
    """What it is at present, and whom it tells."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.name: str = options.name
        self.service: str = options.service
        # Without a word about roles it is primary from its start, as whatever another manager starts.
        self.is_primary = os.environ.get("HOLDFAST_START_ROLE", "primary") == "primary"
        self.epoch = _epoch()
        self.lost = 0  # marks that nobody took
        # Held while it marks or answers: when a demotion has the lock, nothing is under way any more.
        self._lock = threading.Lock()
        self._ahead = _boot_offset()
        self._history = os.open(options.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._marks: str | None = options.marks
        self._teller = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._teller.setblocking(False)

    def become(self, *, primary: bool, epoch: int) -> None:
        with self._lock:
            self.is_primary, self.epoch = primary, epoch

    def mark_for_ever(self) -> None:
        while True:
            if self._marks is not None:
                self._mark(self._marks)
            time.sleep(MARK_EVERY_S)

    def _mark(self, store: str) -> None:
        with self._lock:
            if not self.is_primary:
                return
            try:
                self._teller.sendto(json.dumps({**self._said("mark"), "lost": self.lost}).encode(), store)
            except OSError:  # the store's queue is full, or it is not there
                self.lost += 1

    def answer(self, client: socket.socket) -> None:
        with client:
            client.settimeout(REQUEST_WITHIN_S)
            try:
                asked = client.recv(65536)
                if asked.startswith(b"GET /health"):  # a probe, no client: nothing is noted
                    _send(client, "200 OK", "up")
                    return
                with self._lock:
                    if not self.is_primary:
                        _send(client, "503 Standby", "not primary")
                        return
                    os.write(self._history, json.dumps(self._said("served")).encode() + b"\n")
                    _send(client, "200 OK", self.name)
            except OSError:
                return

    def _said(self, what: str) -> dict[str, object]:
        at = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._ahead
        return {
            "is": what,
            "at": at,
            "service": self.service,
            "host": self.name,
            "pid": os.getpid(),
            "epoch": self.epoch,
        }


def _send(client: socket.socket, status: str, body: str) -> None:
    client.sendall(f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def serve(options: argparse.Namespace) -> None:
    witness = Witness(options)
    listener = socket.create_server((options.bind, options.port), backlog=512)
    threading.Thread(target=witness.mark_for_ever, daemon=True).start()
    if options.control is not None:
        threading.Thread(target=obey, args=(witness, options.control), daemon=True).start()
    while True:
        client, _ = listener.accept()
        threading.Thread(target=witness.answer, args=(client,), daemon=True).start()


def obey(witness: Witness, control: Path) -> None:
    """Take the hooks' words; each is answered once it holds."""
    control.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(control))
        listener.listen()
        while True:
            caller, _ = listener.accept()
            with caller:
                role, epoch = caller.recv(1024).decode().split()
                witness.become(primary=role == "promote", epoch=int(epoch))
                caller.sendall(b"done")


def tell(role: str, control: Path) -> int:
    """Be a hook: return its exit code."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(control))
            asking.sendall(f"{role} {_epoch()}".encode())
            return 0 if asking.recv(1024) == b"done" else 1
        except OSError:
            # There is nobody to demote: that is what was wanted. But nobody can have been promoted.
            return 0 if role == "demote" else 1


def _epoch() -> int:
    return int(os.environ.get("HOLDFAST_EPOCH", "0"))


def _boot_offset() -> int:
    """Return how far our clock is ahead of the machine's, in a time namespace."""
    try:
        lines = Path("/proc/self/timens_offsets").read_text("ascii").splitlines()
    except OSError:
        return 0
    offsets = {name: int(seconds) * 10**9 + int(rest) for name, seconds, rest in map(str.split, lines)}
    return offsets.get("boottime", 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="A component that bears witness.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serving = verbs.add_parser("serve")
    serving.add_argument("--name", required=True)
    serving.add_argument("--service", default="witness")
    serving.add_argument("--bind", default="0.0.0.0")
    serving.add_argument("--port", type=int, required=True)
    serving.add_argument("--history", required=True)
    serving.add_argument("--marks")
    serving.add_argument("--control", type=Path)
    for role in ("promote", "demote"):
        verbs.add_parser(role).add_argument("--control", type=Path, required=True)
    options = parser.parse_args()
    if options.verb != "serve":
        return tell(options.verb, options.control)
    serve(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
