"""Coordination for user programs: locks with fencing tokens, elections, semaphores, members and shared values.

    async with connect("embedded:///var/lib/shop") as client:
        async with client.lock("report", ttl=10) as held:
            ...

See docs/client.md. Programs without an event loop use `connect_blocking`.
"""

from holdfast.client.blocking import BlockingClient, BlockingHeld, connect_blocking
from holdfast.client.client import Client, connect
from holdfast.client.errors import LostError, WaitedTooLongError
from holdfast.client.holding import Held
from holdfast.coordination.address import AddressError
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    CoordinationError,
    SessionLostError,
    UnavailableError,
    UnknownError,
)

__all__ = [
    "AddressError",
    "BlockingClient",
    "BlockingHeld",
    "Client",
    "Condition",
    "ConflictError",
    "CoordinationError",
    "Held",
    "LostError",
    "SessionLostError",
    "UnavailableError",
    "UnknownError",
    "WaitedTooLongError",
    "connect",
    "connect_blocking",
]
