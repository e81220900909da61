"""Random sequences of faults on PostgreSQL on three hosts under load: whatever comes, no promise is broken and everything comes back.

`make lab` plays thirty and shows what each cost; the test run plays a few. A sequence is drawn from its number, so one that found something can be played again:
HOLDFAST_LAB_SEEDS=17 pytest tests/lab/test_random_database_faults.py -rP
One kind of fault alone: HOLDFAST_LAB_FAULT=freeze_server; one kind of commit: HOLDFAST_LAB_COMMIT=quorum
"""

import os

import pytest

from tests.lab.database_kinds import PostgresKind
from tests.lab.database_play import Property, drawn_from, play_through, seeds
from tests.lab.database_stage import Stage
from tests.lab.hosts import Cluster

COMMITS = os.environ.get("HOLDFAST_LAB_COMMIT", "asynchronous,synchronous,quorum").split(",")
WIRINGS = {commit: {} if commit == "asynchronous" else {"commit": commit} for commit in COMMITS}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", seeds("2"))
def test_whatever_comes_the_database_keeps_its_promises(
    etcd3: Cluster, seed: int, record_property: Property
) -> None:
    drawn = drawn_from(seed, WIRINGS)
    stage = Stage(etcd3, PostgresKind(etcd3), is_lossless=drawn.what != "asynchronous")
    play_through(stage, drawn, record_property)
