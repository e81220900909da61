"""Acting: the simulated adapters. Each decision takes its time, may fail, and ends as one `Finished`.

Kept to the contracts of holdfast.ports: a start ends what its component left behind; a promotion records
the role before its hook runs; a later decision about the same subject cancels an earlier one that was given
up. An epoch is covered by the book, on disk, before it is used.
"""

from dataclasses import dataclass
from functools import partial
from typing import assert_never

from holdfast.model.decisions import Decision, Demote, Promote, Route, Start, Stop, subject_of
from holdfast.model.duty import member_policy
from holdfast.model.events import Ending, Event, Exit, Finished, ProcessDying, ProcessExited
from holdfast.model.ids import ComponentId, service_of
from holdfast.model.policy import Mode
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clock
from holdfast.sim.delivering import Delivering
from holdfast.sim.faults import FaultKind
from holdfast.sim.shell import Shell
from holdfast.sim.truth import NEVER, Life, World

_BLOCK = 3  # epochs that the book covers ahead; small, so that its end is met


@dataclass(slots=True)
class Call:
    """One decision under way."""

    decision: Decision
    life: int  # of the agent
    is_over: bool = False


class Acting:
    """The hands of the simulated agent."""

    def __init__(self, clock: Clock, chance: Chance, world: World, shell: Shell, deliver: Delivering) -> None:
        self._clock = clock
        self._chance = chance
        self._world = world
        self._shell = shell
        self._deliver = deliver
        self._digests: dict[ComponentId, str] = {}
        self.calls: dict[str, Call] = {}

    def __call__(self, event: Event, before: State, after: State, decisions: tuple[Decision, ...]) -> None:  # noqa: ARG002 - a follower
        """Begin what was decided."""
        for decision in decisions:
            subject = subject_of(decision)
            if (earlier := self.calls.get(subject)) is not None:
                earlier.is_over = True
            call = self.calls[subject] = Call(decision, self._shell.life)
            if isinstance(decision, Start | Promote):
                self._cover(decision)
            self._clock.after(self._time_of(decision), partial(self._do, call))

    def let_go(self) -> None:
        """The agent dies: what is under way was just done, or never will be."""
        for call in list(self.calls.values()):
            if not call.is_over and self._chance.often(0.5):
                self._do(call)
            call.is_over = True
        self.calls.clear()

    def set_digests(self, digests: dict[ComponentId, str]) -> None:
        """Start processes by this file from now on."""
        self._digests = digests

    def end(self, component: ComponentId, how: Exit) -> None:
        """End a process, whoever wanted it; what watches it reports."""
        life = self._world.lives.pop(component, None)
        if life is not None:
            brief = self._brief()
            self._deliver.noise(ProcessDying(component, life.incarnation), component, brief // 2)
            self._deliver.noise(ProcessExited(component, life.incarnation, how), component, brief)

    def _brief(self) -> Duration:
        return self._chance.between(MILLISECOND, 5 * MILLISECOND)

    def _cover(self, decision: Start | Promote) -> None:
        service = service_of(decision.component)
        if self._world.ceilings.get(service, 0) < decision.epoch:
            self._world.ceilings[service] = decision.epoch + _BLOCK - 1

    def _time_of(self, decision: Decision) -> Duration:
        match decision:
            case Start():
                return self._chance.between(20 * MILLISECOND, 200 * MILLISECOND)
            case Stop():
                life = self._world.lives.get(decision.component)
                if life is not None and (life.is_frozen or life.is_hung) and not decision.at_once:
                    member = member_policy(self._shell.state, decision.component)
                    return member.run.stop_grace if member is not None else SECOND
                return self._chance.between(10 * MILLISECOND, 400 * MILLISECOND)
            case Route():
                return self._chance.between(2 * MILLISECOND, 30 * MILLISECOND)
            case _:
                return self._chance.between(5 * MILLISECOND, 300 * MILLISECOND)

    def _do(self, call: Call) -> None:
        if call.is_over:
            return
        call.is_over = True
        decision = call.decision
        match decision:
            case Start():
                self._start(call, decision)
            case Stop():
                self._stop(call, decision)
            case Promote():
                self._promote(call, decision)
            case Demote():
                self._demote(call, decision)
            case Route():
                self._route(call, decision)
            case _:
                assert_never(decision)

    def _fails(self, kind: FaultKind, subject: str) -> bool:
        return self._world.has(kind, subject, self._clock.now) and self._chance.often(0.6)

    def _finish(self, call: Call, ending: Ending, error: str = "", **more: object) -> None:
        event = Finished(call.decision.id, ending, error, **more)  # type: ignore[arg-type]  # incarnation or exit
        if call.life == self._shell.life:
            self._deliver.answer(event, subject_of(call.decision), self._brief())

    def _start(self, call: Call, decision: Start) -> None:
        id_ = decision.component
        self.end(id_, Exit(signal="KILL"))  # what its last life left behind
        if self._fails(FaultKind.FAIL_START, id_):
            self._finish(call, Ending.FAILED, "no such program")
            return
        now, world = self._clock.now, self._world
        world.next_pid += 1
        life = Life(f"{world.next_pid}:{now // MILLISECOND}", self._digests.get(id_, ""), now)
        life.ready_at = now + self._chance.between(20 * MILLISECOND, 400 * MILLISECOND)
        if id_ in world.probed and self._fails(FaultKind.NEVER_READY, id_):
            life.ready_at = NEVER
        life.is_primary = world.modes.get(service_of(id_)) is Mode.SINGLETON
        life.epoch = decision.epoch
        world.lives[id_] = life
        if self._is_balancer(id_) and self._chance.often(0.3):
            world.balancer.clear()  # it forgot what it was told
        if self._fails(FaultKind.CRASH_AT_START, id_):
            self._clock.after(
                self._chance.between(MILLISECOND, 300 * MILLISECOND), lambda: self._end_life(id_, life)
            )
        self._finish(call, Ending.DONE, incarnation=life.incarnation)

    def _is_balancer(self, component: ComponentId) -> bool:
        service = self._shell.state.policy.services.get(service_of(component))
        return service is not None and service.is_builtin

    def _end_life(self, component: ComponentId, life: Life) -> None:
        if self._world.lives.get(component) is life:
            self.end(component, Exit(code=1, detail="cannot read its configuration"))

    def _stop(self, call: Call, decision: Stop) -> None:
        id_ = decision.component
        life = self._world.lives.get(id_)
        if life is not None and self._fails(FaultKind.FAIL_STOP, id_):
            if self._chance.often(0.5):
                later = self._chance.between(100 * MILLISECOND, 4 * SECOND)
                self._clock.after(later, lambda: self._end_life(id_, life))
            self._finish(call, self._chance.pick((Ending.FAILED, Ending.UNKNOWN)), "it does not end")
            return
        how = Exit(signal="KILL" if decision.at_once else "TERM")
        self.end(id_, how)
        self._finish(call, Ending.DONE, exit=how)

    def _promote(self, call: Call, decision: Promote) -> None:
        life = self._world.lives.get(decision.component)
        if life is None:
            self._finish(call, Ending.FAILED, "it does not run")
            return
        life.is_primary, life.epoch = True, decision.epoch
        if self._fails(FaultKind.FAIL_PROMOTE, decision.component):
            # As the real one: the role stays recorded, since half promoted may be enough to serve.
            ending = self._chance.pick((Ending.FAILED, Ending.UNKNOWN))
            self._finish(call, ending, "promote exited with code 1")
            return
        self._finish(call, Ending.DONE)

    def _demote(self, call: Call, decision: Demote) -> None:
        life = self._world.lives.get(decision.component)
        if life is not None and self._fails(FaultKind.FAIL_DEMOTE, decision.component):
            self._finish(
                call, self._chance.pick((Ending.FAILED, Ending.UNKNOWN)), "demote exited with code 1"
            )
            return
        if life is not None:
            life.is_primary = False
        self._finish(call, Ending.DONE)

    def _route(self, call: Call, decision: Route) -> None:
        life = self._world.balancer_life(self._shell.state.policy)
        if life is None or life.is_frozen or life.is_hung:
            self._finish(call, Ending.FAILED, "HAProxy does not answer")
            return
        if self._fails(FaultKind.FAIL_ROUTE, decision.service):
            self._finish(call, self._chance.pick((Ending.FAILED, Ending.UNKNOWN)), "HAProxy refused")
            return
        now = self._clock.now
        ends = now + self._chance.between(0, 3 * SECOND)
        self._world.route(decision.service, decision.routing, ends, now)
        self._finish(call, Ending.DONE)
