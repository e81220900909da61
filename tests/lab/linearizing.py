"""Linearizability of one register: is there one order of all operations, each between its begin and its end, that explains what was read?

The search goes through time and keeps every way in which things may stand: a value, and which of the operations under way have
happened already. When an operation returns it has happened: ways in which it cannot have are dropped, and when none is left there is no
such order. An operation happens as late as it can, so only returns branch (Lowe, "Testing for linearizability", 2017).

What has no known end may happen at any time or never. Of two ways that differ only in that one has used up more of those, the other is as
good: without this, each unknown operation would double the work.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from holdfast.model.time import Instant
from tests.lab.database_history import Deed, Outcome, Touch
from tests.lab.judging import Judgement, Verdict

EFFORT_MAX: Final = 300_000  # ways that are looked at; a search that needs more proves nothing
ANY: Final = -1  # the register may hold whatever is read first


class _Way(NamedTuple):
    value: int
    happened: frozenset[int]  # of those that will return
    used: frozenset[int]  # of those that never do


class _Search:
    def __init__(self, touches: Sequence[Touch]) -> None:
        self._touches = touches
        self._under_way: set[int] = set()
        self._endless = {number for number, touch in enumerate(touches) if _is_endless(touch)}
        self.effort = 0

    def run(self, initial: int) -> Touch | None:
        """Return the operation that nothing explains; None: there is an order. Stops at the bound of effort."""
        ways = [_Way(initial, frozenset(), frozenset())]
        for number, is_return in self._instants():
            if not is_return:
                self._under_way.add(number)
                continue
            ways = self._after_return(ways, number)
            self._under_way.discard(number)
            if self.effort > EFFORT_MAX:
                return None
            if not ways:
                return self._touches[number]
        return None

    def _instants(self) -> Iterator[tuple[int, bool]]:
        # At one instant begins come first: the two may have been at once.
        instants: list[tuple[Instant, bool, int]] = []
        for number, touch in enumerate(self._touches):
            instants.append((touch.at, False, number))
            if number not in self._endless:
                instants.append((touch.ended, True, number))
        for _, is_return, number in sorted(instants):
            yield number, is_return

    def _after_return(self, ways: Iterable[_Way], number: int) -> list[_Way]:
        frontier, over = _Frontier(), _Frontier()
        order = itertools.count()
        todo = [
            (len(way.used), next(order), way) for way in ways
        ]  # least used up first: it may make others needless
        heapq.heapify(todo)
        while todo and self.effort <= EFFORT_MAX:
            way = heapq.heappop(todo)[-1]
            self.effort += 1
            if number in way.happened:
                over.add(way._replace(happened=way.happened - {number}))
                continue
            for after in self._steps(way):
                if frontier.add(after):
                    heapq.heappush(todo, (len(after.used), next(order), after))
        return over.ways()

    def _steps(self, way: _Way) -> Iterator[_Way]:
        for number in self._under_way - way.happened - way.used:
            value = _after(self._touches[number], way.value)
            if value is None:
                continue
            if number in self._endless:
                yield _Way(value, way.happened, way.used | {number})
            else:
                yield _Way(value, way.happened | {number}, way.used)


class _Frontier:
    """The ways that were found, without those that are no better than another."""

    def __init__(self) -> None:
        self._used: dict[tuple[int, frozenset[int]], list[frozenset[int]]] = {}

    def add(self, way: _Way) -> bool:
        """Take it in, if none that is there is as good."""
        known = self._used.setdefault((way.value, way.happened), [])
        if any(used <= way.used for used in known):
            return False
        known[:] = [used for used in known if not way.used <= used] + [way.used]
        return True

    def ways(self) -> list[_Way]:
        return [_Way(*where, used) for where, known in self._used.items() for used in known]


def _after(touch: Touch, value: int) -> int | None:
    """Return what the register holds after this; None: it cannot have happened now."""
    match touch.deed:
        case Deed.READ:
            return touch.value if value in {touch.value, ANY} else None
        case Deed.WRITE:
            return touch.value
        case Deed.SWAP:
            return touch.value if value in {touch.expected, ANY} else None
        case Deed.REFUSED:
            return value if value != touch.expected else None


def _is_endless(touch: Touch) -> bool:
    return touch.outcome is Outcome.UNKNOWN


def linearizable(touches: Iterable[Touch], initial: int = ANY) -> Judgement:
    """Judge one register. What failed has not happened, and a read without an answer tells nothing."""
    counted = [
        touch
        for touch in touches
        if touch.outcome is not Outcome.FAILED and not (_is_endless(touch) and touch.deed is Deed.READ)
    ]
    search = _Search(counted)
    unexplained = search.run(initial)
    if unexplained is not None:
        return Judgement(Verdict.BROKEN, f"no order explains {unexplained}")
    if search.effort > EFFORT_MAX:
        return Judgement(Verdict.UNKNOWN, f"gave up after {search.effort} ways")
    if not any(touch.outcome is Outcome.ACKNOWLEDGED for touch in counted):
        return Judgement(Verdict.UNKNOWN, "nothing was ever acknowledged")
    return Judgement(Verdict.KEPT, f"{len(counted)} operations")
