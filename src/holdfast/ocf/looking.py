"""Looking after a component while it runs: its agent is asked again and again, and sooner when something of it ended."""

import asyncio
from collections.abc import Callable

from holdfast.model.time import SECOND, Duration
from holdfast.ocf.outcomes import Outcome
from holdfast.ocf.resource import Resource

_APART = 0.2  # seconds between two looks at least, however much ends meanwhile
_AGAIN = SECOND // 2  # from a look out of turn that found nothing to one more


async def look_after(
    resource: Resource, on_gone: Callable[[Resource, Outcome], None], *, at_once: bool
) -> None:
    """Ask until this life of the component is over, then say so once. Ends when cancelled, too."""
    life = resource.record.life
    try:
        was_woken = False if at_once else await _woken(resource, resource.agent.monitor_every)
        while resource.record.life == life:
            async with resource.turn:
                if resource.record.life != life or not resource.is_live:
                    return
                outcome = await resource.monitor()
                if not outcome.runs:
                    resource.is_reported_gone = True
                    on_gone(resource, outcome)
                    return
            # What ended may take a moment to show: once more, soon.
            every = min(_AGAIN, resource.agent.monitor_every) if was_woken else resource.agent.monitor_every
            was_woken = await _woken(resource, every)
    finally:
        resource.following.close()


async def _woken(resource: Resource, every: Duration) -> bool:
    """Wait for the next look; tell whether it is one out of turn."""
    await asyncio.sleep(_APART)
    try:
        async with asyncio.timeout(every / SECOND - _APART):
            await resource.wanted_now.wait()
    except TimeoutError:
        return False
    return True
