"""Turning the cluster loop: one queue, one state, and who is told of each turn.

As with the loop beside it, turning never waits for the world. It measures how late it is itself: a loop that comes late must not
blame others for the silence that it slept through.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from holdfast.agent import clock
from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.cluster.turn import next_wake, turn
from holdfast.model.cluster_events import ClusterEvent, Order, TimePassed
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.model.value import Value

_WAKE_MIN = MILLISECOND


class ClusterTurned(Value, frozen=True):
    """What one turn of the cluster loop was."""

    at: Instant
    before: ClusterState
    after: ClusterState
    orders: tuple[Order, ...]


class ClusterTurning:
    """The cluster loop's state, and the queue of what happened."""

    def __init__(self, state: ClusterState) -> None:
        self.state = state
        self.turned_at: Instant = clock.now()
        self._events: deque[ClusterEvent] = deque()
        self._woken = asyncio.Event()
        self._followers: list[Callable[[ClusterTurned], None]] = []
        self.before_judging: Callable[[], None] = lambda: (
            None
        )  # hear what the sockets hold: it was said before now

    def follow(self, follower: Callable[[ClusterTurned], None]) -> None:
        """Tell `follower` of every turn from now on. It must not wait, nor turn."""
        self._followers.append(follower)

    def follow_view(self, follower: Callable[[], None]) -> None:
        """Tell `follower` of every turn that changes what is seen of the coordinator. It must not wait, nor turn."""

        def follow(turned: ClusterTurned) -> None:
            if turned.after.view is not turned.before.view:
                follower()

        self.follow(follow)

    def put(self, event: ClusterEvent) -> None:
        """Turn this event soon."""
        self._events.append(event)
        self._woken.set()

    def replace(self, state: ClusterState) -> None:
        """Take over a state that remembers more, such as which beat was sent: nothing follows from it."""
        self.state = state

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            while self._events:
                self._turn(self._events.popleft())
            await self._wait()

    async def _wait(self) -> None:
        self._woken.clear()
        if self._events:
            return
        slept_at = clock.now()
        due = max(next_wake(self.state, slept_at), slept_at + _WAKE_MIN)
        try:
            async with asyncio.timeout((due - slept_at) / SECOND):
                await self._woken.wait()
        except TimeoutError:
            pass
        late = clock.now() - due
        if late < 0:
            return  # something happened, and in time
        self.before_judging()
        # First of all: what did not come while we slept too long is nobody's fault but ours.
        self._events.appendleft(TimePassed(late))

    def _turn(self, event: ClusterEvent) -> None:
        at = self.turned_at = clock.now()
        before = self.state
        after, orders = turn(before, event, at)
        self.state = after
        turned = ClusterTurned(at, before, after, orders)
        for follower in self._followers:
            follower(turned)
