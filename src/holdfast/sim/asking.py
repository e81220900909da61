"""Asking the simulator about one's own file: what happens if this fails, and whether anything breaks it."""

from random import Random

from holdfast.model.incidents import Incident
from holdfast.model.policy import Policy
from holdfast.model.time import Duration
from holdfast.model.value import Value
from holdfast.sim.faults import Fault
from holdfast.sim.policies import with_balancer
from holdfast.sim.running import Run, run_seed
from holdfast.sim.simulation import Schedule, Simulation
from holdfast.sim.telling import Timeline, say_fault, stamp


class WhatIf(Value, frozen=True):
    """What would happen."""

    lines: tuple[str, ...]  # what was done to the system and what holdfast did, in the order it happened
    incidents: tuple[Incident, ...]
    health: float  # S at the end
    health_min: float  # the lowest S once everything had come up


class SearchResult(Value, frozen=True):
    """What so many seeds found."""

    seeds: int
    failed: tuple[Run, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the failures for people, one line each and its faults below."""
        lines: list[str] = []
        for run in self.failed:
            lines.append(f"seed {run.seed}: {run.broke}: {run.text}")
            lines += [f"  {stamp(fault.at)} {say_fault(fault, '')}" for fault in run.faults]
        return tuple(lines)


def what_if(policy: Policy, faults: tuple[Fault, ...], until: Duration, seed: int = 0) -> WhatIf:
    """Play these faults until `until`. Without a seed every latency is its shortest, and nothing is left to chance."""
    lines: list[str] = []
    lowest = [1.0]
    schedule = Schedule(policy.system, {"base": with_balancer(policy)}, faults, until)
    simulation = Simulation(
        schedule,
        Random(seed) if seed else None,  # noqa: S311 - chance to be repeated, no secret
        Timeline(lines.append, is_full=False),
        judges=False,
    )
    begins = min((fault.at for fault in faults), default=until)
    simulation.run_until(min(begins, until))
    simulation.shell.followers.append(lambda _event, _before, after, _decisions: lowest.append(after.health))
    simulation.run_until(until)
    state = simulation.shell.state
    return WhatIf(tuple(lines), tuple(state.incidents.values()), state.health, min(*lowest, state.health))


def search(policy: Policy, seeds: int, first: int = 0) -> SearchResult:
    """Let so many seeds draw faults for this file; each is judged as the simulator's own systems are."""
    system = {"base": with_balancer(policy)}
    runs = (run_seed(seed, system) for seed in range(first, first + seeds))
    return SearchResult(seeds, tuple(run for run in runs if run.broke))
