"""The client of user programs: locks, elections, semaphores, members and shared values, by name."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import TypeVar

from holdfast.client.errors import LostError
from holdfast.client.holding import Held, Terms, holding
from holdfast.coordination import address, clock
from holdfast.coordination.recipes.election import Election
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.lock import Lock
from holdfast.coordination.recipes.membership import Facts, Member, Membership
from holdfast.coordination.recipes.pausing import Pauses
from holdfast.coordination.recipes.seats import Claim
from holdfast.coordination.recipes.semaphore import Semaphore
from holdfast.coordination.recipes.shared_value import SharedValue
from holdfast.model.time import SECOND, Instant
from holdfast.ports.coordination import Coordinator, UnavailableError

T = TypeVar("T")

TTL_S = 10.0
ROOT = "/client"


class Client:
    """A connection to a coordinator. Use it as `async with connect(url) as client`."""

    def __init__(self, coordinator: Coordinator, *, name: str | None = None) -> None:
        self.coordinator = coordinator
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"  # how others see who holds something
        self._chance = Random()  # noqa: S311 - marks and pauses, no secrets

    def lock(
        self, name: str, *, ttl: float = TTL_S, wait: float | None = None
    ) -> AbstractAsyncContextManager[Held]:
        """Hold the lock `name` while the block runs. Who asks first has it first.

        `ttl` and `wait` are seconds. A holder that dies or hangs keeps others out for `ttl` at most. `wait` None waits for
        ever, 0 not at all; WaitedTooLongError when it is over.
        """
        lock = Lock(self.coordinator, f"{ROOT}/locks/{name}", now=clock.now, chance=self._chance)
        return holding(self.coordinator, lock.acquire, Terms(self.name, ttl, wait), self._chance)

    async def holder(self, name: str) -> Claim | None:
        """Return who holds the lock `name` at present; None if nobody does."""
        return await Lock(
            self.coordinator, f"{ROOT}/locks/{name}", now=clock.now, chance=self._chance
        ).holder()

    def semaphore(
        self, name: str, count: int, *, ttl: float = TTL_S, wait: float | None = None
    ) -> AbstractAsyncContextManager[Held]:
        """Hold one of `count` places while the block runs. All who use `name` must give the same count."""
        path = f"{ROOT}/semaphores/{name}"
        semaphore = Semaphore(self.coordinator, path, count, now=clock.now, chance=self._chance)
        return holding(self.coordinator, semaphore.acquire, Terms(self.name, ttl, wait), self._chance)

    def election(self, name: str, *, ttl: float = TTL_S) -> "ClientElection":
        """Return the election `name`."""
        election = Election(self.coordinator, f"{ROOT}/elections/{name}", now=clock.now, chance=self._chance)
        return ClientElection(self, election, ttl, self._chance)

    def members(self, name: str, *, ttl: float = TTL_S) -> "ClientMembers":
        """Return the group `name`."""
        group = Membership(self.coordinator, f"{ROOT}/members/{name}", now=clock.now, chance=self._chance)
        return ClientMembers(self, group, ttl, self._chance)

    def value(self, name: str) -> SharedValue:
        """Return the shared value `name`."""
        return SharedValue(self.coordinator, f"{ROOT}/values/{name}", chance=self._chance)

    async def close(self) -> None:
        """Let go of the coordinator."""
        await self.coordinator.close()


class ClientElection:
    """One office that programs compete for."""

    def __init__(self, client: Client, election: Election, ttl: float, chance: Random) -> None:
        self._client = client
        self._election = election
        self._ttl = ttl
        self._chance = chance

    def campaign(self, *, wait: float | None = None) -> AbstractAsyncContextManager[Held]:
        """Wait until elected, and lead while the block runs."""
        terms = Terms(self._client.name, self._ttl, wait)
        return holding(self._client.coordinator, self._election.campaign, terms, self._chance)

    async def lead(self, work: Callable[[Held], Awaitable[T]]) -> T:
        """Do `work` whenever elected, until it returns. When the office is lost the work is cancelled, and begins
        anew with a larger token at the next election. Ends by itself only with the work's result or error.
        """  # noqa: D205 - one thought
        pauses = Pauses(self._chance)
        while True:
            try:
                async with self.campaign() as held:
                    pauses.begin_anew()
                    return await held.run(_awaited(work, held))
            except (LostError, UnavailableError):
                await pauses.pause()

    async def leader(self) -> Claim | None:
        """Return who leads at present; None if nobody does."""
        return await self._election.leader()

    def leaders(self) -> AsyncGenerator[Claim | None, None]:
        """Return who leads, again with each change of it."""
        return self._election.leaders()


class ClientMember:
    """This program as a member of a group."""

    def __init__(self, member: Member, keeping: Keeping) -> None:
        self._member = member
        self._keeping = keeping

    @property
    def deadline(self) -> Instant:
        """Return until when others surely see us; 0 once that is over."""
        return 0 if self.lost.is_set() else self._member.deadline

    @property
    def lost(self) -> asyncio.Event:
        """Return the event that is set when others may no longer see us."""
        return self._keeping.lost

    async def say(self, facts: Facts) -> None:
        """Replace our facts."""
        await self._member.say(facts)


class ClientMembers:
    """A group of programs that see each other."""

    def __init__(self, client: Client, group: Membership, ttl: float, chance: Random) -> None:
        self._client = client
        self._group = group
        self._ttl = ttl
        self._chance = chance

    @asynccontextmanager
    async def join(
        self, facts: Facts | None = None, *, name: str | None = None
    ) -> AsyncGenerator[ClientMember, None]:
        """Be a member while the block runs; without a name, under the client's own."""
        session = await self._client.coordinator.open_session(round(self._ttl * SECOND))
        async with AsyncExitStack() as stack:
            keeping = await stack.enter_async_context(Keeping(session, now=clock.now, chance=self._chance))
            shown = name or self._client.name.lower().replace(":", "-")
            member = await self._group.join(shown, facts or {}, session)
            try:
                yield ClientMember(member, keeping)
            finally:
                with suppress(UnavailableError):  # the session, which ends now, takes the key with it
                    await member.leave()

    async def list(self) -> dict[str, Facts]:
        """Return who is there, and what each says about itself."""
        return await self._group.members()

    def watch(self) -> AsyncGenerator[dict[str, Facts], None]:
        """Return who is there, again with each change."""
        return self._group.changes()


@asynccontextmanager
async def connect(url: str, *, name: str | None = None) -> AsyncGenerator[Client, None]:
    """Connect to the coordinator that `url` names, for the time of a block. `name` is how others see who holds what."""
    client = Client(address.connect(url), name=name)
    try:
        yield client
    finally:
        await client.close()


async def _awaited(work: Callable[[Held], Awaitable[T]], held: Held) -> T:
    return await work(held)
