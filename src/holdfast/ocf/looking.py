"""Looking after a component while it runs: its agent is asked again and again, and sooner when something of it ended."""

import asyncio
from collections.abc import Callable

from holdfast.model.time import SECOND, Duration
from holdfast.ocf.following import Following
from holdfast.ocf.outcomes import Outcome
from holdfast.ocf.resource import Resource
from holdfast.ocf.running import Running

_APART = 0.2  # seconds between two looks at least, however much ends meanwhile
_AGAIN = 0.5  # seconds from a look out of turn that found nothing to one more


async def look_after(
    resource: Resource, running: Running, on_gone: Callable[[Resource, Outcome], None], *, at_once: bool
) -> None:
    """Ask until this life of the component is over, then say so once. Ends when cancelled, too."""
    life = resource.record.life
    following = Following(resource.wanted_now.set)
    is_due = at_once
    try:
        while resource.record.life == life:
            was_woken = False
            if not is_due:
                async with resource.turn:  # so that no action is taken for a daemon
                    following.follow(await running.processes(resource.component))
                was_woken = await _woken(resource, resource.agent.monitor_every)
            is_due = False
            async with resource.turn:
                if resource.record.life != life or not resource.is_live:
                    return
                resource.wanted_now.clear()
                outcome = await resource.monitor()
                if not outcome.runs:
                    resource.is_reported_gone = True
                    on_gone(resource, outcome)
                    return
            if was_woken:  # what ended may take a moment to show
                await asyncio.sleep(_AGAIN)
                is_due = True
    finally:
        following.close()


async def _woken(resource: Resource, every: Duration) -> bool:
    """Wait for the next look; tell whether it is one out of turn."""
    await asyncio.sleep(_APART)
    try:
        async with asyncio.timeout(every / SECOND - _APART):
            await resource.wanted_now.wait()
    except TimeoutError:
        return False
    return True
