"""Acting on one of several hosts: whoever is about to serve under a lease asks first, and the guard is armed before it does."""

from functools import partial

from holdfast.model.decisions import Decision, Promote, Start, Stop, subject_of
from holdfast.model.duty import member_policy
from holdfast.model.events import Ending, Exit
from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.policy import Mode
from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.sim.acting import Acting, Call
from holdfast.sim.chance import Chance
from holdfast.sim.cluster.clocks import HostClock
from holdfast.sim.cluster.judging import Judging
from holdfast.sim.delivering import Delivering
from holdfast.sim.shell import Shell
from holdfast.sim.truth import World

_NOBODY: Instant = 1 << 62


class Permits:
    """Who is asked whether a member may serve: the present life of the agent. See holdfast.agent.cluster.arming."""

    def permit(self, component: ComponentId, epoch: Epoch) -> tuple[str, Instant]:
        """Return why it must not, and until when it may begin."""
        raise NotImplementedError

    def began(self, component: ComponentId) -> None:
        """Learn that it runs."""
        raise NotImplementedError


class LeasedActing(Acting):
    """The hands of an agent that has to be permitted some things."""

    def __init__(  # noqa: PLR0917 - the same as one host's, and who judges
        self,
        clock: HostClock,
        chance: Chance,
        world: World,
        shell: Shell,
        deliver: Delivering,
        judging: Judging,
    ) -> None:
        super().__init__(clock, chance, world, shell, deliver)
        self._judging = judging
        self.permits: Permits | None = None
        self.stops_slowly_until: Instant = 0

    def end(self, component: ComponentId, how: Exit) -> None:
        """End a process, and have it judged."""
        super().end(component, how)
        self._judging.look()

    def _time_of(self, decision: Decision) -> Duration:
        if isinstance(decision, Stop):
            if decision.at_once:
                return self._chance.between(MILLISECOND, 60 * MILLISECOND)
            member = member_policy(self._shell.state, decision.component)
            if member is not None and self._clock.now < self.stops_slowly_until:
                return self._chance.between(member.run.stop_grace // 2, member.run.stop_grace)
        if isinstance(decision, Start | Promote) and self._chance.often(0.6):
            return self._chance.between(MILLISECOND, 8 * MILLISECOND)  # who takes over may be very quick
        return super()._time_of(decision)

    def _do(self, call: Call) -> None:
        super()._do(call)
        self._judging.look()

    def _start(self, call: Call, decision: Start) -> None:
        is_primary = self._world.modes.get(service_of(decision.component)) is Mode.SINGLETON
        if not is_primary or not self._is_leased(decision.component):
            super()._start(call, decision)
        elif (not_after := self._permitted(call, decision)) is not None:
            self._soon(call, partial(self._start_in_time, call, decision, not_after))

    def _start_in_time(self, call: Call, decision: Start, not_after: Instant) -> None:
        if self._clock.now >= not_after:
            self._finish(call, Ending.FAILED, "too late", is_unbegun=True)
            return
        super()._start(call, decision)
        if decision.component in self._world.lives:
            self._judging.granted(decision.component, decision.epoch)
            if self.permits is not None:
                self.permits.began(decision.component)
        self._judging.look()

    def _promote(self, call: Call, decision: Promote) -> None:
        if not self._is_leased(decision.component):
            super()._promote(call, decision)
        elif self._permitted(call, decision) is not None:
            self._soon(call, partial(self._promote_now, call, decision))

    def _promote_now(self, call: Call, decision: Promote) -> None:
        if decision.component in self._world.lives:
            self._judging.granted(decision.component, decision.epoch)
        super()._promote(call, decision)
        self._judging.look()

    def _permitted(self, call: Call, decision: Start | Promote) -> Instant | None:
        if self.permits is None:
            return None  # the agent is not there any more
        why, not_after = self.permits.permit(decision.component, decision.epoch)
        if why:
            self._finish(call, Ending.FAILED, why, is_unbegun=True)
            return None
        return not_after

    def _soon(self, call: Call, then: partial[None]) -> None:
        def checked() -> None:
            if call.life == self._shell.life and self._shell.is_alive and self.calls.get(subject) is call:
                then()

        subject = subject_of(call.decision)
        self._clock.after(self._chance.between(MILLISECOND, 10 * MILLISECOND), checked)

    def _is_leased(self, component: ComponentId) -> bool:
        service = self._shell.state.policy.services.get(service_of(component))
        return service is not None and service.is_leased
