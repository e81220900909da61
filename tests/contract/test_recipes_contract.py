"""What is built on the coordinator keeps its promises on every engine: exclusion, growing tokens, order, honest loss."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise

import pytest

from holdfast.coordination.clock import now
from holdfast.coordination.recipes.election import Election, Leadership
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.lock import Lock
from holdfast.coordination.recipes.membership import Membership
from holdfast.coordination.recipes.semaphore import Semaphore
from holdfast.coordination.recipes.shared_value import SharedValue
from holdfast.model.time import SECOND, Instant
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    Coordinator,
    SessionLostError,
)
from tests.contract.coordination.candidates import candidate
from tests.contract.coordination.stages import DRIVERS, Stage
from tests.contract.coordination.staging import is_gone, staged, until

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


def lock_of(stage: Stage, client: Coordinator, seed: int = 0) -> Lock:
    return Lock(client, f"{stage.root}/lock", now=now, chance=random.Random(seed))


@asynccontextmanager
async def kept(client: Coordinator, stage: Stage, seed: int = 0) -> AsyncIterator[Keeping]:
    session = await client.open_session(stage.ttl)
    async with Keeping(session, now=now, chance=random.Random(seed)) as keeping:
        yield keeping


@dataclass(frozen=True)
class Interval:
    """When something was held, as its holder believed."""

    since: Instant
    until: Instant
    token: int


def at_most_at_once(history: list[Interval]) -> int:
    edges = sorted([(i.since, 1) for i in history] + [(i.until, -1) for i in history])
    held = most = 0
    for _, change in edges:
        held += change
        most = max(most, held)
    return most


# --- exclusion ------------------------------------------------------------------------------------------


@pytest.mark.final
@staged
async def test_contenders_that_release_hang_or_leave_never_hold_a_lock_at_once(stage: Stage) -> None:
    history: list[Interval] = []

    async def contend(seed: int) -> None:
        chance = random.Random(seed)
        client = await stage.client()
        for _ in range(3):
            session = await client.open_session(stage.ttl)
            async with Keeping(session, now=now, chance=chance) as keeping:
                hold = await lock_of(stage, client, seed).acquire(session, by=str(seed))
                since, deadline = now(), hold.deadline
                behaviour = chance.choice(["release", "release", "hang", "close"])
                if behaviour == "hang":  # a loop that is stuck: no renewals, and it believes its deadline
                    keeping._task.cancel()  # type: ignore[union-attr]  # entered
                    deadline = hold.deadline
                    await until(lambda deadline=deadline: is_past(deadline))  # type: ignore[misc]  # mypy: lambda's default
                    history.append(Interval(since, deadline, hold.token))
                    continue
                await asyncio.sleep(chance.uniform(0, 0.03))
                history.append(Interval(since, now(), hold.token))
                if behaviour == "release":
                    await hold.release()

    await asyncio.gather(*(contend(seed) for seed in range(4)))
    assert len(history) == 12
    assert at_most_at_once(history) == 1
    tokens = [interval.token for interval in sorted(history, key=lambda i: i.since)]
    assert all(a < b for a, b in pairwise(tokens)), tokens


async def is_past(instant: Instant) -> bool:
    return now() >= instant


@pytest.mark.final
@staged
async def test_a_semaphore_never_has_more_holders_than_places(stage: Stage) -> None:
    history: list[Interval] = []

    async def use(seed: int) -> None:
        client = await stage.client()
        chance = random.Random(seed)
        for _ in range(3):
            async with kept(client, stage, seed) as keeping:
                places = Semaphore(client, f"{stage.root}/places", 3, now=now, chance=chance)
                hold = await places.acquire(keeping.session, by=str(seed))
                since = now()
                await asyncio.sleep(0.02)
                history.append(Interval(since, now(), hold.token))
                await hold.release()

    await asyncio.gather(*(use(seed) for seed in range(6)))
    assert len({interval.token for interval in history}) == len(history) == 18
    assert at_most_at_once(history) <= 3


@staged
async def test_a_semaphore_has_as_many_holders_as_places_and_refuses_the_next(stage: Stage) -> None:
    client = await stage.client()
    places = Semaphore(client, f"{stage.root}/places", 3, now=now, chance=random.Random(0))
    async with kept(client, stage) as keeping:
        holds = [await places.acquire(keeping.session, by=str(n), waits=False) for n in range(3)]
        assert [hold.token for hold in holds] == [1, 2, 3]
        assert [claim.by for claim in await places.holders()] == ["0", "1", "2"]
        with pytest.raises(ConflictError):
            await places.acquire(keeping.session, by="3", waits=False)
        await holds[1].release()
        again = await places.acquire(keeping.session, by="3", waits=False)
        assert again.token == 4
        assert again.key == holds[1].key


@staged
async def test_who_asks_for_a_lock_first_has_it_first(stage: Stage) -> None:
    client = await stage.client()
    order: list[int] = []

    async def want(number: int) -> None:
        async with kept(client, stage, number) as keeping:
            hold = await lock_of(stage, client, number).acquire(keeping.session, by=str(number))
            order.append(number)
            await hold.release()

    async with kept(client, stage, 99) as keeping:
        first = await lock_of(stage, client, 99).acquire(keeping.session, by="first")
        waiting = []
        for number in range(4):
            waiting.append(asyncio.create_task(want(number)))
            await until(lambda count=number + 1: has_queue(client, stage, count))  # type: ignore[misc]  # mypy: lambda's default
        await first.release()
        await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


async def has_queue(client: Coordinator, stage: Stage, count: int) -> bool:
    entries = (await client.list(f"{stage.root}/lock/queue")).entries
    return len([key for key in entries if key != f"{stage.root}/lock/queue"]) == count


@staged
async def test_who_does_not_want_to_wait_is_told_that_it_is_taken(stage: Stage) -> None:
    client = await stage.client()
    async with kept(client, stage) as one, kept(client, stage) as two:
        hold = await lock_of(stage, client, 1).acquire(one.session, by="one", waits=False)
        with pytest.raises(ConflictError):
            await lock_of(stage, client, 2).acquire(two.session, by="two", waits=False)
        assert await has_queue(client, stage, 0)
        await hold.release()
        await lock_of(stage, client, 3).acquire(two.session, by="two", waits=False)


# --- elections ------------------------------------------------------------------------------------------


@staged
async def test_a_leader_that_resigns_is_followed_by_one_with_a_larger_token(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    election = {
        c: Election(c, f"{stage.root}/e", now=now, chance=random.Random(i)) for i, c in enumerate((one, two))
    }
    async with kept(one, stage, 1) as first, kept(two, stage, 2) as second:
        leading = Leadership(election[one], first.session, by="one")
        following = Leadership(election[two], second.session, by="two")
        assert (leading.token, leading.deadline) == (0, 0)
        token = await leading.acquire()
        waiting = asyncio.create_task(following.acquire())
        assert leading.deadline == first.session.deadline > now()
        leader = await election[two].leader()
        assert leader is not None
        assert (leader.by, leader.token) == ("one", token)
        await leading.resign()
        assert leading.deadline == 0
        assert await waiting > token
        assert await leading_again(leading, following) > following.token


async def leading_again(leading: Leadership, following: Leadership) -> int:
    waiting = asyncio.create_task(leading.acquire())
    await following.resign()
    return await waiting


@staged
async def test_who_leads_is_told_to_whoever_watches(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    election = Election(two, f"{stage.root}/e", now=now, chance=random.Random(0))
    leaders = election.leaders()
    assert await anext(leaders) is None
    async with kept(one, stage) as keeping:
        hold = await Election(one, f"{stage.root}/e", now=now, chance=random.Random(0)).campaign(
            keeping.session, by="me"
        )
        assert await anext(leaders) == hold.claim
        await hold.release()
        assert await anext(leaders) is None
    await leaders.aclose()


@staged
async def test_ten_candidates_elect_one_after_the_other(stage: Stage) -> None:
    client = await stage.client()
    tokens: list[int] = []

    async def run(number: int) -> None:
        async with kept(client, stage, number) as keeping:
            election = Election(client, f"{stage.root}/e", now=now, chance=random.Random(number))
            hold = await election.campaign(keeping.session, by=str(number))
            tokens.append(hold.token)
            await hold.release()

    await asyncio.gather(*map(run, range(10)))
    assert tokens == list(range(1, 11))


# --- cancelling, losing -----------------------------------------------------------------------------------


@staged
async def test_a_waiter_that_is_cancelled_leaves_nothing_behind(stage: Stage) -> None:
    client = await stage.client()
    async with kept(client, stage, 1) as one, kept(client, stage, 2) as two:
        hold = await lock_of(stage, client, 1).acquire(one.session, by="one")
        waiting = asyncio.create_task(lock_of(stage, client, 2).acquire(two.session, by="two"))
        await until(lambda: has_queue(client, stage, 1))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await has_queue(client, stage, 0)
        await hold.release()
        await lock_of(stage, client, 3).acquire(two.session, by="three", waits=False)


@staged
async def test_cancelled_at_any_step_the_lock_is_free_afterwards(stage: Stage) -> None:
    client = await stage.client()
    async with kept(client, stage, 1) as keeping:
        for step in range(12):
            taking = asyncio.create_task(lock_of(stage, client, step).acquire(keeping.session, by="one"))
            for _ in range(step):
                await asyncio.sleep(0)
            if step >= 6:
                await asyncio.sleep(0.001 * (step - 5))
            taking.cancel()
            with suppress(asyncio.CancelledError):
                hold = await taking
                await hold.release()
            entries = (await client.list(f"{stage.root}/lock")).entries
            left = [e for e in entries.values() if e.session is not None]
            assert left == [], step


@staged
async def test_a_waiter_whose_session_ends_is_told(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as keeping:
        await lock_of(stage, one).acquire(keeping.session, by="one")
        session = await two.open_session(stage.ttl)  # which nobody renews
        with pytest.raises(SessionLostError):
            await lock_of(stage, two).acquire(session, by="two")
        await session.close()


@staged
async def test_a_holder_is_told_when_its_seat_is_taken_away(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as keeping:
        hold = await lock_of(stage, one).acquire(keeping.session, by="one")
        watching = asyncio.create_task(hold.gone())
        await two.delete(hold.key)
        assert await watching == "nobody holds it"
        assert hold.deadline == 0


@staged
async def test_a_session_that_the_engine_ends_is_lost_at_once(stage: Stage) -> None:
    client = await stage.client()
    async with kept(client, stage) as keeping:
        hold = await lock_of(stage, client).acquire(keeping.session, by="one")
        await keeping.session.close()
        await asyncio.wait_for(keeping.lost.wait(), 10)
        assert hold.deadline == 0
        assert keeping.why


@staged
async def test_a_session_that_cannot_be_renewed_is_lost_at_its_deadline(stage: Stage) -> None:
    if stage.silence is None:
        pytest.skip("this engine cannot be silenced")
    client = await stage.client()
    async with kept(client, stage) as keeping:
        async with stage.silence():
            await asyncio.wait_for(keeping.lost.wait(), 20)
            lost_at = now()
        assert lost_at >= keeping.session.deadline
        assert lost_at < keeping.session.deadline + 2 * SECOND or keeping.session.deadline == 0


# --- members ----------------------------------------------------------------------------------------------


@staged
async def test_members_appear_change_and_disappear(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    group = {c: Membership(c, f"{stage.root}/m", now=now, chance=random.Random(0)) for c in (one, two)}
    changes = group[two].changes()
    assert await anext(changes) == {}
    async with kept(one, stage) as keeping:
        member = await group[one].join("h1", {"port": "80"}, keeping.session)
        assert member.deadline == keeping.session.deadline
        assert await anext(changes) == {"h1": {"port": "80"}}
        await member.say({"port": "81"})
        assert await anext(changes) == {"h1": {"port": "81"}}
        assert await group[two].members() == {"h1": {"port": "81"}}
        await member.leave()
        assert member.deadline == 0
        assert await anext(changes) == {}
        again = await group[one].join("h1", {}, keeping.session)
        assert await anext(changes) == {"h1": {}}
    assert await anext(changes) == {}
    assert again.deadline == 0
    await changes.aclose()


@staged
async def test_a_member_that_comes_back_waits_for_its_old_self_to_go(stage: Stage) -> None:
    client = await stage.client()
    group = Membership(client, f"{stage.root}/m", now=now, chance=random.Random(0))
    old = await client.open_session(stage.ttl)
    await group.join("h1", {"life": "1"}, old)  # and then hangs
    async with kept(client, stage) as keeping:
        await group.join("h1", {"life": "2"}, keeping.session)
        assert await group.members() == {"h1": {"life": "2"}}
    await old.close()


# --- shared values ----------------------------------------------------------------------------------------


@staged
async def test_a_shared_value_is_changed_by_who_saw_the_latest(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    value = {c: SharedValue(c, f"{stage.root}/v", chance=random.Random(0)) for c in (one, two)}
    changes = value[two].changes()
    assert await anext(changes) is None
    first = await value[one].set(b"1", expect=Condition.ABSENT)
    assert await anext(changes) == first
    second = await value[two].set(b"2", expect=first.version)
    with pytest.raises(ConflictError):
        await value[one].set(b"3", expect=first.version)
    assert await value[one].get() == second
    await changes.aclose()


@staged
async def test_changes_by_many_at_once_are_all_kept(stage: Stage) -> None:
    async def count(seed: int) -> None:
        value = SharedValue(await stage.client(), f"{stage.root}/v", chance=random.Random(seed))
        for _ in range(5):
            await value.change(lambda old: b"%d" % (int(old or b"0") + 1))

    await asyncio.gather(*map(count, range(4)))
    entry = await (await stage.client()).get(f"{stage.root}/v")
    assert entry is not None
    assert entry.value == b"20"


@staged
async def test_a_leader_that_resigns_in_another_process_is_followed(stage: Stage) -> None:
    if stage.url is None:
        pytest.skip("this engine lives in one process")
    client = await stage.client()
    async with candidate(stage, "one") as one:
        await one.said("waiting")
        elected = await one.said("elected")
        one.signal(signal.SIGTERM)
        async with kept(client, stage) as keeping:
            election = Election(client, f"{stage.root}/election", now=now, chance=random.Random(0))
            hold = await election.campaign(keeping.session, by="two")
        over = await one.said("over")
        assert hold.token > elected["token"]
        assert over["until"] <= now()
        await until(lambda: is_gone(client, hold.key))
