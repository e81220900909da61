"""Reloading: the operator's file is read again while everything runs.

It is all or nothing. The file is read and checked, the balancer takes the new configuration over, and only then does
the core learn of it. Whatever fails on the way leaves the old one in force, and says so.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.agent.log import Level, Line
from holdfast.agent.notify import Notifier
from holdfast.agent.protocol import ErrorKind, Failure
from holdfast.agent.turning import Turning
from holdfast.config import ConfigError, load
from holdfast.loop.cluster import rollout
from holdfast.model.digests import run_digest
from holdfast.model.events import Ending, PolicyChanged
from holdfast.model.ids import component_id
from holdfast.model.policy import Policy
from holdfast.ports.components import Result
from holdfast.ports.traffic import Traffic
from holdfast.traffic.balancer import with_balancer


def policy_changed(policy: Policy) -> PolicyChanged:
    """Return the event that tells the core of `policy`."""
    digests = {
        component_id(service.name, member.name): run_digest(member.run)
        for service in policy.services.values()
        for member in service.members
    }
    return PolicyChanged(policy, digests)


class Reloading:
    """One file, and how it gets into force."""

    def __init__(
        self,
        file: Path,
        directory: Path,
        turning: Turning,
        traffic: Traffic,
        *,
        say: Callable[[Line], None],
        notifier: Notifier,
    ) -> None:
        self._file = file
        self._turning = turning
        self._traffic = traffic
        self._say = say
        self._notifier = notifier
        self._one = asyncio.Lock()
        self.problem = ""  # why the file as it is now is not in force; empty: it is
        self.when_done: Callable[[], None] = lambda: None
        # Of several hosts each puts only its own part of the file in force, and the cluster learns of the whole.
        self.part_of: Callable[[Policy], Policy] = lambda policy: with_balancer(policy, directory)
        self.when_whole: Callable[[Policy], None] = lambda _: None

    async def reload(self, by: str) -> Failure | None:
        """Read the file again; return why that failed, if it did."""
        async with self._one:
            self._notifier.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
            failure = await self._reload()
            self._notifier.ready()
        self._note(failure, by)
        return failure

    async def take_over(self, policy: Policy, by: str) -> str:
        """Have this host's part of a shared file take force; return why that failed, if it did."""
        async with self._one:
            failure = await self._exchange(policy)
        self._note(failure, by)
        return failure.message if failure is not None else ""

    async def put_part_in_force(self, part: Callable[[], Policy]) -> tuple[Policy, Result]:
        """Put a part in force that is another one because members were placed elsewhere, after what is under way.

        The leader counts on it: a balancer that does not take it over keeps nobody from looking after the members.
        Which part it was is returned too: it is asked for when its turn has come, as another file may have come first.
        """
        async with self._one:
            policy = part()
            result = await self.put_in_force(policy)
            if result.ending is not Ending.DONE and policy != self._turning.state.policy:
                self.tell_core(policy)
            return policy, result

    def _note(self, failure: Failure | None, by: str) -> None:
        if failure is not None:
            problem = f"the file was not taken over: {failure.message}"
            if problem == self.problem:
                return  # it is tried again, and that was said
            self.problem = problem
            text = f"asked for by {by}, the old one stays in force: " + "; ".join(
                (failure.message, *failure.reasons)
            )
            self._say(Line(Level.ERROR, "agent", "reload", text))
        else:
            self.problem = ""

    async def put_in_force(self, policy: Policy) -> Result:
        """Have the balancer, then the core, take `policy` over; FAILED changes nothing."""
        result = await self._traffic.configure(policy)
        if result.ending is Ending.DONE:
            self.tell_core(policy)
        return result

    async def configure_again(self) -> Result:
        """Have the balancer take over what the core knows; never an older one than a reload that is under way."""
        async with self._one:
            return await self._traffic.configure(self._turning.state.policy)

    def tell_core(self, policy: Policy) -> None:
        """Have the core take `policy` over."""
        self._turning.turn(policy_changed(policy))
        self.when_done()

    async def _reload(self) -> Failure | None:
        try:
            policy = await asyncio.to_thread(load, self._file)
        except ConfigError as error:
            count = len(error.problems)
            message = f"{self._file} has {count} error{'s' if count > 1 else ''}"
            return Failure(ErrorKind.CONFIGURATION, message, tuple(str(error).splitlines()))
        return await self._exchange(policy)

    async def _exchange(self, policy: Policy) -> Failure | None:
        old = self._turning.state.policy
        if policy.system != old.system:
            message = (
                f"the system cannot be renamed from {old.system} to {policy.system} while its agent runs"
            )
            return Failure(
                ErrorKind.CONFIGURATION, message, ("holdfast down, then start it under the new name",)
            )
        if (policy.cluster is None) != (old.cluster is None):
            message = "one host cannot become several, nor several one, while the agent runs"
            return Failure(ErrorKind.CONFIGURATION, message, ("end the agent and start it again",))
        if fixed := rollout.why_not_while_running(old, policy):
            return Failure(ErrorKind.CONFIGURATION, "; ".join(fixed), (rollout.TO_CHANGE_THEM,))
        result = await self.put_in_force(self.part_of(policy))
        if result.ending is Ending.DONE:
            self.when_whole(policy)
            return None
        if result.ending is Ending.UNKNOWN:
            await self._traffic.configure(old)  # it may have been taken over: back to what the core knows
        return Failure(ErrorKind.FAILED, f"the balancer did not take it over: {result.error}")
