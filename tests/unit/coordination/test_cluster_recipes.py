"""A request or an answer that is lost on the way: what is answered then is true, whichever of the two it was."""

import asyncio
import random
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import pytest

from holdfast.coordination.memory import MemoryCoordinator, MemoryEngine
from holdfast.coordination.recipes.answers import LOOKS_MAX, Done, Doubtful, Refused
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.leases import Taken
from holdfast.coordination.recipes.membership import Membership
from holdfast.coordination.recipes.seats import Claim, claim_in
from holdfast.coordination.recipes.shared_policy import Applied
from holdfast.coordination.recipes.values import (
    UNPACKED_MAX_BYTES,
    NotUnderstoodError,
    TooLargeError,
    decoded,
    encoded,
)
from holdfast.model.cluster import HostReport, OperatorWish
from holdfast.model.time import SECOND
from holdfast.ports.coordination import ConflictError, Entry, Guard, Session, UnknownError, Write

Story: TypeAlias = Callable[[MemoryCoordinator, ClusterBook, Session], Awaitable[None]]


def told(story: Story) -> None:
    async def tell() -> None:
        client = MemoryEngine(lambda: 0).coordinator()
        book = ClusterBook(client, "/demo", "h1", "l1", secret=b"secret")
        await story(client, book, await client.open_session(10 * SECOND))

    asyncio.run(tell())


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let others run, one step each at a time."""
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


LOST = pytest.mark.parametrize("lost", ["writes_lost", "answers_lost"])


@LOST
def test_a_lease_is_taken_adopted_and_given_although_an_answer_is_missing(lost: str) -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, session: Session) -> None:
        setattr(client, lost, 1)
        answer = await book.leases.take("db", "a", session, after_epoch=0)
        assert isinstance(answer, Taken)
        assert answer.lease.epoch == 1
        setattr(client, lost, 1)
        assert await book.leases.adopt("db", "a", 1, session) == answer
        setattr(client, lost, 1)
        assert await book.leases.give("db", 1) == Done()
        assert await client.get("/demo/leases/db/holder") is None
        setattr(client, lost, 1)
        assert await book.leases.adopt("db", "a", 1, session) == answer
        entry = await client.get("/demo/leases/db/epoch")
        assert entry is not None
        assert entry.value == b"1"

    told(story)


@LOST
def test_reports_wishes_and_assignments_are_written_although_an_answer_is_missing(lost: str) -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, session: Session) -> None:
        setattr(client, lost, 1)
        assert await book.report(HostReport("l1"), session) == Done()
        setattr(client, lost, 1)
        assert await book.wish(OperatorWish("db", "b", "ann", id="1")) == Done()
        setattr(client, lost, 1)
        assert await book.drop_wish("db", "1") == Done()
        view = book.decode((await client.list("/demo")).entries).view
        assert (view.hosts, view.wishes) == ({"h1": HostReport("l1")}, {})

    told(story)


@LOST
@pytest.mark.parametrize("expect", [0, None])
def test_a_policy_is_applied_once_although_an_answer_is_missing(lost: str, expect: int | None) -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, _: Session) -> None:
        setattr(client, lost, 1)
        answer = await book.policy.apply("text", "r", "ann", expect)
        assert isinstance(answer, Applied)
        assert answer.policy.number == 1
        assert await book.policy.history() == [answer.policy]

    told(story)


def test_a_write_that_nobody_ever_answers_is_doubtful() -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, session: Session) -> None:
        for _ in range(2):  # asked again, it is doubtful again, and never worse
            client.writes_lost = LOOKS_MAX
            answer = await book.leases.take("db", "a", session, after_epoch=0)
            assert answer == Doubtful("the request was lost")
        assert isinstance(await book.leases.take("db", "a", session, after_epoch=0), Taken)

    told(story)


def test_what_was_not_sent_is_refused_and_what_cannot_be_read_back_is_doubtful() -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, session: Session) -> None:
        client.answers_lost = 1
        taking = asyncio.create_task(book.leases.take("db", "a", session, after_epoch=0))
        await turns_until(lambda: client.answers_lost == 0)
        client.cut()
        assert isinstance(await taking, Doubtful)
        refused = await book.leases.take("db", "a", session, after_epoch=1)
        assert isinstance(refused, Refused)
        client.is_cut = False
        answer = await book.leases.adopt("db", "a", 1, session)  # it did take effect, and is ours
        assert isinstance(answer, Taken)

    told(story)


def test_a_lease_that_was_taken_and_lost_again_before_the_look_is_not_believed_in() -> None:
    async def story(client: MemoryCoordinator, book: ClusterBook, session: Session) -> None:
        client.answers_lost = 1
        taking = asyncio.create_task(book.leases.take("db", "a", session, after_epoch=0))
        await turns_until(lambda: client.answers_lost == 0)
        await client.engine.coordinator().delete("/demo/leases/db/holder")
        assert await taking == Refused("the epoch is 1, not 0")

    told(story)


class HoldingUp(MemoryEngine):
    """An engine behind a network that holds the next write up."""

    is_slow = False

    def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        if self.is_slow:
            self.is_slow = False
            self.held_up = guards, writes
            raise UnknownError("no answer yet")
        super().transact(guards, writes)

    def let_through(self) -> None:
        """Do what was held up."""
        super().transact(*self.held_up)


def test_a_write_that_was_held_up_cannot_undo_what_followed() -> None:
    async def story() -> None:
        engine = HoldingUp(lambda: 0)
        client = engine.coordinator()
        session = await client.open_session(10 * SECOND)
        book = ClusterBook(client, "/demo", "h1", "l1", secret=b"secret")
        for write in (
            lambda: book.leases.take("db", "a", session, after_epoch=0),
            lambda: book.leases.adopt("db", "a", 1, session),
            lambda: book.leases.give("db", 1),
            lambda: book.leases.adopt("db", "a", 1, session),
            lambda: book.report(HostReport("l1"), session),
            lambda: book.wish(OperatorWish("db", "b", "ann", id="1")),
            lambda: book.drop_wish("db", "1"),
            lambda: book.policy.apply("text", "r", "ann", 0),
        ):
            engine.is_slow = True
            assert isinstance(await write(), Taken | Done | Applied)
            before = engine.revision
            with pytest.raises(ConflictError):
                engine.let_through()
            assert engine.revision == before

    asyncio.run(story())


@pytest.mark.parametrize("value", [b"", b"[", b'{"by":"\xff"}', b'{"x":' + b"[" * 60_000])
def test_bytes_that_nobody_understands_are_a_claim_and_a_member_by_nobody_we_know(value: bytes) -> None:
    entry = Entry("/demo/leader/seats/0", value, 1, 1)
    assert claim_in(entry) == Claim(0, "unknown", "")

    async def story(client: MemoryCoordinator, book: ClusterBook, _: Session) -> None:
        await client.put("/demo/members/h1", value)
        group = Membership(client, "/demo/members", now=lambda: 0, chance=random.Random(0))
        assert await group.members() == {"h1": {}}

    told(story)


# --- values ---------------------------------------------------------------------------------------------


def test_a_value_that_would_not_fit_is_compressed_and_read_again() -> None:
    report = HostReport("l", problem="a" * 1_000_000)
    value = encoded(report)
    assert len(value) < 64 * 1024
    assert decoded(value, HostReport) == report
    with pytest.raises(NotUnderstoodError):
        decoded(value[:-1], HostReport)
    with pytest.raises(NotUnderstoodError):
        decoded(value + b" ", HostReport)


def test_what_would_not_be_read_again_is_not_written() -> None:
    with pytest.raises(TooLargeError):
        encoded(HostReport("l", problem="a" * UNPACKED_MAX_BYTES))


def test_a_key_that_unpacks_to_very_much_is_not_unpacked() -> None:
    with pytest.raises(NotUnderstoodError, match="more than"):
        decoded(zlib.compress(b'"' + b"a" * (2 * UNPACKED_MAX_BYTES), 9), HostReport)
