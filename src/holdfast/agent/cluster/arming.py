"""Arming the guard: before a member serves under a lease its deadline is armed, and it is moved away only as the lease is.

The agent may hang at any instant from then on: the guard ends the member at its deadline all the same. So what permits a
member to serve is asked here, last thing before the adapter is called, and not answered before the guard has answered.
"""

import asyncio
from collections.abc import Callable

from holdfast.agent import clock
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.log import Level, Line
from holdfast.components.guarding import Guarding
from holdfast.guard.facts import Facts
from holdfast.loop.cluster import leasing
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import lease_of
from holdfast.model.ids import ComponentId, Epoch, ServiceName, component_id, member_of, service_of
from holdfast.model.time import SECOND, Duration, Instant

_ENDS_WITHIN: Duration = 2 * SECOND


class Arming:
    """What the guard is to know of this host's leases."""

    def __init__(
        self,
        guarding: Guarding,
        facts: Callable[[ComponentId], Facts | str],
        facts_to_be: Callable[[ComponentId], Facts],
        state: Callable[[], ClusterState],
        say: Callable[[Line], None],
    ) -> None:
        self._guarding = guarding
        self._facts = facts
        self._facts_to_be = facts_to_be
        self._state = state
        self._say = say
        self._armed: set[ComponentId] = set()
        self._woken = asyncio.Event()
        self._one = asyncio.Lock()
        self.problem = ""  # the guard does not do its work: leases must not be renewed

    def __call__(self, turned: ClusterTurned) -> None:
        """Follow the cluster loop: what it holds may have changed."""
        if turned.after.held is not turned.before.held or turned.after.report is not turned.before.report:
            self._woken.set()

    async def permit(self, component: ComponentId, epoch: Epoch) -> tuple[str, Instant]:
        """Arm the guard for a member that is about to serve under `epoch`; return why it must not, and its deadline."""
        async with self._one:
            state = self._state()
            name = service_of(component)
            entitlement = leasing.entitlements(state, clock.now()).get(name)
            if entitlement is None or entitlement.member != member_of(component) or entitlement.is_ending:
                return f"this host does not hold the lease of {name} for it", 0
            if lease_of(epoch) != entitlement.epoch:
                return f"epoch {epoch} is not of the lease that this host holds, epoch {entitlement.epoch}", 0
            deadline = leasing.deadlines(state)[name]
            self._armed.add(component)  # now: given up or unanswered, the call may have armed it all the same
            if error := await self._arm(component, deadline):
                return f"the guard is not armed: {error}", 0
            return "", deadline

    async def until_ended(self, component: ComponentId) -> str:
        """Await that the guard does not end the component's last life any more; return why it does, after a while."""
        return await self._guarding.until_ended(component, _ENDS_WITHIN)

    async def began(self, component: ComponentId) -> None:
        """Tell the guard of the process that was started: until now it knew only by what mark to find it."""
        async with self._one:
            state, name = self._state(), service_of(component)
            held = state.held.get(name)
            if held is None or held.member != member_of(component):
                return  # the lease is not for it: it serves nobody, and nothing would move its deadline away
            self._armed.add(component)
            if error := await self._arm(component, leasing.deadlines(state)[name]):
                self._say(
                    Line(Level.ERROR, component, "guard", f"it knows the component by its mark only: {error}")
                )

    async def run(self) -> None:
        """Keep the guard's deadlines as the leases are, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            async with self._one:
                await self._follow_up(self._state())

    async def _follow_up(self, state: ClusterState) -> None:
        deadlines = {
            component_id(name, state.held[name].member): deadline
            for name, deadline in leasing.deadlines(state).items()
            if not _needs_none(state, name)
        }
        serving = {id_ for id_ in deadlines if not _is_clear(state, id_)}
        # Also those that do not serve at present: at the deadline of its last life the guard would end the next one.
        kept = serving | (self._armed & deadlines.keys())
        problem = ""
        if kept:
            refused = await self._guarding.extend({id_: deadlines[id_] for id_ in kept})
            for id_ in serving & refused.keys():
                why = refused[id_]
                # An earlier life of the guard, or of this agent, may have left it without a deadline.
                if error := await self._arm(id_, deadlines[id_]):
                    problem = f"the deadline of {id_} could not be moved: {why}; {error}"
        for id_ in self._armed - deadlines.keys():
            may_serve_on = _is_clear(state, id_) or _needs_none(state, service_of(id_))
            if may_serve_on and await self._guarding.disarm(id_) is None:
                self._armed.discard(id_)
        self._armed |= serving
        self._tell(problem)

    async def _arm(self, id_: ComponentId, deadline: Instant) -> str:
        """Arm one component; return why that did not work, if so."""
        facts = self._facts(id_)
        if isinstance(facts, str):
            facts = self._facts_to_be(id_)
        return await self._guarding.arm(id_, facts, deadline) or ""

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            level = Level.ERROR if problem else Level.INFO
            self._say(
                Line(level, "guard", "trouble" if problem else "well", problem or "all deadlines are kept")
            )
        self.problem = problem


def _is_clear(state: ClusterState, id_: ComponentId) -> bool:
    report = state.report.members.get(id_)
    return report is None or report.is_clear


def _needs_none(state: ClusterState, service: ServiceName) -> bool:
    """Tell whether the file now has all members of the service serve: a lease that is still held bounds none of them."""
    policy = state.policy.services.get(service)
    return policy is not None and not policy.is_exclusive
