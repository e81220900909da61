"""Random sequences of faults on Redis on three hosts under load, as on PostgreSQL: a tail may be lost, and nothing else.

HOLDFAST_LAB_SEEDS=17 pytest tests/lab/test_random_redis_faults.py -rP
"""

import pytest

from tests.lab.database_kinds import RedisKind
from tests.lab.database_play import Property, drawn_from, play_through, seeds
from tests.lab.database_stage import Stage
from tests.lab.hosts import Cluster


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", seeds("4"))
def test_whatever_comes_redis_loses_a_tail_at_most(
    etcd3: Cluster, seed: int, record_property: Property
) -> None:
    play_through(Stage(etcd3, RedisKind(etcd3)), drawn_from(seed, {"redis": {}}), record_property)
