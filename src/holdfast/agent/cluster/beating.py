"""Beating: a heartbeat every `heartbeat`, and one at once when there is something new to tell."""

import asyncio
from collections.abc import Callable

from holdfast.agent import clock
from holdfast.agent.cluster.turning import ClusterTurned, ClusterTurning
from holdfast.agent.log import Level, Line
from holdfast.beating import Beating, Ours
from holdfast.loop.cluster import showing
from holdfast.model.beats import Beat
from holdfast.model.cluster_events import BeatHeard
from holdfast.model.policy import Policy
from holdfast.model.time import MILLISECOND, SECOND, Instant

_APART_MIN = 10 * MILLISECOND  # news may come in bursts


class HeartBeating:
    """The heart of one agent."""

    def __init__(self, turning: ClusterTurning, secret: bytes, say: Callable[[Line], None]) -> None:
        self._turning = turning
        self._secret = secret
        self._say = say
        self._transport: Beating | None = None
        self._hurry = asyncio.Event()

    def __call__(self, turned: ClusterTurned) -> None:
        """Follow the cluster loop: what changed here is told without waiting for the next beat."""
        before, after = turned.before, turned.after
        if after.report.number != before.report.number or after.promises != before.promises:
            self._hurry.set()
        if after.policy is not before.policy:
            self._speak_to(after.policy)

    async def open(self) -> None:
        """Listen for beats; OSError if this host's address cannot be listened on."""
        state = self._turning.state
        assert state.policy.cluster is not None
        self._transport = await Beating.open(
            Ours(state.policy.system, state.me, state.life),
            (state.policy.hosts[state.me].address, state.policy.cluster.port),
            {},
            secret=self._secret,
            on_beat=self._heard,
            say=lambda text: self._say(Line(Level.WARN, "beats", "refused", text)),
        )
        self._speak_to(state.policy)

    @property
    def refused(self) -> dict[str, int]:
        """Return how many packets were not believed, by reason."""
        return self._transport.counts if self._transport is not None else {}

    def drain(self) -> None:
        """Hear what the socket holds."""
        if self._transport is not None:
            self._transport.drain()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat()
            assert self._turning.state.policy.cluster is not None
            every = self._turning.state.policy.cluster.heartbeat
            await asyncio.sleep(_APART_MIN / SECOND)
            try:
                async with asyncio.timeout(max(every - _APART_MIN, 0) / SECOND):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()

    async def close(self) -> None:
        """Fall silent."""
        if self._transport is not None:
            await self._transport.close()

    def _beat(self) -> None:
        state, beat = showing.next_beat(self._turning.state, clock.now())
        self._turning.replace(state)
        if self._transport is not None:
            self._transport.send(beat)

    def _heard(self, beat: Beat, at: Instant) -> None:
        self._turning.put(BeatHeard(beat, at))

    def _speak_to(self, policy: Policy) -> None:
        if self._transport is not None and policy.cluster is not None:
            port = policy.cluster.port
            self._transport.set_peers({name: (host.address, port) for name, host in policy.hosts.items()})
