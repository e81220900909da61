"""A program that wants to lead, for tests that kill or stop it: `python candidate.py URL PATH TTL_S NAME`.

Prints a JSON line when elected and when it knows that it leads no more, with the latest deadline it ever
believed in. SIGTERM makes it resign.
"""

import asyncio
import json
import random
import signal
import sys
from contextlib import suppress

from holdfast.coordination import address
from holdfast.coordination.clock import now
from holdfast.coordination.recipes.election import Election
from holdfast.model.time import SECOND
from holdfast.ports.coordination import CoordinationError, Session, UnavailableError


def tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


class Believing:
    """Renews, and remembers how long it ever believed to lead."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.until = session.deadline

    async def renew(self) -> None:
        while True:
            await asyncio.sleep(self.session.ttl / SECOND / 6)
            with suppress(UnavailableError):
                await self.session.renew()
            self.until = max(self.until, self.session.deadline)


async def main(url: str, path: str, ttl_s: float, name: str) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    coordinator = address.connect(url)
    session = await coordinator.open_session(round(ttl_s * SECOND))
    believing = Believing(session)
    renewing = asyncio.create_task(believing.renew())
    election = Election(coordinator, path, now=now, chance=random.Random())
    tell(is_="waiting", session=session.id)
    hold = await election.campaign(session, by=name)
    tell(is_="elected", at=now(), token=hold.token, ttl=session.ttl)
    while now() < hold.deadline and not stopping.is_set():  # noqa: ASYNC110 - the deadline is a number, on purpose
        await asyncio.sleep(0.002)
    tell(is_="over", at=now(), until=min(now(), believing.until))
    renewing.cancel()
    with suppress(CoordinationError):
        await hold.release()
    await session.close()
    await coordinator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
