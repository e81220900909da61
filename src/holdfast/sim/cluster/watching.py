"""Watching the coordinator: each host is sent what stands there, in order, as far as the link between carries it.

What changes within a few milliseconds comes as one view, or key by key: the epoch of a lease that was just taken may come into sight
before its holder does.
"""

from functools import partial

from holdfast.model.cluster import ClusterView
from holdfast.model.time import MILLISECOND, SECOND, Instant
from holdfast.model.value import replace
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clockwork
from holdfast.sim.cluster.agent import ClusterAgent
from holdfast.sim.cluster.host import Host
from holdfast.sim.cluster.network import STORE, Network
from holdfast.sim.cluster.store import Store

_TOGETHER = 5 * MILLISECOND
_AGAIN = SECOND // 5


class Watching:
    """The watch of one host, through all lives of its agent."""

    def __init__(self, host: Host, world: Clockwork, chance: Chance, network: Network, store: Store) -> None:
        self._host = host
        self._world = world
        self._chance = chance
        self._network = network
        self._store = store
        self._is_planned = False
        self._sent: tuple[ClusterView, int] | None = None
        self._arrives: Instant = 0
        store.followers.append(self.plan)

    def begin(self) -> None:
        """Show a new life of the agent everything."""
        self._sent = None
        self.plan()

    def plan(self) -> None:
        """Send what stands there, soon."""
        if not self._is_planned:
            self._is_planned = True
            self._world.after(_TOGETHER, self._send)

    def _send(self) -> None:
        self._is_planned = False
        agent = self._host.live_agent
        if agent is None:
            return
        now = (self._store.view(), self._store.policy_number)
        if now == self._sent:
            return
        if self._store.is_away or not self._network.is_open((STORE, self._host.name)):
            self._is_planned = True
            self._world.after(_AGAIN, self._send)
            return
        before, self._sent = self._sent, now
        if before is not None and before[0].lease_epochs != now[0].lease_epochs and self._chance.often(0.2):
            self._deliver(agent, replace(before[0], lease_epochs=now[0].lease_epochs), before[1])
        self._deliver(agent, *now)

    def _deliver(self, agent: ClusterAgent, view: ClusterView, number: int) -> None:
        delay = self._network.delay((STORE, self._host.name))
        self._arrives = max(self._arrives, self._world.now + delay)
        see = partial(agent.see, view, number)
        self._world.at(self._arrives, partial(self._host.agent_clock.passed, see))
