"""What the drivers of ensembles promise while the ensemble itself breaks: real servers, killed and frozen."""

import asyncio
import functools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import ParamSpec

import pytest

from holdfast.coordination.address import connect
from holdfast.coordination.clock import now
from holdfast.coordination.zookeeper import ZooKeeperCoordinator
from holdfast.coordination.zookeeper_tree import planned
from holdfast.model.time import SECOND, Duration
from holdfast.ports.coordination import (
    Change,
    Condition,
    Coordinator,
    Guard,
    Session,
    SessionLostError,
    Snapshot,
    UnavailableError,
    UnknownError,
    Write,
)
from tests.contract.coordination.staging import is_refused, until
from tests.lab.ensembles import Ensemble, Member
from tests.lab.shared import shared

pytestmark = pytest.mark.e2e

ENGINES = ("zookeeper", "etcd")
TTL: Duration = 4 * SECOND
WITHIN_S = 30.0  # until a broken ensemble serves again, on a busy machine
P = ParamSpec("P")


@pytest.fixture(params=ENGINES)
def ensemble(request: pytest.FixtureRequest) -> Iterator[Ensemble]:
    yield from healed(shared(request.param, 3))


@pytest.fixture
def zookeeper() -> Iterator[Ensemble]:
    yield from healed(shared("zookeeper", 3))


def healed(ensemble: Ensemble) -> Iterator[Ensemble]:
    """Give it to a test, and bring back what the test broke."""
    try:
        yield ensemble
    finally:
        ensemble.heal()


