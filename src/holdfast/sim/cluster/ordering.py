"""Ordering: each order of the cluster loop becomes one transaction, or one call of a fence device, and ends as one answer."""

from functools import partial
from typing import TYPE_CHECKING, assert_never

from holdfast.model.cluster import Lease
from holdfast.model.cluster_events import (
    AdoptLease,
    Assign,
    BreakLease,
    DropWish,
    FenceHost,
    GiveLease,
    Order,
    OrderFinished,
    TakeLease,
)
from holdfast.model.events import Ending
from holdfast.sim.cluster.store import Answer, Transaction

if TYPE_CHECKING:
    from holdfast.sim.cluster.agent import ClusterAgent


class Ordering:
    """What one life of an agent orders."""

    def __init__(self, agent: "ClusterAgent") -> None:
        self._agent = agent
        self._host = agent.host
        self._store = agent.host.store

    def begin(self, orders: tuple[Order, ...], number: int) -> None:
        """Begin what was ordered under the session with this number."""
        for order in orders:
            if isinstance(order, FenceHost):
                self._host.fence(order.host, partial(self._finished, order))
                continue
            keeping = self._agent.keeping
            session = keeping.id if keeping.number == number else 0
            transaction = self._transaction(order, session)
            if transaction is None:
                self._agent.put_soon(OrderFinished(order.id, Ending.FAILED, "not any more"))
                continue
            self._agent.asking.ask(transaction, partial(self._finished, order))

    def _finished(self, order: Order, answer: Answer) -> None:
        if not self._agent.is_over:
            self._agent.put(OrderFinished(order.id, answer.ending, answer.text, answer.number))

    def _transaction(self, order: Order, session: int) -> Transaction | None:
        store, me, life = self._store, self._host.name, self._agent.state.life
        match order:
            case TakeLease() | AdoptLease() if not session:
                return None  # the session that it was meant for is over
            case TakeLease():
                epoch = max(order.after, order.above) + 1
                return store.take(Lease(order.service, me, order.member, epoch, life), session, order.after)
            case AdoptLease():
                return store.adopt(Lease(order.service, me, order.member, order.epoch, life), session)
            case GiveLease():
                return store.free(order.service, order.epoch, me)
            case BreakLease():
                return store.free(order.service, order.epoch, None)
            case Assign():
                if self._agent.campaigning.leads_under != order.assignment.leader_epoch:
                    return None
                return partial(store.assign, order.assignment)
            case DropWish():
                return partial(store.drop_wish, order.service, order.wish)
            case FenceHost():
                return None  # begun above
            case _:
                assert_never(order)
