"""How one life of an agent asks the coordinator: over a link that may be cut, of an engine that may be away.

No answer within the time limit is an answer too: nobody knows. What was sent may still take effect after that.
"""

from collections.abc import Callable
from functools import partial

from holdfast.model.events import Ending
from holdfast.model.ids import HostName
from holdfast.model.time import SECOND, Duration
from holdfast.sim.chance import Chance
from holdfast.sim.cluster.clocks import HostClock
from holdfast.sim.cluster.network import STORE, Network
from holdfast.sim.cluster.store import Answer, Store, Transaction

ASKED_WITHIN = 3 * SECOND // 2


class _Question:
    """One transaction under way."""

    __slots__ = ("done", "is_over", "transaction")

    def __init__(self, transaction: Transaction, done: Callable[[Answer], None]) -> None:
        self.transaction = transaction
        self.done = done
        self.is_over = False


class AskingStore:
    """What one life of an agent asks."""

    def __init__(
        self, host: HostName, network: Network, store: Store, clock: HostClock, chance: Chance
    ) -> None:
        self._there, self._back = (host, STORE), (STORE, host)
        self._network = network
        self._store = store
        self._clock = clock
        self._chance = chance
        self._is_closed = False

    def close(self) -> None:
        """Hear no answer any more: this life of the agent is over. What was sent goes its way."""
        self._is_closed = True

    def ask(
        self, transaction: Transaction, done: Callable[[Answer], None], within: Duration = ASKED_WITHIN
    ) -> None:
        """Have the transaction made, and `done` called once, whatever comes of it."""
        question = _Question(transaction, done)
        self._send(question)
        self._clock.after(within, partial(self._end, question, Answer(Ending.UNKNOWN, "no answer")))

    def _send(self, question: _Question) -> None:
        self._network.send(self._there, partial(self._arrive, question), is_stream=True)

    def _arrive(self, question: _Question) -> None:
        if not self._store.is_away:
            self._step(question)
            return
        fate = self._chance.pick(("lost", "unheard", "late"))
        if fate == "unheard":
            self._step(question, is_heard=False)
        elif fate == "late":
            wait = self._chance.between(SECOND // 10, 3 * SECOND)
            self._network.later(wait, partial(self._arrive_late, question))

    def _arrive_late(self, question: _Question) -> None:
        if not self._store.is_away:
            self._step(question)

    def _step(self, question: _Question, *, is_heard: bool = True) -> None:
        answer = _stepped(question.transaction)
        call = partial(self._go_on, question) if answer is None else partial(self._end, question, answer)
        if is_heard:
            self._network.send(self._back, partial(self._clock.passed, call), is_stream=True)

    def _go_on(self, question: _Question) -> None:
        if not question.is_over and not self._is_closed:
            self._send(question)

    def _end(self, question: _Question, answer: Answer) -> None:
        if not question.is_over and not self._is_closed:
            question.is_over = True
            question.done(answer)


def _stepped(transaction: Transaction) -> Answer | None:
    """Do the next step; None: there are more."""
    if callable(transaction):
        return transaction()
    try:
        next(transaction)
    except StopIteration as ended:
        answer: Answer = ended.value
        return answer
    return None
