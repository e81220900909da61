"""Who reaches whom: asked with real datagrams and connections, each way by itself."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from tests.lab.network import Network

PORT = 9999
ARRIVES_WITHIN_S = 0.3  # a datagram between two namespaces takes microseconds; a busy machine takes its time


class Listeners:
    """A datagram socket on each host."""

    def __init__(self, network: Network, port: int = PORT) -> None:
        self._network = network
        self._port = port
        self._sockets: dict[str, socket.socket] = {}

    def arriving(self, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Send one datagram for each pair (from, to) and return those that arrived."""
        word = os.urandom(8)
        wanted = set(pairs)
        for sender, target in wanted:
            message = word + sender.encode()
            try:
                self._sockets[sender].sendto(message, (self._network[target].address, self._port))
            except OSError:
                continue  # no carrier, no route: nothing arrives
        found = set()
        for target, listener in self._sockets.items():
            expected = {sender for sender, to in wanted if to == target}
            if not expected:
                continue
            for message in _messages(listener):
                if not message.startswith(word):
                    continue  # from an earlier question, held up until a neighbour was found
                sender = message.removeprefix(word).decode()
                found.add((sender, target))
                expected.discard(sender)
                if not expected:
                    break
        return found

    def map(self, names: Iterable[str]) -> set[tuple[str, str]]:
        """Return which of these hosts are heard by which."""
        names = tuple(names)
        return self.arriving((one, other) for one in names for other in names if one != other)


def _messages(listener: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield listener.recv(1024)
        except TimeoutError:
            return


@contextmanager
def listening(network: Network, names: Iterable[str]) -> Iterator[Listeners]:
    listeners = Listeners(network)
    with ExitStack() as stack:
        for name in names:
            host = network[name]
            with host.entered():
                listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            listener.bind((host.address, PORT))
            listener.settimeout(ARRIVES_WITHIN_S)
            listeners._sockets[name] = listener
        yield listeners


def connects(network: Network, source: str, target: str, port: int) -> bool:
    """Return whether a TCP connection is made in time."""
    with network[source].entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with asking:
        asking.settimeout(ARRIVES_WITHIN_S)
        try:
            asking.connect((network[target].address, port))
        except OSError:
            return False
        return True
