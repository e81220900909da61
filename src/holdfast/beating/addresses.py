"""Where the peers are: addresses as they stand in the file, and as the kernel wants them.

A name has to be looked up, which may take seconds, and may fail just when the network does. So that is done beside the
beating, again and again, and the last answer counts until there is a newer one.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, TypeAlias

from holdfast.model.ids import HostName

Where: TypeAlias = tuple[str, int]  # an address or a name, and a port
SocketAddress: TypeAlias = tuple[Any, ...]  # two parts in IPv4, four in IPv6

_AGAIN_S, _AGAIN_MISSING_S = 60.0, 2.0


class Addresses:
    """The peers' addresses for one socket."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
        self._named: dict[HostName, Where] = {}
        self._found: dict[HostName, tuple[Where, SocketAddress]] = {}
        self._task: asyncio.Task[None] | None = None

    def set(self, peers: Mapping[HostName, Where]) -> None:
        """Look for these, and only for these."""
        self._found = {host: found for host, found in self._found.items() if peers.get(host) == found[0]}
        self._named = {}
        for host, where in peers.items():
            address = self._read(where)
            if address is None:
                self._named[host] = where
            else:
                self._found[host] = (where, address)
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._named:
            self._task = asyncio.get_running_loop().create_task(self._look_up(), name="peer addresses")

    def of(self, host: HostName) -> SocketAddress | None:
        """Return where the host is; None while that is not known."""
        found = self._found.get(host)
        return found[1] if found is not None else None

    async def close(self) -> None:
        """Look for nobody any more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _read(self, where: Where) -> SocketAddress | None:
        """Return the address if it is a number, for which nobody has to be asked."""
        flags = self._flags | socket.AI_NUMERICHOST
        try:
            return socket.getaddrinfo(*where, self._family, socket.SOCK_DGRAM, 0, flags)[0][4]
        except socket.gaierror:
            return None

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for host, where in self._named.items():
                try:
                    found = await loop.getaddrinfo(
                        *where, family=self._family, type=socket.SOCK_DGRAM, flags=self._flags
                    )
                except OSError:  # gaierror is one
                    continue
                self._found[host] = (where, found[0][4])
            is_complete = self._named.keys() <= self._found.keys()
            await asyncio.sleep(_AGAIN_S if is_complete else _AGAIN_MISSING_S)
