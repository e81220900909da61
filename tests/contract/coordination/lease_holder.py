"""A host that takes a lease and keeps it, for tests that kill it: `python lease_holder.py URL ROOT TTL_S HOST AFTER_EPOCH`.

Prints a JSON line when it is ready, waits for a line, takes the lease of `db`, and tells what came of it.
"""

import asyncio
import json
import random
import sys

from holdfast.coordination import address
from holdfast.coordination.clock import now
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.leases import Leases, Taken
from holdfast.model.time import SECOND


def tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


async def main(url: str, root: str, ttl_s: float, host: str, after_epoch: int) -> None:
    coordinator = address.connect(url)
    session = await coordinator.open_session(round(ttl_s * SECOND))
    leases = Leases(coordinator, root, host=host, life=f"{host}-1")
    async with Keeping(session, now=now, chance=random.Random()) as keeping:
        tell(is_="ready")
        await asyncio.to_thread(sys.stdin.readline)
        answer = await leases.take("db", f"db-{host}", session, after_epoch=after_epoch)
        if isinstance(answer, Taken):
            tell(is_="taken", epoch=answer.lease.epoch)
        else:
            tell(is_=type(answer).__name__.lower(), why=str(answer))
        await keeping.lost.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
