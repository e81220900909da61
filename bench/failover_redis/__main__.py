"""Failover of Redis: what each fault of the primary's host costs who writes to it, with holdfast and with Redis Sentinel.

    python -m bench.failover_redis [--runs 3] [--only holdfast-1s sentinel-fast ...] [--faults kill crash ...]

"lost" are numbers that were acknowledged and are not there in the end: of the client that finds the primary (through holdfast's balancer, or
by asking Sentinel), and of one that stays on its connection to the old primary.
"""

from functools import partial

from bench.failover.stateful import Made, compare
from bench.failover.tolls import Kind
from bench.failover_redis.holdfast_ import Holdfast
from bench.failover_redis.sentinel import PROFILES, Sentinel

KINDS = [Kind.KILL, Kind.CRASH, Kind.HANG, Kind.MANAGER, Kind.MOVE]

if __name__ == "__main__":
    contenders: dict[str, Made] = {
        **{f"holdfast-{lease}": (Holdfast, partial(Holdfast, lease=lease)) for lease in ("3s", "2s", "1s")},
        **{f"sentinel-{profile}": (Sentinel, partial(Sentinel, profile=profile)) for profile in PROFILES},
    }
    compare(contenders, KINDS, __doc__)
