"""Taking a new file over, when it is this host's turn: as holdfast.agent.cluster.sharing does."""

from typing import TYPE_CHECKING

from holdfast.loop.cluster import rollout
from holdfast.model.ids import ComponentId, HostName
from holdfast.model.time import SECOND
from holdfast.sim.checking import Violation

if TYPE_CHECKING:
    from holdfast.sim.cluster.agent import ClusterAgent

_LOOK_EVERY = SECOND // 2


class Sharing:
    """One host's copy of the shared file."""

    def __init__(self, agent: "ClusterAgent") -> None:
        self._agent = agent
        self._newest = agent.host.policy_number
        self._is_waiting = False
        self._down_before: dict[HostName, frozenset[ComponentId]] = {}

    def see(self, number: int) -> None:
        """Learn which file stands in the coordinator."""
        if number < self._newest:
            raise Violation("policy", f"file {number} came after {self._newest} on {self._agent.host.name}")
        if number > self._newest:
            revision = self._agent.host.files[number].revision
            self._down_before = rollout.down_before(self._agent.state, revision)
        self._newest = number
        if not self._is_waiting:
            self._look()

    def _look(self) -> None:
        self._is_waiting = False
        agent, host = self._agent, self._agent.host
        if agent.is_over or self._newest <= host.policy_number:
            return
        policy = host.files[self._newest]
        if rollout.why_wait(agent.state, policy.revision, self._down_before):
            self._is_waiting = True
            agent.clock.after(_LOOK_EVERY, self._look)
            return
        host.policy_number = self._newest
        agent.give_policy(policy)
