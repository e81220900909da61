"""The guard of one host, simulated: it ends what is past its deadline, whatever the agent does, unless it stands still itself."""

from collections.abc import Callable
from functools import partial

from holdfast.model.ids import ComponentId
from holdfast.model.time import MILLISECOND, Instant
from holdfast.sim.chance import Chance
from holdfast.sim.cluster.clocks import Gate, HostClock

ACTS_WITHIN = 4 * MILLISECOND  # from the deadline to the kill
GONE_WITHIN = 20 * MILLISECOND  # two looks in a row find nothing


class Guard:
    """What has a deadline. It outlives the agent, and itself; not its host."""

    def __init__(
        self, clock: HostClock, gates: tuple[Gate, ...], chance: Chance, end: Callable[[ComponentId], None]
    ) -> None:
        self._clock = clock
        self._gates = gates
        self._chance = chance
        self._end = end
        self.deadlines: dict[ComponentId, Instant] = {}

    @property
    def answers(self) -> bool:
        """Tell whether it hears what it is told."""
        return not any(gate.is_shut for gate in self._gates)

    def forget(self) -> None:
        """Its host was switched off."""
        self.deadlines.clear()

    def arm(self, component: ComponentId, deadline: Instant) -> str:
        """Give the component a deadline; return why not, if so."""
        if not self.answers:
            return "the guard does not answer"
        now = self._clock.now
        known = self.deadlines.get(component)
        if deadline <= now or (known is not None and known <= now):
            return "the deadline has passed"
        self._set(component, deadline)
        return ""

    def extend(self, component: ComponentId, deadline: Instant) -> str:
        """Move the deadline away; return why not, if so."""
        if not self.answers:
            return "the guard does not answer"
        known, now = self.deadlines.get(component), self._clock.now
        if known is None or known <= now or deadline <= now:
            return "it is not armed" if known is None else "the deadline has passed"
        if deadline > known:
            self._set(component, deadline)
        return ""

    def disarm(self, component: ComponentId) -> bool:
        """Forget the component; tell whether that was done."""
        if not self.answers or self.deadlines.get(component, self._clock.now + 1) <= self._clock.now:
            return False
        self.deadlines.pop(component, None)
        return True

    def _set(self, component: ComponentId, deadline: Instant) -> None:
        is_new = component not in self.deadlines
        self.deadlines[component] = deadline
        if is_new:
            self._wait(component)

    def _wait(self, component: ComponentId) -> None:
        left = self.deadlines[component] - self._clock.now
        late = self._chance.between(0, ACTS_WITHIN)
        self._clock.after(max(left, 0) + late, partial(self._look, component))

    def _look(self, component: ComponentId) -> None:
        deadline = self.deadlines.get(component)
        if deadline is None:
            return
        if self._clock.now < deadline:
            self._wait(component)
            return
        self._end(component)
        self._clock.after(GONE_WITHIN, partial(self._let_go, component))

    def _let_go(self, component: ComponentId) -> None:
        deadline = self.deadlines.get(component)
        if deadline is not None and deadline <= self._clock.now:
            self._end(component)  # the second look
            del self.deadlines[component]
