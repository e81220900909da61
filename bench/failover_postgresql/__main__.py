"""Failover of PostgreSQL: what each fault of the primary's host costs who writes to it, with holdfast and with Patroni 4.

    python -m bench.failover_postgresql [--runs 3] [--only holdfast-1s patroni-fast ...] [--faults kill crash ...]

"lost" are rows that were acknowledged and are not there in the end: of the client that goes through the balancer, and of one
that stays on its connection to the old primary. A name that ends in -sync commits synchronously, to the one standby that both
sides take by themselves.
"""

from functools import partial

from bench.failover.stateful import Made, compare
from bench.failover.tolls import Kind
from bench.failover_postgresql.holdfast_ import Holdfast
from bench.failover_postgresql.patroni import Patroni

COMMITS = {"": "asynchronous", "-sync": "synchronous"}


def _contenders() -> dict[str, Made]:
    made: dict[str, Made] = {}
    for ending, commit in COMMITS.items():
        for lease in ("3s", "2s", "1s"):
            made[f"holdfast-{lease}{ending}"] = (Holdfast, partial(Holdfast, commit=commit, lease=lease))
        for profile in Patroni.profiles:
            made[f"patroni-{profile}{ending}"] = (Patroni, partial(Patroni, commit=commit, profile=profile))
    return made


if __name__ == "__main__":
    compare(_contenders(), list(Kind), __doc__)
