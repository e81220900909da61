"""What a neighbour on the network knows of an address: which hardware it takes it for, and who announces it."""

import json
import socket
import threading
from types import TracebackType
from typing import Self

from tests.lab.network import Host

_ARP = 0x0806
_POLL_S = 0.2


def resolved(host: Host, address: str, *, is_asking: bool = True) -> str | None:
    """Return the hardware address that `host` knows for `address`. `is_asking`: it has to find out, if it does not know."""
    if is_asking:
        with host.entered():
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with line:
            line.sendto(b"", (address, 9))  # discard: what counts is that it has to know where to send it
    known = json.loads(host.run(["ip", "-j", "neigh", "show", address]) or "[]")
    return next((str(entry["lladdr"]) for entry in known if "lladdr" in entry), None)


class Announcements:
    """Listens for gratuitous ARP: who says, unasked, that an address is where it is."""

    def __init__(self, host: Host, address: str) -> None:
        self._address = socket.inet_aton(address)
        self._seen: list[str] = []
        self._is_over = threading.Event()
        with host.entered():
            self._line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP))
        self._line.settimeout(_POLL_S)
        self._listener = threading.Thread(target=self._listen)

    def by(self, mac: str) -> int:
        """Return how often it was announced to be at this hardware address."""
        return self._seen.count(mac)

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                packet = self._line.recv(64)
            except TimeoutError:
                continue
            arp = packet[14:]
            mac, sender, target = arp[8:14], arp[14:18], arp[24:28]
            if sender == target == self._address:
                self._seen.append(mac.hex(":"))

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._listener.join()
        self._line.close()
