"""What sequences of faults are drawn: the same from the same number, and none of the kinds left out."""

from random import Random

from tests.lab.database_faults import KINDS, ROUNDS, draw
from tests.lab.database_play import drawn_from

WIRINGS: dict[str, dict[str, str]] = {"asynchronous": {}, "quorum": {"commit": "quorum"}}


def test_a_number_always_draws_the_same_sequence() -> None:
    assert drawn_from(7, WIRINGS) == drawn_from(7, WIRINGS)
    assert drawn_from(7, WIRINGS) != drawn_from(8, WIRINGS)


def test_thirty_sequences_have_every_kind_of_fault_alone_or_with_another() -> None:
    rounds = [each for seed in range(1, 31) for each in drawn_from(seed, WIRINGS).rounds]
    assert {strike.kind for each in rounds for strike in each.strikes} == set(KINDS)
    met = sum(len(each.strikes) == 2 for each in rounds)
    assert 0 < met < len(rounds)


def test_the_second_of_two_comes_while_a_failover_may_be_under_way() -> None:
    drawn = [each for seed in range(100) for each in draw(Random(seed))]
    assert len(drawn) == 100 * ROUNDS
    assert all(0 <= strike.after_s <= 3 for each in drawn for strike in each.strikes)
    assert all(each.strikes[0].after_s == 0 for each in drawn)