def story(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def told() -> None:
            async with asyncio.timeout(100):
                await test(*args, **kwargs)

        asyncio.run(told())

    return run


@asynccontextmanager
async def client(ensemble: Ensemble, *members: Member, prefix: str = "") -> AsyncIterator[Coordinator]:
    coordinator = connect(ensemble.url(*members, prefix=prefix or f"/f-{secrets.token_hex(4)}"))
    try:
        yield coordinator
    finally:
        await coordinator.close()


class Owner:
    """Holds one key with a session, renews it, and compares what the session believes with what the engine says."""

    def __init__(self, coordinator: Coordinator, session: Session) -> None:
        self.session = session
        self._is_lost = False
        self.lies: list[str] = []
        self.renewals = 0
        self._coordinator = coordinator
        self._tasks = [asyncio.create_task(self._renew()), asyncio.create_task(self._compare())]

    async def _renew(self) -> None:
        while not self._is_lost:
            await asyncio.sleep(self.session.ttl / SECOND / 10)
            try:
                await self.session.renew()
                self.renewals += 1
            except UnavailableError:
                continue
            except SessionLostError:
                self._is_lost = True

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            asked_at = now()
            with suppress(UnavailableError):
                gone = await self._coordinator.get("/held") is None
                # Read after the answer: if the key was gone, the deadline must have been in the past by then.
                if gone and self.session.deadline > now():
                    self.lies.append(
                        f"the key was gone, asked at {asked_at}, deadline {self.session.deadline}"
                    )

    def has_lost(self) -> bool:
        return self._is_lost

    async def renewed(self, times: int = 3) -> None:
        """Wait until it has renewed again, or has learnt that it is lost."""
        wanted = self.renewals + times
        async with asyncio.timeout(WITHIN_S):
            while self.renewals < wanted and not self._is_lost:  # noqa: ASYNC110 - another task counts
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def owner(coordinator: Coordinator, ttl: Duration = TTL) -> AsyncIterator[Owner]:
    session = await coordinator.open_session(ttl)
    await coordinator.put("/held", b"mine", expect=Condition.ABSENT, session=session)
    owning = Owner(coordinator, session)
    try:
        yield owning
    finally:
        await owning.stop()


async def written(coordinator: Coordinator, key: str, value: bytes) -> list[Exception]:
    """Write until it succeeds; return what went wrong before."""
    errors: list[Exception] = []
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await coordinator.put(key, value)
                return errors
            except (UnknownError, UnavailableError) as error:
                errors.append(error)
                await asyncio.sleep(0.02)


async def gone_from(coordinator: Coordinator, key: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await coordinator.get(key) is not None:  # noqa: ASYNC110 - the engine ends it
            await asyncio.sleep(0.05)


# --- the engine's leader ----------------------------------------------------------------------------------


@story
async def test_a_session_outlives_the_death_of_the_engines_leader(ensemble: Ensemble) -> None:
    async with client(ensemble) as coordinator, owner(coordinator) as owning:
        before = await coordinator.get("/held")
        ensemble.leader().kill()
        await written(coordinator, "/k", b"after")
        await owning.renewed()
        assert not owning.has_lost()
        assert await coordinator.get("/held") == before
        assert owning.lies == []


@story
async def test_a_session_outlives_a_frozen_leader_of_the_engine(ensemble: Ensemble) -> None:
    async with client(ensemble) as coordinator, owner(coordinator) as owning:
        leader = ensemble.leader()
        leader.freeze()
        await written(coordinator, "/k", b"during")
        await owning.renewed()
        assert not owning.has_lost()
        assert owning.lies == []
        leader.thaw()
        ensemble.await_service()
        await owning.renewed()
        if ensemble.scheme == "zookeeper":
            assert not owning.has_lost()
            assert owning.lies == []
        elif owning.has_lost():
            # An etcd member that led before it was frozen may revoke leases that its successor has renewed. Then the
            # owner learns it at its next renewal, and can come back.
            assert owning.session.deadline == 0
            again = await coordinator.open_session(TTL)
            await coordinator.put("/held", b"again", expect=Condition.ABSENT, session=again)


@story
async def test_a_watch_misses_nothing_while_the_engines_leader_dies(ensemble: Ensemble) -> None:
    async with client(ensemble) as coordinator:
        await coordinator.put("/w/n", b"0")
        last = b"0"
        heard = asyncio.Event()

        async def look() -> None:
            nonlocal last
            while True:
                with suppress(UnavailableError):
                    async with aclosing(coordinator.watch("/w", beat=2 * SECOND)) as sightings:  # type: ignore[type-var]  # a generator
                        async for sighting in sightings:
                            match sighting:
                                case Snapshot(entries):
                                    last = entries["/w/n"].value
                                case Change("put", entry):
                                    last = entry.value
                                case _:
                                    pass  # a beat
                            heard.set()

        looking = asyncio.create_task(look())
        await heard.wait()
        ensemble.leader().kill()
        for number in range(1, 11):
            await written(coordinator, "/w/n", b"%d" % number)
        async with asyncio.timeout(WITHIN_S):
            while last != b"10":
                heard.clear()
                await heard.wait()
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


# --- a minority, and nobody -------------------------------------------------------------------------------


@story
async def test_a_member_without_a_majority_says_so_instead_of_lying(ensemble: Ensemble) -> None:
    alone, *others = ensemble.followers()
    others.append(ensemble.leader())
    prefix = f"/f-{secrets.token_hex(4)}"
    async with (
        client(ensemble, alone, prefix=prefix) as coordinator,
        owner(coordinator, 3 * SECOND) as owning,
    ):
        watching = asyncio.create_task(_watch_until_it_fails(coordinator))
        for member in others:
            member.freeze()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(watching, WITHIN_S)
        with pytest.raises(UnavailableError):
            await coordinator.get("/held")
        with pytest.raises((UnavailableError, UnknownError)):
            await coordinator.put("/k", b"lost")
        async with asyncio.timeout(WITHIN_S):
            while owning.session.deadline > now():  # noqa: ASYNC110 - time passes
                await asyncio.sleep(0.02)
        for member in others:
            member.thaw()
        await written(coordinator, "/k", b"back")
        assert owning.lies == []


async def _watch_until_it_fails(coordinator: Coordinator) -> None:
    async with aclosing(coordinator.watch("/", beat=2 * SECOND)) as sightings:  # type: ignore[type-var]  # a generator
        async for _ in sightings:
            pass


@story
async def test_keys_and_tokens_survive_a_restart_of_the_whole_ensemble(ensemble: Ensemble) -> None:
    async with client(ensemble) as coordinator:
        first = await coordinator.put("/kept", b"1")
        gone = await coordinator.put("/again", b"1")
        await coordinator.delete("/again")
        async with owner(coordinator) as owning:
            for member in ensemble.members:
                member.kill()
            with pytest.raises((UnavailableError, UnknownError)):
                await coordinator.put("/k", b"nobody is there")
            ensemble.heal()
            await written(coordinator, "/k", b"back")
            await owning.renewed()
            assert owning.lies == []
            assert await coordinator.get("/kept") == first
            # The session lived on or ended, by the engine's rules; what the owner knows agrees with what there is.
            if owning.has_lost():
                await gone_from(coordinator, "/held")  # the engine may say so before it has done so
            else:
                assert await coordinator.get("/held") is not None
        assert (await coordinator.put("/again", b"2")).token > gone.token


# --- what ZooKeeper alone could get wrong -----------------------------------------------------------------


@story
async def test_a_key_that_passed_on_while_we_were_thinking_does_not_look_the_same(
    zookeeper: Ensemble,
) -> None:
    prefix = f"/f-{secrets.token_hex(4)}"
    async with client(zookeeper, prefix=prefix) as slow, client(zookeeper, prefix=prefix) as quick:
        assert isinstance(slow, ZooKeeperCoordinator)
        leader = await slow.put("/leader", b"slow")
        guards, writes = [Guard("/leader", leader.version)], [Write("/command", b"from slow")]
        await slow.put("/command", b"")
        # The slow one reads and plans, and is paused before it sends.
        steps = planned(slow._root, guards, writes, await slow._reader.leaves(["/leader", "/command"]))
        await quick.delete("/leader")
        await quick.put(
            "/leader", b"quick", expect=Condition.ABSENT
        )  # written as often as its predecessor: once
        assert await slow._commit(slow._line, steps) is None
        command = await quick.get("/command")
        assert command is not None
        assert command.value == b""


@story
async def test_a_session_ends_with_its_owners_silence_although_its_connection_lives(
    zookeeper: Ensemble,
) -> None:
    async with client(zookeeper) as coordinator:
        session = await coordinator.open_session(1 * SECOND)
        await coordinator.put("/held", b"mine", session=session)
        # Nobody calls `renew`; kazoo's thread has all it needs to keep the session for ever.
        await gone_from(coordinator, "/held")
        await until(lambda: is_refused(session))
        assert session.deadline == 0
