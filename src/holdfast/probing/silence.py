"""What it means that nothing came back in time.

The kernel answers a SYN for a hung service, until its accept queue is full; then it is silent. So silence
before the connection, on the own host, is looked into once: a full queue names the service, not the network.
Silence after the connection gets the queue as evidence too: connections that nobody accepts are waiting.
"""

from typing import Any

from holdfast.model.observation import Failure, Layer
from holdfast.model.time import Duration, Instant, show_duration
from holdfast.probing.accept_queue import AcceptQueues
from holdfast.probing.addresses import Address
from holdfast.probing.plug import Plug
from holdfast.probing.verdict import Verdict, failed, no_connection


class Silence:
    """Judges silence for all askers of one engine."""

    def __init__(self) -> None:
        self._queues = AcceptQueues()

    def before_connection(
        self, plug: Plug[Any], address: Address, timeout: Duration, now: Instant
    ) -> Verdict:
        """Return what an unanswered SYN proves."""
        queue = self._queues.find(address, now) if plug.is_local(address) else None
        if queue is None or not queue.is_full:
            return no_connection(timeout, address.text)
        evidence = f"accept queue {queue.waiting} of {queue.limit}"
        return failed(
            Layer.CONNECT,
            Failure.QUEUE_FULL,
            f"no connection to {address.text} within {show_duration(timeout)}: it accepts nothing ({evidence})",
        )

    def after_connection(self, plug: Plug[Any], address: Address, timeout: Duration, now: Instant) -> Verdict:
        """Return what a connection without an answer proves."""
        queue = self._queues.find(address, now) if plug.is_local(address) else None
        waiting = (
            f"; accept queue {queue.waiting} of {queue.limit}" if queue is not None and queue.waiting else ""
        )
        return failed(
            Layer.ANSWER, Failure.TIMED_OUT, f"no answer within {show_duration(timeout)} (connected{waiting})"
        )
