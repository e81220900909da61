"""Telling systemd how we are (sd_notify): one datagram per message, and nothing at all outside systemd.

The watchdog's sign of life is sent by the turning loop itself, not by a thread of its own: a loop that hangs must
not look alive.
"""

import os
import socket

from holdfast.model.time import Duration


class Notifier:
    """The socket that systemd listens on. Without one every call does nothing."""

    def __init__(self, address: str | None, watchdog: Duration | None) -> None:
        self._socket: socket.socket | None = None
        self.alive_every: Duration | None = None  # a third of what systemd waits for
        if not address:
            return
        # A leading @ names an abstract socket, which the kernel spells with a NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self.alive_every = watchdog // 3 if watchdog else None

    def ready(self) -> None:
        """Say that the first full look at the world is done."""
        self._send("READY=1")

    def alive(self) -> None:
        """Say that the loop turns."""
        self._send("WATCHDOG=1")

    def status(self, line: str) -> None:
        """Say in one line how things are, for `systemctl status`."""
        self._send("STATUS=" + line.replace("\n", " "))

    def reloading(self, at_us: int) -> None:
        """Say that the file is being read again; `at_us` is CLOCK_MONOTONIC in microseconds. `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={at_us}")

    def stopping(self) -> None:
        """Say that the agent is leaving."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            # systemd is restarting, or its queue is full: the next sign of life comes soon.
            return


def from_environment() -> Notifier:
    """Return the notifier that systemd's variables ask for, and take them out of our children's environment."""
    address = os.environ.pop("NOTIFY_SOCKET", None)
    interval = os.environ.pop("WATCHDOG_USEC", "")
    for_whom = os.environ.pop("WATCHDOG_PID", "")
    is_ours = not for_whom or for_whom == str(os.getpid())
    watchdog = int(interval) * 1000 if interval.isdigit() and is_ours else None
    return Notifier(address, watchdog)
