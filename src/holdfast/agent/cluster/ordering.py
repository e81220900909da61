"""Ordering: each order of the cluster loop becomes one call of the coordinator's recipes, and ends as one `OrderFinished`."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias, assert_never

from holdfast.agent.cluster.campaigning import Campaigning
from holdfast.agent.cluster.session import SessionKeeping
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.log import Level, Line
from holdfast.coordination.limits import TRANSACTION_WRITES_MAX
from holdfast.coordination.recipes.answers import Done, Doubtful, Refused
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.coordination.recipes.leases import Taken
from holdfast.model.cluster_events import (
    AdoptLease,
    Assign,
    BreakLease,
    ClusterEvent,
    DropWish,
    FenceHost,
    GiveLease,
    Order,
    OrderFinished,
    TakeLease,
    subject_of_order,
)
from holdfast.model.events import Ending
from holdfast.model.ids import HostName

Answer: TypeAlias = Taken | Done | Refused | Doubtful
Fence: TypeAlias = Callable[[HostName], Awaitable[tuple[Ending, str]]]


class Ordering:
    """What is being ordered."""

    def __init__(  # noqa: PLR0917 - each is a part of the agent that orders go through
        self,
        book: ClusterBook,
        keeping: SessionKeeping,
        campaigning: Campaigning,
        fence: Fence,
        put: Callable[[ClusterEvent], None],
        say: Callable[[Line], None],
    ) -> None:
        self._book = book
        self._keeping = keeping
        self._campaigning = campaigning
        self._fence = fence
        self._put = put
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, turned: ClusterTurned) -> None:
        """Begin what this turn ordered: each by itself, but for assignments, of which a lost host brings many at once."""
        assignments = [order for order in turned.orders if isinstance(order, Assign)]
        for first in range(0, len(assignments), TRANSACTION_WRITES_MAX):
            batch = assignments[first : first + TRANSACTION_WRITES_MAX]
            self._begin(self._end_assignments(batch), "assignments")
        for order in turned.orders:
            if not isinstance(order, Assign):
                self._begin(self._end(order, turned.after.session.number), subject_of_order(order))

    def _begin(self, call: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(call, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, within_s: float) -> None:
        """Let what is under way end, for a bounded time."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _end(self, order: Order, number: int) -> None:
        async with self._answered([order]):
            if isinstance(order, FenceHost):
                ending, text = await self._fence(order.host)
                self._put(OrderFinished(order.id, ending, text))
                return
            self._put(_finished(order, await self._ask(order, number)))

    async def _end_assignments(self, orders: Sequence[Assign]) -> None:
        async with self._answered(orders):
            answer = await self._assign(orders)
            if isinstance(answer, Refused) and len(orders) > 1:
                # Proven: nothing was written. It may be one of them only that cannot be.
                for order in orders:
                    self._begin(self._end_assignments([order]), subject_of_order(order))
                return
            for order in orders:
                self._put(_finished(order, answer))

    async def _assign(self, orders: Sequence[Assign]) -> Answer:
        hold = self._campaigning.hold
        if hold is None or any(hold.token != order.assignment.leader_epoch for order in orders):
            return Refused("this host leads no longer")
        return await self._book.assign_all([order.assignment for order in orders], hold)

    @asynccontextmanager
    async def _answered(self, orders: Sequence[Order]) -> AsyncIterator[None]:
        """See to it that each order is answered, whatever comes. Who has had an answer already does not mind another."""
        try:
            yield
        except asyncio.CancelledError:
            for order in orders:
                self._put(OrderFinished(order.id, Ending.UNKNOWN, "given up"))
            raise
        except Exception as error:  # noqa: BLE001 - the fault is ours, and one order's must not end the others
            trace = " | ".join(traceback.format_exception(error)).replace("\n", " ")
            for order in orders:
                self._say(Line(Level.ERROR, subject_of_order(order), "fault", trace))
                self._put(OrderFinished(order.id, Ending.UNKNOWN, f"fault in holdfast: {error!r}"))

    async def _ask(self, order: Order, number: int) -> Answer:
        # What is bound to a session that the cluster loop does not know of yet, it would not know to hold.
        session = self._keeping.session if self._keeping.number == number else None
        leases = self._book.leases
        match order:
            case TakeLease() | AdoptLease() if session is None:
                return Refused("the session that it was meant for is over")
            case TakeLease():
                assert session is not None
                return await leases.take(
                    order.service, order.member, session, after_epoch=order.after, above=order.above
                )
            case AdoptLease():
                assert session is not None
                return await leases.adopt(order.service, order.member, order.epoch, session)
            case GiveLease():
                return await leases.give(order.service, order.epoch)
            case BreakLease():
                return await leases.break_(order.service, order.epoch)
            case DropWish():
                return await self._book.drop_wish(order.service, order.wish)
            case Assign() | FenceHost():
                raise AssertionError(order)  # carried out above
            case _:
                assert_never(order)


def _finished(order: Order, answer: Answer) -> OrderFinished:
    match answer:
        case Taken(lease=lease):
            return OrderFinished(order.id, Ending.DONE, epoch=lease.epoch)
        case Done():
            return OrderFinished(order.id, Ending.DONE)
        case Refused(why=why):
            return OrderFinished(order.id, Ending.FAILED, why)
        case Doubtful(why=why):
            return OrderFinished(order.id, Ending.UNKNOWN, why)
        case _:
            assert_never(answer)
