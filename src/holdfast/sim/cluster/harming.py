"""Harming a cluster: faults are put in when they are due, and taken back after their time."""

from functools import partial

from holdfast.loop.cluster.commands import planned_move
from holdfast.model import events
from holdfast.model.cluster import OperatorWish
from holdfast.model.events import Exit
from holdfast.model.ids import HostName, ServiceName
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import replace
from holdfast.sim.cluster.clocks import Gate
from holdfast.sim.cluster.faults import PRIMARY, STANDBY, ClusterFault, Trouble
from holdfast.sim.cluster.host import Host, Surroundings
from holdfast.sim.cluster.network import STORE, Link
from holdfast.sim.faults import Fault, FaultKind

BY = "operator"
_UPGRADE_EVERY = 1200 * MILLISECOND
_UPGRADE_TAKES = 400 * MILLISECOND


class HarmingCluster:
    """The hand that breaks things between hosts."""

    def __init__(self, hosts: dict[HostName, Host], around: Surroundings) -> None:
        self._hosts = hosts
        self._around = around
        self._later = around.world.after
        self._wishes = 0
        self.drained: set[tuple[HostName, str]] = set()

    def harm(self, fault: ClusterFault) -> None:
        """Do what the fault says."""
        if fault.host in (PRIMARY, STANDBY):
            fault = self._aimed(fault)
        note = self._do(fault)
        if self._around.tell is not None:
            self._around.tell(fault.host, "fault", (fault, note))

    def _aimed(self, fault: ClusterFault) -> ClusterFault:
        """Return the fault with whoever serves now as its target, or with another one."""
        serving = self._around.judging.anybody()
        host = serving.host if serving is not None else next(iter(self._hosts))
        target = fault.target
        if fault.host == STANDBY:
            others = [name for name in self._hosts if name != host]
            return replace(fault, host=self._around.chance.pick(others))
        if serving is not None and fault.kind in (Trouble.DRAIN, Trouble.LOCAL):
            target = serving.component
        elif target == host:
            target = next(name for name in self._hosts if name != host)
        return replace(fault, host=host, target=target)

    def _do(self, fault: ClusterFault) -> str:  # noqa: C901, PLR0912 - a flat table
        host, lasts, note = self._hosts[fault.host], fault.lasts, ""
        match fault.kind:
            case Trouble.AGENT_CRASH:
                note = host.end_agent(lasts)
            case Trouble.AGENT_PAUSE:
                self._shut(host.agent_gate, lasts)
            case Trouble.GUARD_PAUSE:
                self._shut(host.guard_gate, lasts)
            case Trouble.MACHINE_PAUSE:
                host.pause(lasts)
            case Trouble.HOST_CRASH:
                note = host.switch_off(lasts)
            case Trouble.STORE_AWAY:
                note = self._send_store_away(lasts)
            case Trouble.REVOKE:
                self._around.judging.revoked(host.name)
                self._around.store.revoke(host.name)
            case Trouble.LOSS:
                self._around.network.lose(host.name, 1)
                self._later(lasts, partial(self._around.network.lose, host.name, -1))
            case Trouble.SLOW_LINKS:
                self._slow(host.name, lasts)
            case Trouble.SLOW_STOPS:
                host.acting.stops_slowly_until = host.agent_clock.now + lasts
            case Trouble.FENCE_FAILS:
                host.fences_fail_until = self._around.world.now + lasts
            case Trouble.POLICY:
                self._apply()
            case Trouble.UPGRADE:
                for at, each in enumerate(self._hosts.values()):
                    self._later(at * _UPGRADE_EVERY, partial(self._upgrade, each))
            case Trouble.SWITCHOVER:
                note = self._switch_over(host, fault.target)
            case Trouble.DRAIN:
                note = self._drain(host, fault.target, lasts)
            case Trouble.LOCAL:
                note = self._hurt(host, fault)
            case _:
                links = self._links(fault)
                self._around.network.cut(*links)
                self._later(lasts, partial(self._around.network.mend, *links))
        return note

    def _shut(self, gate: Gate, lasts: Duration) -> None:
        gate.shut()
        self._later(lasts, gate.open)

    def _links(self, fault: ClusterFault) -> tuple[Link, ...]:
        me, every = fault.host, tuple(self._hosts)
        others = tuple(name for name in every if name != me)
        out, home = tuple((me, name) for name in others), tuple((name, me) for name in others)
        store = ((me, STORE), (STORE, me))
        match fault.kind:
            case Trouble.ISOLATE:
                return (*out, *home, *store)
            case Trouble.DEAFEN:
                return home
            case Trouble.MUTE:
                return out
            case Trouble.APART:
                return (*out, *home)
            case Trouble.BRIDGE:
                return ((me, fault.target), (fault.target, me))
            case Trouble.STORE_CUT:
                return store
            case _:
                assert fault.kind is Trouble.STORE_CUT_ALL
                return tuple(link for name in every for link in ((name, STORE), (STORE, name)))

    def _slow(self, host: HostName, lasts: Duration) -> None:
        ends = (STORE, *self._hosts)
        out, home = tuple((host, end) for end in ends), tuple((end, host) for end in ends)
        links = self._around.chance.pick((out, home, home, out + home))
        self._around.network.slow(links, 1)
        self._later(lasts, partial(self._around.network.slow, links, -1))

    def _send_store_away(self, lasts: Duration) -> str:
        store = self._around.store
        if store.is_away:
            return "it is away"
        store.is_away = True
        self._later(lasts, store.come_back)
        return ""

    def _upgrade(self, host: Host) -> None:
        host.end_agent(_UPGRADE_TAKES, in_order=True)

    def _apply(self) -> None:
        files, store = self._around.files, self._around.store
        number = store.policy_number + 1
        files[number] = replace(files[number % 2], revision=str(number + 1))
        store.apply()

    def _switch_over(self, host: Host, service: ServiceName) -> str:
        agent = host.live_agent
        if agent is None or host.machine.is_shut or host.agent_gate.is_shut:
            return "its agent does not answer"
        move = planned_move(agent.state, service, None, agent.clock.now)
        if move.refusals:
            return "refused: " + "; ".join(move.refusals)
        self._wishes += 1
        wish = OperatorWish(service, move.to, BY, id=str(self._wishes))
        agent.asking.ask(partial(self._around.store.wish, wish), _unheard)
        return f"to {move.to}"

    def _drain(self, host: Host, component: str, lasts: Duration) -> str:
        command = events.DrainRequested(component, BY, force=True)
        reasons = host.shell.request(command)
        if reasons:
            return "refused: " + "; ".join(reasons)
        self.drained.add((host.name, component))
        self._later(lasts, partial(self.end_drain, host.name, component))
        return ""

    def end_drain(self, name: HostName, component: str) -> None:
        """Let a component work again, as soon as its agent can be told."""
        host = self._hosts[name]
        if (name, component) not in self.drained:
            return
        if not host.shell.is_alive or host.machine.is_shut or host.agent_gate.is_shut:
            self._later(SECOND, partial(self.end_drain, name, component))
            return
        self.drained.discard((name, component))
        known = host.shell.state.components.get(component)
        if known is not None and known.drain is not None:
            host.shell.request(events.ResumeRequested(component, BY))

    def _hurt(self, host: Host, fault: ClusterFault) -> str:
        assert fault.local is not None
        life = host.truth.lives.get(fault.target)
        if fault.local not in (FaultKind.CRASH, FaultKind.HANG, FaultKind.FREEZE):
            window = Fault(fault.local, 0, fault.target)
            host.truth.windows.append((host.agent_clock.now + fault.lasts, window))
            return ""
        if life is None:
            return "it does not run"
        if fault.local is FaultKind.CRASH:
            host.acting.end(fault.target, Exit(signal="SEGV"))
        elif fault.local is FaultKind.HANG:
            life.is_hung = True
        elif not life.is_frozen:
            life.is_frozen = True
            stopped = events.ProcessStopped(fault.target, life.incarnation)
            host.deliver.noise(stopped, fault.target, MILLISECOND)
            self._later(fault.lasts, partial(self._thaw, host, fault.target, life.incarnation))
        return ""

    def _thaw(self, host: Host, component: str, incarnation: str) -> None:
        life = host.truth.lives.get(component)
        if life is not None and life.incarnation == incarnation:
            life.is_frozen = False
            host.deliver.noise(events.ProcessContinued(component, incarnation), component, MILLISECOND)


def _unheard(_: object) -> None:
    """An operator hears of the wish by what comes of it."""
