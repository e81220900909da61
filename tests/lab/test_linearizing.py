"""The search for an order of a register's operations, on histories made by hand, and beside an exhaustive one."""

from itertools import permutations
from random import Random

import pytest

from holdfast.model.time import Instant
from tests.lab.database_history import Deed, Outcome, Touch
from tests.lab.judging import Verdict
from tests.lab.linearizing import linearizable

KEPT, BROKEN = Verdict.KEPT, Verdict.BROKEN
DONE, UNKNOWN, FAILED = Outcome.ACKNOWLEDGED, Outcome.UNKNOWN, Outcome.FAILED


def read(value: int, begin: Instant, end: Instant) -> Touch:
    return Touch(begin, "a", 1, Deed.READ, value, end, DONE)


def write(value: int, begin: Instant, end: Instant, outcome: Outcome = DONE) -> Touch:
    return Touch(begin, "a", 1, Deed.WRITE, value, end, outcome)


def swap(expected: int, value: int, begin: Instant, end: Instant, outcome: Outcome = DONE) -> Touch:
    return Touch(begin, "a", 1, Deed.SWAP, value, end, outcome, expected)


def refused(expected: int, begin: Instant, end: Instant) -> Touch:
    return Touch(begin, "a", 1, Deed.REFUSED, 0, end, DONE, expected)


LEGAL = {
    "one after the other": [write(1, 0, 10), read(1, 20, 30), write(2, 40, 50), read(2, 60, 70)],
    "a read beside a write sees either": [
        write(1, 0, 10),
        write(2, 20, 90),
        read(1, 30, 40),
        read(2, 50, 60),
        read(2, 95, 99),
    ],
    "two writes at once in either order": [write(1, 0, 50), write(2, 0, 50), read(1, 60, 70)],
    "an unknown write that is seen": [
        write(1, 0, 10),
        write(2, 20, 30, UNKNOWN),
        read(1, 40, 50),
        read(2, 60, 70),
    ],
    "an unknown write that never happened": [
        write(1, 0, 10),
        write(2, 20, 30, UNKNOWN),
        read(1, 40, 50),
        read(1, 60, 70),
    ],
    "an unknown write long after its client gave up": [
        write(2, 0, 5, UNKNOWN),
        write(1, 10, 20),
        read(1, 30, 40),
        read(2, 1000, 1010),
    ],
    "a swap of what stands there": [write(1, 0, 10), swap(1, 2, 20, 30), read(2, 40, 50)],
    "a swap that found another value": [write(1, 0, 10), refused(2, 20, 30), read(1, 40, 50)],
    "a swap refused because of an unknown write": [
        write(1, 0, 10),
        write(2, 20, 30, UNKNOWN),
        refused(1, 40, 50),
        read(2, 60, 70),
    ],
    "a chain of unknown ones": [
        write(1, 0, 10),
        swap(1, 2, 20, 25, UNKNOWN),
        swap(2, 3, 20, 25, UNKNOWN),
        read(3, 60, 70),
    ],
    "what was there before": [read(7, 0, 10), read(7, 20, 30), write(1, 40, 50), read(1, 60, 70)],
    "what failed": [write(1, 0, 10), write(2, 20, 30, FAILED), read(1, 40, 50)],
    "a begin at the instant of an end": [write(1, 0, 10), write(2, 10, 20), read(2, 30, 40)],
}
ILLEGAL = {
    "a stale read": [write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)],
    "a read from nowhere": [write(1, 0, 10), read(3, 20, 30)],
    "a read of what failed": [write(1, 0, 10), write(2, 20, 30, FAILED), read(2, 40, 50)],
    "new, then old": [write(1, 0, 10), write(2, 20, 90), read(2, 30, 40), read(1, 50, 60)],
    "new, then old, of an unknown write": [
        write(1, 0, 10),
        write(2, 20, 30, UNKNOWN),
        read(2, 40, 50),
        read(1, 60, 70),
    ],
    "an unknown write that happened twice": [
        write(4, 0, 2),
        write(2, 3, 5, UNKNOWN),
        read(2, 10, 20),
        write(1, 30, 40),
        read(2, 50, 60),
    ],
    "a read before its write began": [read(2, 0, 10), read(7, 11, 15), write(2, 20, 30)],
    "two swaps of one value": [write(1, 0, 10), swap(1, 2, 20, 50), swap(1, 3, 20, 50)],
    "a swap of what does not stand there": [write(1, 0, 10), swap(2, 3, 20, 30)],
    "a swap refused though its value stands there": [write(1, 0, 10), refused(1, 20, 30), read(1, 40, 50)],
    "a lost write": [write(1, 0, 10), write(2, 20, 30), swap(1, 3, 40, 50)],
    "two readers who disagree": [
        write(1, 0, 100),
        write(2, 0, 100),
        read(1, 110, 120),
        read(2, 130, 140),
    ],
}


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_history_has_an_order(name: str) -> None:
    assert linearizable(LEGAL[name]).verdict is KEPT


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_history_has_none(name: str) -> None:
    assert linearizable(ILLEGAL[name]).verdict is BROKEN


def test_it_says_the_same_as_a_search_through_all_orders() -> None:
    chance = Random(4)
    verdicts = []
    for _ in range(400):
        touches = [_any(chance, number) for number in range(5)]
        has_order = _has_order(touches)
        assert (linearizable(touches, initial=0).verdict is not BROKEN) == has_order, touches
        verdicts.append(has_order)
    assert 40 < sum(verdicts) < 360, "both kinds were met"


def _any(chance: Random, number: int) -> Touch:
    begin = chance.randrange(50)
    end = begin + chance.randrange(1, 30)
    outcome = chance.choice([DONE, DONE, DONE, UNKNOWN])
    match chance.randrange(4):
        case 0:
            return write(number + 1, begin, end, outcome)
        case 1:
            return swap(chance.randrange(4), number + 1, begin, end, outcome)
        case 2:
            return refused(chance.randrange(4), begin, end)
        case _:
            return read(chance.randrange(4), begin, end)


def _has_order(touches: list[Touch]) -> bool:
    done = [touch for touch in touches if touch.outcome is DONE]
    unknown = [touch for touch in touches if touch.outcome is UNKNOWN]
    for mask in range(2 ** len(unknown)):
        chosen = [touch for number, touch in enumerate(unknown) if mask >> number & 1]
        if any(_explains(order) for order in permutations([*done, *chosen])):
            return True
    return False


def _explains(order: tuple[Touch, ...]) -> bool:
    value, latest = 0, -1
    for touch in order:
        if touch.outcome is DONE and touch.ended < latest:
            return False
        latest = max(latest, touch.at)
        if touch.deed is Deed.READ and touch.value != value:
            return False
        if touch.deed is Deed.REFUSED and touch.expected == value:
            return False
        if touch.deed is Deed.SWAP and touch.expected != value:
            return False
        if touch.deed in {Deed.WRITE, Deed.SWAP}:
            value = touch.value
    return True


def test_many_unknown_writes_do_not_multiply_the_work() -> None:
    touches = [write(1000 + number, number * 10, number * 10 + 5, UNKNOWN) for number in range(20)]
    for number in range(200):
        touches += [write(number + 1, number * 100, number * 100 + 20)]
        touches += [read(number + 1, number * 100 + 30, number * 100 + 40)]
    assert linearizable(touches).verdict is KEPT
