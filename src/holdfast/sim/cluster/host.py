"""One host of the simulation: a machine with a clock, processes, a guard, and an agent that may stand still, end and come back."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.localizing import localized
from holdfast.model.beats import Beat
from holdfast.model.cluster_events import ClusterEvent, Order
from holdfast.model.decisions import Decision
from holdfast.model.events import Ending, Event, Exit
from holdfast.model.ids import ComponentId, Epoch, HostName, MemberName, ServiceName, service_of
from holdfast.model.policy import Mode, Policy
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.sim import policies
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clockwork
from holdfast.sim.cluster.acting import LeasedActing
from holdfast.sim.cluster.agent import ClusterAgent
from holdfast.sim.cluster.clocks import Gate, HostClock
from holdfast.sim.cluster.guard import Guard
from holdfast.sim.cluster.judging import STALE_MAX, Judging
from holdfast.sim.cluster.network import Network
from holdfast.sim.cluster.store import Answer, Store
from holdfast.sim.delivering import Delivering
from holdfast.sim.looking import Looking
from holdfast.sim.shell import TURNS_LOST_MAX, Shell
from holdfast.sim.truth import World

_JOINS_AFTER = 30 * MILLISECOND  # the first survey comes first

Tell = Callable[[HostName, str, object], None]


class Surroundings(NamedTuple):
    """What all hosts share."""

    world: Clockwork
    chance: Chance
    network: Network
    store: Store
    judging: Judging
    files: dict[int, Policy]  # all that were ever applied, by number
    tell: Tell | None


class Host:
    """One host, and whatever is on it."""

    def __init__(self, name: HostName, around: Surroundings, ppm: int, offset: Duration) -> None:
        self.name = name
        self._around = around
        self.chance, self.network, self.store = around.chance, around.network, around.store
        self.judging, self.files, self.tell = around.judging, around.files, around.tell
        self.others: dict[HostName, Host] = {}
        world, chance = around.world, around.chance
        self.machine, self.agent_gate, self.guard_gate = (Gate(world, chance) for _ in range(3))
        self.agent_clock = clock = HostClock(world, ppm, offset, self.machine, self.agent_gate)
        guard_clock = HostClock(world, ppm, offset, self.machine, self.guard_gate)
        self.guard = Guard(guard_clock, (self.machine, self.guard_gate), chance, self._end_by_guard)
        self.policy = around.files[0]
        self.policy_number = 0
        self.assigned_under: dict[ServiceName, Epoch] = {}  # kept on disk
        self.truth = World()
        self.shell = Shell(clock, self.policy.system)
        self.deliver = Delivering(clock, chance, self.truth, self.shell)
        self.acting = LeasedActing(clock, chance, self.truth, self.shell, self.deliver, around.judging)
        self.looking = Looking(clock, chance, self.truth, self.shell, self.deliver)
        self.agent: ClusterAgent | None = None
        self.is_on = True
        self._is_due = False
        self._resumed_at: Instant = -SECOND
        self._lives = 0
        self._began_at: Instant = 0
        self.turns = 0
        self.fences_fail_until: Instant = 0
        self.watch: Callable[[], None] = lambda: None  # what stands in the coordinator is shown anew
        self.shell.followers += [self._told, self.acting, self.looking]

    # --- the agent ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the agent, for the first time or again."""
        self._is_due = False
        if not self.is_on or self.shell.is_alive:
            return
        self._lives += 1
        self._began_at = self._around.world.now
        part = localized(self.policy, self.name, self._placed_before())
        digests = policies.digests(part)
        self.truth.learn(part)
        self.acting.set_digests(digests)
        self.shell.start(part, digests, self.chance.salt(), dict(self.truth.ceilings))
        self.looking.begin()
        self.agent = agent = ClusterAgent(self, f"{self.name}.{self._lives}")
        self.acting.permits = agent.arming
        self.agent_clock.after(_JOINS_AFTER, partial(self._join, agent))

    def _join(self, agent: ClusterAgent) -> None:
        if agent is self.agent and not agent.is_over:
            self.watch()
            agent.begin()

    def _placed_before(self) -> dict[ServiceName, dict[MemberName, HostName]]:
        """Return which members the last life had here: they stay until the coordinator is heard."""
        movable = {
            name: {member.name for member in service.members if member.on is None}
            for name, service in self.policy.services.items()
        }
        return {
            name: {m.name: self.name for m in service.members if m.name in movable.get(name, ())}
            for name, service in self.shell.state.policy.services.items()
        }

    def end_agent(self, back_after: Duration, *, in_order: bool = False) -> str:
        """Have the agent end, and come back after a while. In order: with everything on disk."""
        if not self.shell.is_alive:
            return "it does not run"
        if in_order:
            self.shell.sync()
        self._kill_agent()
        self._due(back_after)
        return ""

    def _kill_agent(self) -> None:
        if self.agent is not None:
            self.turns += self.agent.turns
            self.agent.end()
        self.shell.die()
        self.acting.let_go()
        self.acting.permits = None
        self.shell.forget(self.chance.between(0, TURNS_LOST_MAX + 1))
        for life in self.truth.lives.values():
            life.is_adopted = True

    def _due(self, after: Duration) -> None:
        if not self._is_due:
            self._is_due = True
            self._around.world.after(after, self.begin)

    @property
    def live_agent(self) -> ClusterAgent | None:
        """Return the agent, if it runs."""
        return self.agent if self.is_on and self.agent is not None and not self.agent.is_over else None

    def speaks_since(self) -> Instant | None:
        """Return since when the agent has run without standing still; None if it does not."""
        if self.live_agent is None or self.agent_gate.is_shut or self.machine.is_shut:
            return None
        return max(self._began_at, self.agent_gate.opened_at, self.machine.opened_at)

    # --- the machine ----------------------------------------------------------------------------------

    def switch_off(self, back_after: Duration) -> str:
        """Lose everything that runs here; be back after a while."""
        if not self.is_on:
            return "it is off"
        if self.shell.is_alive:
            self._kill_agent()
        self.is_on = False
        self.truth.lives.clear()
        self.guard.forget()
        self.shell.boot += "'"
        self.judging.look()
        self._around.world.after(back_after, self._switch_on)
        return ""

    def _switch_on(self) -> None:
        self.is_on = True
        self._due(300 * MILLISECOND)

    def pause(self, lasts: Duration) -> None:
        """Let the whole machine stand still."""
        self.machine.shut()
        self.judging.look()
        self._around.world.after(lasts, self._resume)

    def _resume(self) -> None:
        self._resumed_at = self._around.world.now
        self.machine.open()
        self.judging.look()
        self._around.world.after(STALE_MAX, self.judging.look)

    def fence(self, host: HostName, done: Callable[[Answer], None]) -> None:
        """Have the fence device switch a host off."""
        self.others[host].be_fenced(lambda answer: self.agent_clock.after(0, partial(done, answer)))

    def be_fenced(self, done: Callable[[Answer], None]) -> None:
        """Be switched off by a device, unless that fails; be back later."""
        is_working = self.fences_fail_until <= self._around.world.now or self.chance.often(0.3)
        delay = self.chance.between(100 * MILLISECOND, 900 * MILLISECOND)

        def switched() -> None:
            if is_working:
                for number in range(1, self._lives + 1):
                    self.judging.proven_off(f"{self.name}.{number}")
                self.switch_off(self.chance.between(2 * SECOND, 4 * SECOND))
            done(Answer(Ending.DONE if is_working else Ending.FAILED, "by its fence device"))

        self._around.world.after(delay, switched)

    # --- what serves ----------------------------------------------------------------------------------

    def serving(self, exclusive: frozenset[ServiceName]) -> Iterator[ComponentId]:
        """Return what serves alone here, by the truth."""
        if self.machine.is_shut or not self.truth.lives:
            return
        for id_, life in self.truth.lives.items():
            service = service_of(id_)
            if service not in exclusive:
                continue
            if self.truth.modes.get(service) is not Mode.SINGLETON and not life.is_primary:
                continue
            if not self._is_about_to_be_ended(id_):
                yield id_

    def _is_about_to_be_ended(self, component: ComponentId) -> bool:
        if self._around.world.now - self._resumed_at >= STALE_MAX:
            return False
        deadline = self.guard.deadlines.get(component)
        return deadline is not None and deadline <= self.agent_clock.now

    def _end_by_guard(self, component: ComponentId) -> None:
        if component in self.truth.lives:
            if self.tell is not None:
                self.tell(self.name, "guard", f"ends {component}")
            if (stale := self._around.world.now - self._resumed_at) < STALE_MAX:
                self.judging.was_stale(stale)
            self.acting.end(component, Exit(signal="KILL"))

    # --- the others -----------------------------------------------------------------------------------

    def send_beat(self, beat: Beat) -> None:
        """Send a beat to every other host."""
        for name, other in self.others.items():
            if name != self.name:
                self.network.send((self.name, name), partial(other.hear_beat, beat))

    def hear_beat(self, beat: Beat) -> None:
        """Have a beat come to the socket of the agent."""
        agent = self.live_agent
        if agent is not None:
            self.agent_clock.passed(partial(agent.hear, beat, self.agent_clock.now))

    # --- telling --------------------------------------------------------------------------------------

    def _told(self, event: Event, before: State, after: State, decisions: tuple[Decision, ...]) -> None:
        self.judging.decided(after, decisions)
        if self.agent is not None:
            self.agent.follow_local(event, before, after, decisions)
        if self.tell is not None:
            self.tell(self.name, "event", event)
            for decision in decisions:
                self.tell(self.name, "decision", decision)

    def tell_turn(
        self, event: ClusterEvent, before: ClusterState, after: ClusterState, orders: tuple[Order, ...]
    ) -> None:
        """Tell of a turn of the cluster loop."""
        assert self.tell is not None
        self.tell(self.name, "cluster event", event)
        fresh = after.noted - before.noted
        for note in after.notes[-fresh:] if fresh else ():
            self.tell(self.name, "note", f"{note.subject} {note.word}: {note.text}")
        for order in orders:
            self.tell(self.name, "order", order)
