"""What stands in the coordinator keeps its promises on every engine: one holder, growing epochs, one leader's word, signed orders."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from holdfast.coordination.clock import now
from holdfast.coordination.limits import TRANSACTION_WRITES_MAX
from holdfast.coordination.recipes.answers import Done, Refused
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.keeping import Keeping
from holdfast.coordination.recipes.leases import Taken
from holdfast.coordination.recipes.seats import Hold
from holdfast.coordination.recipes.shared_policy import HISTORY_MAX, Applied, Conflict, Forged, TooLarge
from holdfast.model.cluster import Assignment, Claim, ClusterView, HostReport, Lease, OperatorWish
from holdfast.model.ids import Epoch, HostName, LifeId, ServiceName
from holdfast.model.value import replace
from holdfast.ports.coordination import (
    Condition,
    ConflictError,
    Coordinator,
    Session,
    SessionLostError,
    UnavailableError,
)
from tests.contract.coordination.lease_holders import lease_holder
from tests.contract.coordination.stages import DRIVERS, Stage
from tests.contract.coordination.staging import is_gone, staged, until

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

SECRET = b"of this cluster only"


def book_of(
    stage: Stage, client: Coordinator, host: HostName = "h1", life: LifeId = "l1", secret: bytes = SECRET
) -> ClusterBook:
    return ClusterBook(client, stage.root, host, life, secret=secret)


@asynccontextmanager
async def kept(client: Coordinator, stage: Stage) -> AsyncIterator[Session]:
    session = await client.open_session(stage.ttl)
    async with Keeping(session, now=now, chance=random.Random(0)):
        yield session


def lease(epoch: Epoch, host: HostName = "h1", life: LifeId = "l1", member: str = "a") -> Lease:
    return Lease("db", host, member, epoch, life)


async def view_of(book: ClusterBook, client: Coordinator) -> ClusterView:
    decoded = book.decode((await client.list(book.root)).entries)
    assert decoded.not_understood == {}
    return decoded.view


def holder_key(stage: Stage) -> str:
    return f"{stage.root}/leases/db/holder"


# --- taking and giving ----------------------------------------------------------------------------------


@staged
async def test_of_hosts_that_race_for_one_lease_exactly_one_has_it(stage: Stage) -> None:
    clients = [await stage.client() for _ in range(3)]
    sessions = [await client.open_session(stage.ttl) for client in clients]
    books = [book_of(stage, client, f"h{n}") for n, client in enumerate(clients)]
    for epoch in range(4):
        answers = await asyncio.gather(
            *(
                book.leases.take("db", "a", session, after_epoch=epoch)
                for book, session in zip(books, sessions, strict=True)
            )
        )
        (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, Taken)]
        assert sum(isinstance(answer, Refused) for answer in answers) == 2, answers
        view = await view_of(books[0], clients[0])
        assert view.leases == {"db": lease(epoch + 1, f"h{winner}")}
        assert view.lease_epochs == {"db": epoch + 1}
        assert await books[winner].leases.give("db", epoch + 1) == Done()
        for session in sessions:
            await session.renew()


@staged
async def test_a_lease_that_is_held_is_refused_and_says_who_holds_it(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as first, kept(two, stage) as second:
        assert isinstance(await book_of(stage, one).leases.take("db", "a", first, after_epoch=0), Taken)
        other = book_of(stage, two, "h2").leases
        assert await other.take("db", "a", second, after_epoch=0) == Refused("the epoch is 1, not 0")
        answer = await other.take("db", "a", second, after_epoch=1)
        assert answer == Refused("h1, epoch 1, holds it")


@staged
async def test_epochs_grow_over_giving_the_end_of_a_session_and_breaking(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    mine, other = book_of(stage, one).leases, book_of(stage, two, "h2").leases
    async with kept(two, stage) as leading:
        first = await one.open_session(stage.ttl)
        assert await mine.take("db", "a", first, after_epoch=0) == Taken(lease(1))
        assert await mine.give("db", 1) == Done()
        assert await mine.give("db", 1) == Done()  # twice is once
        assert await mine.take("db", "a", first, after_epoch=1) == Taken(lease(2))
        await first.close()
        assert await other.take("db", "a", leading, after_epoch=2) == Taken(lease(3, "h2"))
        assert await mine.break_("db", 3) == Done()
        assert await is_gone(one, holder_key(stage))
        assert await other.take("db", "a", leading, after_epoch=3) == Taken(lease(4, "h2"))


@staged
async def test_a_lease_ends_with_a_session_that_nobody_renews(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(two, stage) as session:
        silent = await one.open_session(stage.ttl)
        assert isinstance(await book_of(stage, one).leases.take("db", "a", silent, after_epoch=0), Taken)
        deadline = silent.deadline
        freed_at = await until(lambda: is_gone(two, holder_key(stage)))
        assert freed_at >= deadline
        answer = await book_of(stage, two, "h2").leases.take("db", "a", session, after_epoch=1)
        assert answer == Taken(lease(2, "h2"))


@staged
async def test_giving_or_breaking_a_lease_of_another_epoch_or_host_changes_nothing(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as session:
        mine, other = book_of(stage, one).leases, book_of(stage, two, "h2").leases
        await mine.take("db", "a", session, after_epoch=0)
        await mine.give("db", 1)
        await mine.take("db", "a", session, after_epoch=1)
        before = await two.get(holder_key(stage))
        assert before is not None
        assert await mine.give("db", 1) == Done()
        assert await mine.break_("db", 1) == Done()
        assert await other.give("db", 2) == Done()
        assert await two.get(holder_key(stage)) == before


@staged
async def test_bytes_that_are_no_lease_are_neither_taken_nor_deleted(stage: Stage) -> None:
    client = await stage.client()
    async with kept(client, stage) as session:
        leases = book_of(stage, client).leases
        entry = await client.put(holder_key(stage), b"\xff\x00")
        refused = Refused("somebody unknown holds it")
        assert await leases.take("db", "a", session, after_epoch=0) == refused
        assert await leases.adopt("db", "a", 0, session) == refused
        for freed in (await leases.give("db", 1), await leases.break_("db", 1)):
            assert freed == Refused(f"{holder_key(stage)} is not understood")
        assert await client.get(holder_key(stage)) == entry
        await client.put(f"{stage.root}/leases/db/epoch", b"many")
        answer = await leases.take("db", "a", session, after_epoch=0)
        assert answer == Refused("the epoch is not understood (b'many' is no number), not 0")


@staged
async def test_a_killed_holder_is_followed_under_a_larger_epoch(stage: Stage) -> None:
    if stage.url is None:
        pytest.skip("this engine lives in one process")
    epochs = []
    client = await stage.client()
    for number in range(2):
        async with lease_holder(stage, f"h{number}", number) as holder:
            await holder.said("ready")
            await holder.take()
            epochs.append((await holder.said("taken"))["epoch"])
            holder.signal(signal.SIGKILL)
            await until(lambda: is_gone(client, holder_key(stage)))
    assert epochs == [1, 2]
    assert (await view_of(book_of(stage, client), client)).lease_epochs == {"db": 2}


@staged
async def test_of_processes_that_race_for_one_lease_exactly_one_has_it(stage: Stage) -> None:
    if stage.url is None:
        pytest.skip("this engine lives in one process")
    async with lease_holder(stage, "h1", 0) as one, lease_holder(stage, "h2", 0) as two:
        for holder in (one, two):
            await holder.said("ready")
        await asyncio.gather(one.take(), two.take())
        said = [(await one.answered())["is_"], (await two.answered())["is_"]]
        assert sorted(said) == ["refused", "taken"]


@staged
async def test_what_is_answered_while_the_engine_falls_silent_is_true(stage: Stage) -> None:
    if stage.silence is None:
        pytest.skip("this engine cannot be silenced")
    is_over = asyncio.Event()
    answers: list[str] = []

    async def take_and_give(client: Coordinator) -> None:
        leases, session, possible = book_of(stage, client).leases, None, {0}
        while not is_over.is_set():
            try:
                epoch = int(entry.value) if (entry := await client.get(f"{leases.path}/db/epoch")) else 0
                if session is None or now() >= session.deadline:
                    session = await client.open_session(stage.ttl)
                await session.renew()
            except (UnavailableError, SessionLostError):
                continue
            assert epoch in possible, answers
            if await leases.give("db", epoch) == Done():
                answer = await leases.take("db", "a", session, after_epoch=epoch)
                # Nobody else writes: what is refused must never come to be, and what is taken must be there.
                possible = {epoch + isinstance(answer, Taken), epoch + (not isinstance(answer, Refused))}
                answers.append(type(answer).__name__)

    working = asyncio.create_task(take_and_give(await stage.client()))
    chance = random.Random(0)
    for _ in range(4):
        await has_taken_again(answers, working)
        await asyncio.sleep(chance.uniform(0, 0.01))
        async with stage.silence():
            await asyncio.sleep(1.2)  # longer than a request is waited for
    await has_taken_again(answers, working)
    is_over.set()
    await working


async def has_taken_again(answers: list[str], working: "asyncio.Task[None]") -> None:
    before = len(answers)

    async def has_taken() -> bool:
        if working.done():
            working.result()
        return "Taken" in answers[before:]

    await until(has_taken)


# --- adopting -------------------------------------------------------------------------------------------


@staged
async def test_a_new_session_and_a_new_life_adopt_a_lease_that_is_still_there(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    old = await one.open_session(stage.ttl)
    assert isinstance(await book_of(stage, one).leases.take("db", "a", old, after_epoch=0), Taken)
    async with kept(two, stage) as session:
        again = book_of(stage, two, life="l2")
        assert await again.leases.adopt("db", "a", 1, session) == Taken(lease(1, life="l2"))
        entry = await two.get(holder_key(stage))
        assert entry is not None
        assert entry.session == session.id
        await old.close()  # takes nothing with it any more
        assert (await view_of(again, two)).leases == {"db": lease(1, life="l2")}


@staged
async def test_a_lease_whose_old_session_ran_out_is_adopted_under_the_same_epoch(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    old = await one.open_session(stage.ttl)
    assert isinstance(await book_of(stage, one).leases.take("db", "a", old, after_epoch=0), Taken)
    await until(lambda: is_gone(two, holder_key(stage)))
    async with kept(two, stage) as session:
        again = book_of(stage, two, life="l2")
        assert await again.leases.adopt("db", "a", 1, session) == Taken(lease(1, life="l2"))
        view = await view_of(again, two)
        assert (view.leases, view.lease_epochs) == ({"db": lease(1, life="l2")}, {"db": 1})


@staged
async def test_a_lease_that_somebody_else_had_in_between_is_not_adopted(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    mine, other = book_of(stage, one).leases, book_of(stage, two, "h2").leases
    async with kept(one, stage) as first, kept(two, stage) as second:
        await mine.take("db", "a", first, after_epoch=0)
        await mine.give("db", 1)
        await other.take("db", "a", second, after_epoch=1)
        refused = Refused("the epoch is 2: somebody had the lease after 1")
        assert await mine.adopt("db", "a", 1, first) == refused
        assert await mine.adopt("db", "a", 2, first) == Refused("h2, epoch 2, holds it")
        await other.give("db", 2)
        assert await mine.adopt("db", "a", 1, first) == refused


@staged
async def test_adopting_and_taking_race_for_a_lease_that_ran_out_and_one_has_it(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    mine, other = book_of(stage, one).leases, book_of(stage, two, "h2").leases
    async with kept(one, stage) as first, kept(two, stage) as second:
        assert isinstance(await mine.take("db", "a", first, after_epoch=0), Taken)
        await mine.give("db", 1)
        answers = await asyncio.gather(
            mine.adopt("db", "a", 1, first), other.take("db", "a", second, after_epoch=1)
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "Taken"], answers


@staged
async def test_adopting_defeats_a_deletion_that_is_still_on_its_way(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as session:
        leases = book_of(stage, one).leases
        await leases.take("db", "a", session, after_epoch=0)
        seen = await two.get(holder_key(stage))
        assert seen is not None
        assert await leases.adopt("db", "a", 1, session) == Taken(
            lease(1)
        )  # it is there already, and bound to us
        with pytest.raises(ConflictError):
            await two.delete(holder_key(stage), expect=seen.version)  # which was sent before, and was held up


@staged
async def test_nothing_is_taken_or_adopted_in_a_session_that_has_ended(stage: Stage) -> None:
    client = await stage.client()
    leases = book_of(stage, client).leases
    session = await client.open_session(stage.ttl)
    await leases.take("db", "a", session, after_epoch=0)
    await session.close()
    for answer in (
        await leases.adopt("db", "a", 1, session),
        await leases.take("db", "a", session, after_epoch=1),
    ):
        assert isinstance(answer, Refused)
        assert answer.why.startswith("the session is lost")


# --- the leader's word ----------------------------------------------------------------------------------


async def elected(book: ClusterBook, session: Session, host: HostName) -> Hold:
    return await book.election(now=now, chance=random.Random(0)).campaign(session, by=host, waits=False)


def assignment(leader: Hold, service: ServiceName = "db", why: str = "") -> Assignment:
    return Assignment(service, leader.token, {"a": "h1"}, "a", "h1", why)


@staged
async def test_a_leader_that_was_followed_by_another_has_no_word_any_more(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    first, second = book_of(stage, one), book_of(stage, two, "h2")
    async with kept(two, stage) as session:
        old = await one.open_session(stage.ttl)
        deposed = await elected(first, old, "h1")
        for why in ("first", "second"):  # the second with what the first one learnt
            assert await first.assign(assignment(deposed, why=why), deposed) == Done()
        view = await view_of(second, two)
        assert view.leader == Claim("h1", 1)
        assert view.assignments == {"db": assignment(deposed, why="second")}
        await until(lambda: is_gone(two, deposed.key))  # it hangs, and its session runs out
        refused = Refused("this host does not lead under epoch 1 any more")
        assert await first.assign(assignment(deposed), deposed) == refused  # before the next election
        leader = await elected(second, session, "h2")
        assert await second.assign(assignment(leader), leader) == Done()
        assert await first.assign(assignment(deposed), deposed) == refused  # and after it
        assert await first.assign(assignment(deposed, "web"), deposed) == refused
        view = await view_of(second, two)
        assert view.leader == Claim("h2", 2)
        assert view.assignments == {"db": assignment(leader)}


@staged
async def test_what_a_leader_wants_of_many_services_is_written_at_once_or_not_at_all(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    async with kept(client, stage) as session:
        hold = await elected(book, session, "h1")
        many = {f"s{number}": assignment(hold, f"s{number}") for number in range(TRANSACTION_WRITES_MAX)}
        again = {name: replace(one, why="again") for name, one in many.items()}
        for wanted in (many, again):  # where nothing stands yet, and over what stands there
            assert await book.assign_all(tuple(wanted.values()), hold) == Done()
            assert (await view_of(book, client)).assignments == wanted
        await hold.release()
        answer = await book.assign_all((assignment(hold, "s1"), assignment(hold, "new")), hold)
        assert answer == Refused("this host does not lead under epoch 1 any more")
        assert (await view_of(book, client)).assignments == again


@staged
async def test_a_leader_that_is_elected_again_has_its_word_again(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    async with kept(client, stage) as session:
        for term in (1, 2):
            hold = await elected(book, session, "h1")
            assert await book.assign(assignment(hold), hold) == Done()
            await hold.release()
            assert (await view_of(book, client)).assignments["db"].leader_epoch == term


# --- reports and wishes ---------------------------------------------------------------------------------


@staged
async def test_a_hosts_report_is_there_while_its_session_is(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    old = await one.open_session(stage.ttl)
    assert await book_of(stage, one).report(HostReport("l1"), old) == Done()
    async with kept(two, stage) as session:
        again = book_of(stage, two, life="l2")
        for number in (1, 2):
            assert await again.report(HostReport("l2", number), session) == Done()
        await old.close()  # takes nothing with it any more
        assert (await view_of(again, two)).hosts == {"h1": HostReport("l2", 2)}
    assert (await view_of(again, two)).hosts == {}


@staged
async def test_of_two_agents_with_one_name_the_earlier_is_told(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    async with kept(one, stage) as first, kept(two, stage) as second:
        earlier, later = book_of(stage, one), book_of(stage, two, life="l2")
        assert await earlier.report(HostReport("l1"), first) == Done()
        assert await later.report(HostReport("l2"), second) == Done()
        answer = await earlier.report(HostReport("l1", 1), first)
        assert answer == Refused("another agent, life l2, calls itself h1 as well")
        assert await later.report(HostReport("l2", 1), second) == Done()


@staged
async def test_a_report_that_does_not_fit_is_compressed(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    async with kept(client, stage) as session:
        report = HostReport("l1", problem="too much to say. " * 10_000)
        assert await book.report(report, session) == Done()
        assert (await view_of(book, client)).hosts == {"h1": report}
        noise = HostReport("l1", problem=random.Random(0).randbytes(60_000).hex())
        assert isinstance(await book.report(noise, session), Refused)


@staged
async def test_a_wish_is_seen_until_it_is_dropped_and_a_newer_one_stays(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    first, second = OperatorWish("db", "b", "ann", id="1"), OperatorWish("db", "c", "bob", id="2")
    assert await book.wish(first) == Done()
    assert await book.wish(second) == Done()
    assert await book.drop_wish("db", "1") == Done()
    assert (await view_of(book, client)).wishes == {"db": second}
    for _ in range(2):
        assert await book.drop_wish("db", "2") == Done()
    assert (await view_of(book, client)).wishes == {}


@staged
async def test_a_wish_of_somebody_without_the_secret_is_not_seen(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    await book_of(stage, client, secret=b"guessed").wish(OperatorWish("db", "b", "eve"))
    decoded = book.decode((await client.list(stage.root)).entries)
    assert decoded.view == ClusterView()
    assert decoded.not_understood == {f"{stage.root}/wishes/db": "its signature is false"}


# --- the view -------------------------------------------------------------------------------------------


@staged
async def test_a_watch_keeps_the_view_as_it_would_be_decoded_anew(stage: Stage) -> None:
    client, other = await stage.client(), await stage.client()
    book, keeper = book_of(stage, client), book_of(stage, other).keeper()
    async with kept(client, stage) as session, aclosing(_generator(other.watch(stage.root))) as sightings:
        keeper.see(await anext(sightings))
        hold = await elected(book, session, "h1")
        await book.report(HostReport("l1"), session)
        await book.leases.take("db", "a", session, after_epoch=0)
        await book.assign(assignment(hold), hold)
        await book.wish(OperatorWish("db", "b", "ann", id="1"))
        await client.put(f"{stage.root}/hosts/h9", b"\xff")
        await book.policy.apply("services: {}", "r1", "ann", 0)
        await book.leases.give("db", 1)
        await book.drop_wish("db", "1")
        entries = (await client.list(stage.root)).entries
        fresh, policy = book.decode(entries), entries[book.policy.key]
        async with asyncio.timeout(30):
            while (keeper.view, keeper.policy) != (fresh.view, policy):
                keeper.see(await anext(sightings))
        assert list(keeper.not_understood) == [f"{stage.root}/hosts/h9"]
        assert keeper.not_understood == fresh.not_understood
        found = book.policy.understood(policy)
        assert not isinstance(found, Forged)
        assert found == await book.policy.current()


def _generator(sightings: Any) -> Any:
    return sightings  # all drivers have generators, which can be closed


# --- the shared policy ----------------------------------------------------------------------------------


@pytest.mark.final
@staged
async def test_of_two_who_apply_at_once_one_wins_and_the_other_is_told_of_it(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    mine, other = book_of(stage, one).policy, book_of(stage, two, "h2").policy
    for number in range(3):
        answers = await asyncio.gather(
            mine.apply("mine", "r1", "ann", number), other.apply("other", "r2", "bob", number)
        )
        (applied,) = [answer for answer in answers if isinstance(answer, Applied)]
        (conflict,) = [answer for answer in answers if isinstance(answer, Conflict)]
        assert conflict.standing == applied.policy == await mine.current()
        assert applied.policy.number == number + 1
    late = await mine.apply("late", "r3", "ann", 1)
    assert isinstance(late, Conflict)
    assert late.standing == await mine.current()


@staged
async def test_going_back_is_an_older_text_under_a_new_number(stage: Stage) -> None:
    policy = book_of(stage, await stage.client()).policy
    assert await policy.current() is None
    for number, text in enumerate(["good", "bad"]):
        assert isinstance(await policy.apply(text, text, "ann", number), Applied)
    good = await policy.revision(1)
    assert good is not None
    assert not isinstance(good, Forged)
    answer = await policy.apply(good.text, good.revision, "bob", 2)
    assert isinstance(answer, Applied)
    assert (answer.policy.number, answer.policy.text) == (3, "good")
    assert await policy.current() == answer.policy
    found = [p for p in await policy.history() if not isinstance(p, Forged)]
    assert [(p.number, p.text, p.by) for p in found] == [
        (3, "good", "bob"),
        (2, "bad", "ann"),
        (1, "good", "ann"),
    ]


@staged
async def test_the_history_keeps_the_last_ones_only(stage: Stage) -> None:
    policy = book_of(stage, await stage.client()).policy
    for number in range(HISTORY_MAX + 3):
        assert isinstance(await policy.apply(f"text {number + 1}", "r", "ann", number), Applied)
    numbers = [p.number for p in await policy.history() if not isinstance(p, Forged)]
    assert numbers == list(range(HISTORY_MAX + 3, 3, -1))
    assert all(a == b + 1 for a, b in pairwise(numbers))
    assert await policy.revision(3) is None


@staged
async def test_a_large_file_is_compressed_and_one_too_large_is_refused_by_size(stage: Stage) -> None:
    policy = book_of(stage, await stage.client()).policy
    large = "".join(f"  member-{n}: {{port: {n}}}\n" for n in range(10_000))
    answer = await policy.apply(large, "r", "ann", 0)
    assert isinstance(answer, Applied)
    assert await policy.current() == answer.policy
    noise = random.Random(0).randbytes(80_000).hex()
    refused = await policy.apply(noise, "r", "ann", 1)
    assert isinstance(refused, TooLarge)
    assert "a key holds 65536" in refused.why
    assert await policy.current() == answer.policy


@staged
async def test_a_policy_that_was_tampered_with_is_never_returned_as_one(stage: Stage) -> None:
    client = await stage.client()
    policy = book_of(stage, client).policy
    await policy.apply("run: /bin/true", "r", "ann", 0)
    genuine = await client.get(policy.key)
    assert genuine is not None
    for forged in (
        genuine.value.replace(b"/bin/true", b"/bin/evil"),
        genuine.value.replace(b'"number":1', b'"number":2'),
        genuine.value.replace(b'"by":"ann"', b'"by":"eve"'),
        b"\xff",
        b"x\x9c of zlib, it seems",
    ):
        await client.put(policy.key, forged)
        assert isinstance(await policy.current(), Forged)
        assert isinstance(await policy.apply("mine", "r", "ann", 1), Forged)
    way_out = await policy.apply("mine", "r", "ann", None)
    assert isinstance(way_out, Applied)
    assert way_out.policy.number == 2
    assert await policy.current() == way_out.policy
    await book_of(stage, client, secret=b"guessed").policy.apply("run: /bin/evil", "r", "eve", None)
    assert isinstance(await policy.current(), Forged)


@staged
async def test_an_older_policy_that_is_put_back_is_noticed_by_its_number(stage: Stage) -> None:
    client = await stage.client()
    policy = book_of(stage, client).policy
    await policy.apply("old", "r", "ann", 0)
    old = await client.get(policy.key)
    assert old is not None
    await policy.apply("new", "r", "ann", 1)
    await client.put(policy.key, old.value, expect=Condition.ANY)
    assert not isinstance(await policy.current(), Forged)  # it is genuine
    assert isinstance(await policy.current(at_least=2), Forged)
    await client.delete(policy.key)
    assert isinstance(await policy.current(at_least=2), Forged)


# --- a coordinator that forgot --------------------------------------------------------------------------------


@staged
async def test_what_an_empty_coordinator_gives_is_above_what_was_seen_before_it_forgot(stage: Stage) -> None:
    client = await stage.client()
    book = book_of(stage, client)
    async with kept(client, stage) as session:
        taken = await book.leases.take("db", "a", session, after_epoch=0, above=7)
        assert taken == Taken(lease(8))
        assert await book.leases.give("db", 8) == Done()
        assert await book.leases.take("db", "a", session, after_epoch=8, above=7) == Taken(lease(9))
        hold = await book.election(now=now, chance=random.Random(0)).campaign(session, by="h1", above=4)
        assert hold.token == 5
        applied = await book.policy.apply("system: shop", "9a2b", "anna", 0, above=2)
        assert isinstance(applied, Applied)
        assert applied.policy.number == 3
