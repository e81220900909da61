"""Standing for leader, through sessions that come and go: no end of it is silent."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from holdfast.agent import clock
from holdfast.agent.cluster.campaigning import Campaigning
from holdfast.agent.cluster.session import SessionKeeping
from holdfast.coordination.memory import MemoryEngine
from holdfast.coordination.recipes.election import Election
from holdfast.model.cluster_events import ClusterEvent
from holdfast.model.time import SECOND

BOUND_S = 20


class OursError(Exception):
    """A fault of ours."""


def test_a_fault_of_ours_while_it_stands_ends_the_candidate_loudly() -> None:
    def above() -> int:
        raise OursError

    with pytest.raises(OursError):
        asyncio.run(_stand(above))


async def _stand(above: Callable[[], int]) -> None:
    coordinator = MemoryEngine(clock.now).coordinator()
    heard: list[ClusterEvent] = []
    keeping = SessionKeeping(
        coordinator,
        60 * SECOND,
        heard.append,
        lambda _: None,
        is_well=lambda: True,
        chance=Random(1),
    )
    election = Election(coordinator, "/s/leader", now=clock.now, chance=Random(1))
    campaigning = Campaigning(election, keeping, heard.append, by="h1", above=above)
    session = asyncio.create_task(keeping.run())
    try:
        async with asyncio.timeout(BOUND_S):
            await campaigning.run()
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)
