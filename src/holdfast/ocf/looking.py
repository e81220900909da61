"""Looking after a component while it runs: its agent is asked again and again, and sooner when something of it ended."""

import asyncio
from collections.abc import Callable

from holdfast.model.time import SECOND
from holdfast.ocf.following import Following
from holdfast.ocf.outcomes import Outcome
from holdfast.ocf.resource import Resource
from holdfast.ocf.running import Running

_APART = 0.2  # seconds between two looks at least, however much ends meanwhile


async def look_after(
    resource: Resource, running: Running, on_gone: Callable[[Resource, Outcome], None], *, at_once: bool
) -> None:
    """Ask until this life of the component is over, then say so once. Ends when cancelled, too."""
    life = resource.record.life
    following = Following(resource.wanted_now.set)
    try:
        if not at_once:
            following.follow(await running.processes(resource.component))
            await _wait(resource)
        while resource.record.life == life:
            async with resource.turn:
                if resource.record.life != life or not resource.is_live:
                    return
                resource.wanted_now.clear()
                outcome = await resource.monitor()
                if not outcome.runs:
                    resource.is_reported_gone = True
                    on_gone(resource, outcome)
                    return
            following.follow(await running.processes(resource.component))
            await _wait(resource)
    finally:
        following.close()


async def _wait(resource: Resource) -> None:
    await asyncio.sleep(_APART)
    try:
        async with asyncio.timeout(resource.agent.monitor_every / SECOND - _APART):
            await resource.wanted_now.wait()
    except TimeoutError:
        return
