"""One simulation of several hosts: a file, a plan of faults, a seed. Both loops are the real ones; everything around them is virtual."""

from collections.abc import Iterable
from functools import partial
from random import Random

from holdfast.model.cluster import Lease
from holdfast.model.ids import ComponentId, HostName
from holdfast.model.policy import Policy
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import Value
from holdfast.sim.chance import Chance
from holdfast.sim.checking import Violation
from holdfast.sim.clockwork import BEGINNING, Clockwork
from holdfast.sim.cluster.clocks import HostClock
from holdfast.sim.cluster.faults import ClusterFault
from holdfast.sim.cluster.harming import HarmingCluster
from holdfast.sim.cluster.host import Host, Surroundings, Tell
from holdfast.sim.cluster.judging import Judging
from holdfast.sim.cluster.network import Network
from holdfast.sim.cluster.settling import unsettled
from holdfast.sim.cluster.store import Store
from holdfast.sim.cluster.systems import Files
from holdfast.sim.cluster.watching import Watching

PATIENCE = 90 * SECOND
DRIFT_PPM = 20_000  # two per cent: a thousand times what clocks do
_OFFSET_MAX = 500 * SECOND
_LOOK_EVERY = SECOND // 2
_CALM_LOOKS = 2


class ClusterSchedule(Value, frozen=True):
    """What is played."""

    name: str
    files: Files
    faults: tuple[ClusterFault, ...]
    faults_end: Duration


class ClusterSimulation:
    """One schedule being played."""

    def __init__(
        self, schedule: ClusterSchedule, random: Random, world: Clockwork, tell: Tell | None = None
    ) -> None:
        self.schedule = schedule
        self.clock = world
        self.judging = Judging(world)
        self.files: dict[int, Policy] = dict(enumerate(schedule.files))
        chance = Chance(random)
        network = Network(world, chance)
        base = schedule.files[0]
        assert base.cluster is not None
        store_clock = HostClock(world, _ppm(random), 0)
        self.store = Store(store_clock, base.cluster.lease, self.judging)
        around = Surroundings(world, chance, network, self.store, self.judging, self.files, tell)
        self.hosts: dict[HostName, Host] = {
            name: Host(name, around, _ppm(random), random.randrange(0, _OFFSET_MAX)) for name in base.hosts
        }
        for host in self.hosts.values():
            host.others = self.hosts
            host.watch = Watching(host, world, chance, network, self.store).begin
            world.after(chance.between(0, 500 * MILLISECOND), host.begin)
        self._exclusive = frozenset(
            name for file in schedule.files for name, service in file.services.items() if service.is_exclusive
        )
        self.judging.fenced_services = frozenset(
            name for name, service in base.services.items() if service.needs_fencing
        )
        self._network = network
        self.judging.stage = self
        if tell is not None:
            self.judging.tell = partial(tell, "", "truth")
        self.harming = HarmingCluster(self.hosts, around)
        for fault in schedule.faults:
            world.at(BEGINNING + fault.at, partial(self.harming.harm, fault))

    @property
    def turns(self) -> int:
        """Return how many turns all loops made."""
        running = sum(host.agent.turns for host in self.hosts.values() if host.live_agent and host.agent)
        return running + sum(host.turns + host.shell.turns for host in self.hosts.values())

    def serving(self) -> Iterable[tuple[HostName, ComponentId]]:
        """Return what serves alone, by the truth."""
        return [(host.name, id_) for host in self.hosts.values() for id_ in host.serving(self._exclusive)]

    def could_hear(self, host: HostName, of: HostName, since: Instant) -> bool:
        """Tell whether `host` had every chance to hear `of` since then."""
        speaks_since = self.hosts[of].speaks_since()
        return (
            speaks_since is not None and speaks_since <= since and self._network.was_whole((of, host), since)
        )

    def says_clear(self, lease: Lease, *, was_there: bool) -> bool:
        """Tell whether the holder's host is there, or `was_there` a moment ago, and its member truly does not serve."""
        host = self.hosts[lease.host]
        has_session = any(session.host == lease.host for session in self.store.sessions.values())
        return (has_session or was_there) and f"{lease.service}/{lease.member}" not in host.serving(
            self._exclusive
        )

    def settle(self) -> None:
        """Play the faults, and wait for everything to be well; Violation if that takes too long."""
        end = BEGINNING + self.schedule.faults_end
        self.clock.run_until(end)
        self._end_faults()
        calm = 0
        while calm < _CALM_LOOKS:
            self.clock.run_until(self.clock.now + _LOOK_EVERY)
            policy = self.files[self.store.policy_number]
            left = unsettled(self.hosts, self.store, self.judging, policy)
            calm = 0 if left else calm + 1
            if self.clock.now - end > PATIENCE:
                raise Violation("liveness", "; ".join(left))

    def _end_faults(self) -> None:
        for host in self.hosts.values():
            host.truth.windows.clear()
            host.acting.stops_slowly_until = host.fences_fail_until = 0
        for name, component in sorted(self.harming.drained):
            self.harming.end_drain(name, component)


def _ppm(random: Random) -> int:
    return random.choice((random.randint(-DRIFT_PPM, DRIFT_PPM), DRIFT_PPM, -DRIFT_PPM))
