"""Harming: faults are put into the world when they are due, and operators do what operators do."""

from typing import Protocol

from holdfast.model import events
from holdfast.model.events import Exit
from holdfast.model.ids import service_of
from holdfast.model.policy import Policy
from holdfast.model.routing import Lane
from holdfast.model.time import SECOND
from holdfast.sim import policies
from holdfast.sim.acting import Acting
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clockwork
from holdfast.sim.delivering import Delivering
from holdfast.sim.faults import Fault, FaultKind
from holdfast.sim.looking import Looking
from holdfast.sim.shell import TURNS_LOST_MAX, Shell
from holdfast.sim.truth import Carried, World

BY = "operator"


class Witness(Protocol):
    """Who is told of what faults did, apart from what the core hears."""

    def harmed(self, fault: Fault, note: str) -> None:
        """Learn that a fault was put in."""

    def forgot(self) -> None:
        """Learn that the agent forgot its newest turns."""


class Harming:
    """The hand that breaks things."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the simulation, joined in one place
        self,
        clock: Clockwork,
        chance: Chance,
        world: World,
        shell: Shell,
        acting: Acting,
        looking: Looking,
        deliver: Delivering,
        variants: dict[str, Policy],
        witness: Witness,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._world = world
        self._shell = shell
        self._acting = acting
        self._looking = looking
        self._deliver = deliver
        self._variants = variants
        self._witness = witness
        self.policy = variants["base"]
        self._is_agent_due = False

    def begin(self) -> None:
        """Start the agent, for the first time or again."""
        self._is_agent_due = False
        digests = policies.digests(self.policy)
        self._world.learn(self.policy)
        self._acting.set_digests(digests)
        self._shell.start(self.policy, digests, self._chance.salt(), dict(self._world.ceilings))
        self._looking.begin()

    def harm(self, fault: Fault) -> None:
        """Do what the fault says."""
        note = self._do(fault)
        self._witness.harmed(fault, note)

    def _do(self, fault: Fault) -> str:
        match fault.kind:
            case FaultKind.CRASH | FaultKind.HANG | FaultKind.FREEZE:
                return self._hurt(fault)
            case FaultKind.AGENT_CRASH | FaultKind.REBOOT:
                return self._kill_agent(fault)
            case FaultKind.DRIFT:
                return self._drift(fault)
            case FaultKind.POLICY:
                return self._change(fault.to)
            case (
                FaultKind.SWITCHOVER
                | FaultKind.DRAIN
                | FaultKind.PAUSE
                | FaultKind.RESUME
                | FaultKind.RESTART
                | FaultKind.DOWN
            ):
                return self._ask(fault)
            case _:
                self._world.windows.append((self._clock.now + fault.lasts, fault))
                return ""

    def _hurt(self, fault: Fault) -> str:
        life = self._world.lives.get(fault.target)
        if life is None:
            return "it does not run"
        is_asked = fault.target in self._world.probed or service_of(fault.target) == policies.BALANCER
        if fault.kind is FaultKind.HANG and not is_asked:
            return "nothing could notice it"
        if fault.kind is FaultKind.CRASH:
            self._acting.end(fault.target, Exit(signal="SEGV"))
        elif fault.kind is FaultKind.HANG:
            life.is_hung = True
        elif not life.is_frozen:
            life.is_frozen = True
            self._deliver.noise(events.ProcessStopped(fault.target, life.incarnation), fault.target, 1)
            if fault.lasts:
                self._clock.after(fault.lasts, lambda: self._thaw(fault.target, life.incarnation))
        return ""

    def _thaw(self, component: str, incarnation: str) -> None:
        life = self._world.lives.get(component)
        if life is not None and life.incarnation == incarnation and life.is_frozen:
            life.is_frozen = False
            self._deliver.noise(events.ProcessContinued(component, incarnation), component, 1)

    def _kill_agent(self, fault: Fault) -> str:
        if not self._shell.is_alive:
            if fault.kind is FaultKind.AGENT_CRASH:
                return "it does not run"
        else:
            self._shell.die()
            self._acting.let_go()
            lost = self._chance.between(0, TURNS_LOST_MAX + 1) if not self._chance.is_steady else 0
            if fault.kind is FaultKind.REBOOT:
                self._shell.boot += "'"
            self._shell.forget(lost)
            self._witness.forgot()
        for life in self._world.lives.values():
            life.is_adopted = True
        if fault.kind is FaultKind.REBOOT:
            self._world.lives.clear()
        if not self._is_agent_due:
            self._is_agent_due = True
            self._clock.after(max(fault.lasts, 1), self.begin)
        return ""

    def _drift(self, fault: Fault) -> str:
        carried: Carried | None = self._world.balancer.get(fault.target)
        name, _, lane = fault.to.partition("=")
        if carried is None or name not in carried.lanes:
            return "nothing there"
        carried.lanes[name] = Lane(lane)
        if carried.lanes[name] is Lane.DOWN:  # which heals by the balancer's own checks
            self._clock.after(SECOND, lambda: self._heal(fault.target, name))
        return ""

    def _heal(self, service: str, member: str) -> None:
        carried = self._world.balancer.get(service)
        life = self._world.lives.get(f"{service}/{member}")
        if carried is not None and life is not None and carried.lanes.get(member) is Lane.DOWN:
            carried.lanes[member] = Lane.IN

    def _change(self, variant: str) -> str:
        self.policy = self._variants.get(variant, self.policy)
        if not self._shell.is_alive:
            return "read at the agent's start"
        digests = policies.digests(self.policy)
        self._world.learn(self.policy)
        self._acting.set_digests(digests)
        self._shell.turn(events.PolicyChanged(self.policy, digests))
        return ""

    def _ask(self, fault: Fault) -> str:
        now = self._clock.now
        command: events.Command
        match fault.kind:
            case FaultKind.SWITCHOVER:
                command = events.SwitchoverRequested(fault.target, fault.to or None, BY)
            case FaultKind.DRAIN:
                command = events.DrainRequested(fault.target, BY)
            case FaultKind.PAUSE:
                command = events.PauseRequested(fault.target or None, now + fault.lasts, BY, "maintenance")
            case FaultKind.DOWN:
                command = events.DownRequested(BY)
            case FaultKind.RESTART:
                command = events.RestartRequested(fault.target, BY)
            case _:
                command = events.ResumeRequested(fault.target or None, BY)
        reasons = self._shell.request(command)
        if not reasons and fault.kind is FaultKind.DRAIN and fault.lasts:
            resume = Fault(FaultKind.RESUME, 0, fault.target)
            self._clock.after(fault.lasts, lambda: self._end_drain(resume))
        return "refused: " + "; ".join(reasons) if reasons else ""

    def _end_drain(self, resume: Fault) -> None:
        if not self._shell.is_alive:
            self._clock.after(SECOND, lambda: self._end_drain(resume))
            return
        component = self._shell.state.components.get(resume.target)
        if component is not None and component.drain is not None:
            self.harm(resume)
