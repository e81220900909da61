"""The adapter: one fencing of one host at a time, whoever asks and however often.

Several members of a lost host are missed at once, and each takeover asks for the same fencing. Two agents that
speak to one device at a time get in each other's way: many a device has room for one session.
"""

import asyncio
from functools import partial

from holdfast.fencing.checking import find_problems
from holdfast.fencing.looking import look_at
from holdfast.fencing.powering_off import Outcome, power_off
from holdfast.model.events import Ending
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.model.time import SECOND, Duration
from holdfast.ports.fencing import DeviceSeen, Fenced


class FenceAgents:
    """Fence agents and programs of the operator's own, run on this host. It fulfils `ports.fencing.Fencing`."""

    def __init__(self) -> None:
        self._under_way: dict[HostName, asyncio.Task[Fenced]] = {}

    async def fence(self, host: HostName, policy: FencePolicy) -> Fenced:
        """Turn the host off and see that it is. Joins a fencing of the same host that is under way."""
        began = _seconds()
        task = self._under_way.get(host)
        if task is None:
            task = asyncio.create_task(_fence(host, policy), name=f"fence {host}")
            self._under_way[host] = task
            task.add_done_callback(partial(self._forget, host))
        # Unlike awaiting it, this leaves the fencing alone when who waits is cancelled.
        await asyncio.wait([task])
        if task.cancelled():
            return Fenced(
                Ending.UNKNOWN, f"given up: holdfast was leaving while {host} was fenced", _since(began)
            )
        return task.result()

    async def look(self, host: HostName, policy: FencePolicy) -> DeviceSeen:
        """Ask the device how it is and whether the host is on; changes nothing."""
        began = _seconds()
        sight = await look_at(host, policy)
        return DeviceSeen(sight.is_ready, sight.power, sight.text, _since(began), sight.is_late)

    async def problems_of(self, policy: FencePolicy) -> tuple[str, ...]:
        """Return what would keep this policy from working, as far as it can be told without asking the device; none: ()."""
        return await find_problems(policy)

    async def close(self) -> None:
        """End what is under way: who waits is told UNKNOWN."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, host: HostName, task: asyncio.Task[Fenced]) -> None:
        if self._under_way.get(host) is task:
            del self._under_way[host]


async def _fence(host: HostName, policy: FencePolicy) -> Fenced:
    began = _seconds()
    outcome: Outcome = await power_off(host, policy)
    return Fenced(outcome.ending, outcome.text, _since(began), outcome.is_late)


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _since(began: float) -> Duration:
    return round((_seconds() - began) * SECOND)
