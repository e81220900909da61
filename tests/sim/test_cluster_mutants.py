"""Each bug planted between several hosts is found within a thousand schedules, by a rule that can name it."""

import pytest

from holdfast.sim.cluster.running import run_seed
from tests.sim.cluster_mutants import MUTANTS
from tests.sim.mutants import Mutant

SCHEDULES_MAX = 1000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_bug_between_hosts_is_found(mutant: Mutant) -> None:
    with mutant.planted():
        found = next((run for run in map(run_seed, range(SCHEDULES_MAX)) if run.broke), None)
    assert found is not None, f"{mutant.name} survived {SCHEDULES_MAX} schedules"


def test_there_are_enough_bugs_between_hosts() -> None:
    assert len(MUTANTS) >= 14
