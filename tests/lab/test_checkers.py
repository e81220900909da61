"""The checkers of databases, each on histories in which its promise is kept, and on planted ones in which it is not."""

from holdfast.model.time import MILLISECOND, SECOND, Instant
from tests.lab import checking
from tests.lab.database_history import Append, Deed, Listed, Outcome, Sample, Touch, numbered
from tests.lab.history import Fault, Healed, History, Record
from tests.lab.judging import Verdict

KEPT, BROKEN, UNKNOWN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNKNOWN


def ms(number: float) -> Instant:
    return int(number * MILLISECOND)


def append(
    number: int,
    begin: float,
    *,
    took: float = 5,
    client: str = "a",
    by: tuple[str, int] = ("h1", 1),
    outcome: Outcome = Outcome.ACKNOWLEDGED,
) -> Append:
    host, reign = by if outcome is Outcome.ACKNOWLEDGED else ("", 0)
    return Append(ms(begin), client, number, ms(begin + took), outcome, host, reign)


def listed(*numbers: int, host: str = "h1", is_primary: bool = True) -> Listed:
    return Listed(ms(60_000), host, is_primary, tuple(("a", number) for number in numbers))


def taken(
    host: str, reign: int, begin: float, end: float, followers: int = 2, every: float = 10
) -> list[Sample]:
    count = int((end - begin) / every) + 1
    instants = [begin + number * every for number in range(count)]
    return [Sample(ms(at), host, ms(at + 1), True, reign, followers) for at in instants]


def history(*parts: Record | list[Sample]) -> History:
    records: list[Record] = []
    for part in parts:
        records += part if isinstance(part, list) else [part]
    return History(tuple(records))


# --- nothing is lost ----------------------------------------------------------------------------------


def test_an_acknowledged_append_that_is_in_the_list_is_not_lost() -> None:
    unknown = append(2, 20, outcome=Outcome.UNKNOWN)
    failed = append(3, 30, outcome=Outcome.FAILED)
    assert checking.none_lost(history(append(1, 10), unknown, failed, listed(1))).verdict is KEPT


def test_an_acknowledged_append_that_is_missing_is_found() -> None:
    told = checking.none_lost(history(append(1, 10), append(2, 20), listed(1)))
    assert (told.verdict, told.why) == (BROKEN, "1 of 2 are lost: a's 2")


def test_what_a_standby_has_beyond_the_primary_does_not_count() -> None:
    told = checking.none_lost(history(append(1, 10), listed(), listed(1, host="h2", is_primary=False)))
    assert told.verdict is BROKEN


def test_a_list_that_nobody_read_proves_nothing() -> None:
    assert checking.none_lost(history(append(1, 10))).verdict is UNKNOWN
    assert checking.none_lost(history(listed(1))).verdict is UNKNOWN


def test_the_last_moment_of_a_deposed_primary_may_be_lost_asynchronously() -> None:
    told = checking.only_a_tail_lost(
        history(append(1, 0), append(2, 10), append(3, 20), append(4, 900, by=("h2", 2)), listed(1, 4)),
        ms(50),
    )
    assert (told.verdict, told.measured) == (KEPT, ms(10))


def test_a_longer_tail_than_is_allowed_is_found() -> None:
    lost = [append(number, number * 10) for number in range(20)]
    told = checking.only_a_tail_lost(history(*lost, append(99, 900, by=("h2", 2)), listed(99)), ms(50))
    assert (told.verdict, told.measured) == (BROKEN, ms(190))


def test_while_a_whole_host_stands_still_nothing_is_acknowledged_there() -> None:
    lost = (append(1, 0), append(2, 10), append(3, 20, took=500), append(4, 900, by=("h2", 2)))
    paused, resumed = Fault(ms(100), "pause h1"), Healed(ms(519), "resume h1")
    told = checking.only_a_tail_lost(history(*lost, paused, resumed, listed(1, 4)), ms(95))
    assert told.verdict is KEPT
    told = checking.only_a_tail_lost(
        history(*lost, Fault(ms(100), "pause h2"), resumed, listed(1, 4)), ms(95)
    )
    assert told.verdict is BROKEN


def test_a_hole_is_found_however_small() -> None:
    told = checking.only_a_tail_lost(
        history(append(1, 0), append(2, 10), append(3, 20), append(4, 900, by=("h2", 2)), listed(1, 3, 4)),
        ms(10_000),
    )
    assert (told.verdict, told.why) == (BROKEN, "a's 2 is lost, and a's 3 came after it and is kept")


def test_two_at_once_of_which_one_is_lost_are_no_hole() -> None:
    told = checking.only_a_tail_lost(
        history(append(1, 0, took=5), append(2, 3, took=5), append(3, 900, by=("h2", 2)), listed(2, 3)),
        ms(50),
    )
    assert told.verdict is KEPT


def test_a_primary_that_serves_on_may_lose_nothing() -> None:
    told = checking.only_a_tail_lost(history(append(1, 0), append(2, 10), listed(1)), ms(10_000))
    assert (told.verdict, told.why) == (BROKEN, "lost under a primary that serves on: a's 2")


def test_what_was_lost_before_anybody_wrote_under_the_next_primary_may_be_lost() -> None:
    of_the_next = Listed(ms(60_000), "h2", True, (("a", 1),), 2)
    told = checking.only_a_tail_lost(history(append(1, 0), append(2, 10), of_the_next), ms(50))
    assert told.verdict is KEPT


# --- the list is what clients made it -----------------------------------------------------------------


def test_each_entry_once_is_no_duplicate_and_one_that_stands_twice_is() -> None:
    assert checking.no_duplicates(history(listed(1, 2, 3))).verdict is KEPT
    assert checking.no_duplicates(history(listed(1, 2, 1))).verdict is BROKEN
    assert (
        checking.no_duplicates(history(listed(1), listed(1, 1, host="h2", is_primary=False))).verdict
        is BROKEN
    )
    assert checking.no_duplicates(history()).verdict is UNKNOWN


def test_what_was_unknown_may_stand_there_and_what_failed_may_not() -> None:
    unknown, failed = append(1, 0, outcome=Outcome.UNKNOWN), append(2, 10, outcome=Outcome.FAILED)
    assert checking.nothing_from_nowhere(history(unknown, listed(1))).verdict is KEPT
    assert checking.nothing_from_nowhere(history(unknown, failed, listed(1, 2))).verdict is BROKEN
    assert checking.nothing_from_nowhere(history(listed(7))).verdict is BROKEN


def test_what_began_after_another_had_ended_stands_after_it() -> None:
    first, second = append(1, 0), append(2, 10)
    assert checking.in_order(history(first, second, listed(1, 2))).verdict is KEPT
    assert checking.in_order(history(first, second, listed(2, 1))).verdict is BROKEN


def test_two_at_once_may_stand_in_either_order() -> None:
    first, second = append(1, 0, took=20), append(2, 10)
    assert checking.in_order(history(first, second, listed(2, 1))).verdict is KEPT


def test_what_was_unknown_may_happen_later() -> None:
    first, second = append(1, 0, outcome=Outcome.UNKNOWN), append(2, 10)
    assert checking.in_order(history(first, second, listed(2, 1))).verdict is KEPT


def test_order_holds_between_clients_and_on_standbys() -> None:
    first, second = append(1, 0, client="b"), append(2, 10)
    entries = (("a", 2), ("b", 1))
    assert (
        checking.in_order(history(first, second, Listed(ms(60_000), "h2", False, entries))).verdict is BROKEN
    )


def test_a_standby_that_differs_is_found() -> None:
    same = listed(1, 2, host="h2", is_primary=False)
    assert checking.standbys_equal(history(listed(1, 2), same)).verdict is KEPT
    less = listed(1, host="h2", is_primary=False)
    assert checking.standbys_equal(history(listed(1, 2), less)).verdict is BROKEN
    other_order = listed(2, 1, host="h2", is_primary=False)
    assert checking.standbys_equal(history(listed(1, 2), other_order)).verdict is BROKEN
    assert checking.standbys_equal(history(listed(1, 2))).verdict is UNKNOWN


# --- one primary --------------------------------------------------------------------------------------


def test_one_after_the_other_is_kept_and_the_smallest_gap_is_told() -> None:
    told = checking.one_writable(
        history(taken("h1", 1, 0, 1000), taken("h2", 2, 2000, 3000), taken("h1", 3, 3100, 4000))
    )
    assert (told.verdict, told.measured) == (KEPT, ms(101))


def test_two_writable_servers_are_found_with_the_length_of_the_overlap() -> None:
    told = checking.one_writable(history(taken("h1", 1, 0, 1000), taken("h2", 2, 899, 3000)))
    assert (told.verdict, told.measured) == (BROKEN, ms(-100))
    assert told.why == "h1 (reign 1) still took writes when h2 (reign 2) did"


def test_a_deposed_server_that_takes_one_more_write_much_later_is_found() -> None:
    told = checking.one_writable(
        history(taken("h1", 1, 0, 1000), taken("h2", 2, 2000, 9000), taken("h1", 1, 5000, 5000))
    )
    assert told.verdict is BROKEN


def test_an_old_overlap_is_found_behind_a_short_reign() -> None:
    told = checking.one_writable(
        history(taken("h1", 1, 0, 5000), taken("h2", 2, 5100, 5200), taken("h3", 3, 4000, 5050))
    )
    assert told.verdict is BROKEN


def test_a_write_that_waited_in_a_frozen_server_may_have_been_taken_before() -> None:
    waited = Sample(ms(900), "h1", ms(5000), True, 1)
    told = checking.one_writable(history(taken("h1", 1, 0, 800), [waited], taken("h2", 2, 2000, 6000)))
    assert told.verdict is KEPT


def test_refused_samples_are_no_signs_of_a_primary() -> None:
    refused = [Sample(ms(at), "h2", ms(at + 1), is_taken=False, error="25006") for at in range(0, 1000, 10)]
    assert checking.one_writable(history(taken("h1", 1, 0, 1000), refused)).verdict is KEPT
    assert checking.one_writable(history(refused)).verdict is UNKNOWN


def test_an_append_acknowledged_by_the_deposed_is_found() -> None:
    new = append(2, 100, by=("h2", 2))
    stale = append(3, 200, by=("h1", 1))
    told = checking.none_acknowledged_by_the_deposed(history(append(1, 0), new, stale))
    assert (told.verdict, told.why) == (BROKEN, "h1 (reign 1) acknowledged 95.0 ms after h2 (reign 2) served")


def test_a_sampler_may_be_who_knows_that_another_served() -> None:
    stale = append(3, 200, by=("h1", 1))
    told = checking.none_acknowledged_by_the_deposed(history(append(1, 0), taken("h2", 2, 100, 100), stale))
    assert told.verdict is BROKEN


def test_an_append_that_began_before_another_served_may_be_acknowledged_late() -> None:
    slow = append(1, 0, took=500)
    told = checking.none_acknowledged_by_the_deposed(history(slow, append(2, 100, by=("h2", 2))))
    assert told.verdict is KEPT


def test_a_host_that_stood_still_is_excused_for_a_moment_and_no_longer() -> None:
    resumed = Healed(ms(5000), "resume h1")
    old, new = taken("h1", 1, 0, 1000), taken("h2", 2, 2000, 9000)
    told = checking.one_writable(history(old, new, resumed, taken("h1", 1, 5000, 5040)), ms(50))
    assert told.verdict is KEPT
    told = checking.one_writable(history(old, new, resumed, taken("h1", 1, 5000, 5060)), ms(50))
    assert told.verdict is BROKEN
    stale = append(7, 5010)
    assert checking.none_acknowledged_by_the_deposed(history(new, resumed, stale)).verdict is BROKEN
    told = checking.none_acknowledged_by_the_deposed(history(append(1, 0), new, resumed, stale), ms(50))
    assert told.verdict is KEPT


def test_a_reign_of_two_hosts_is_found() -> None:
    assert (
        checking.a_reign_has_one_host(history(taken("h1", 1, 0, 10), taken("h2", 2, 20, 30))).verdict is KEPT
    )
    told = checking.a_reign_has_one_host(history(taken("h1", 2, 0, 10), append(1, 50, by=("h2", 2))))
    assert (told.verdict, told.why) == (BROKEN, "reign 2 was h1's and h2's")


def test_drawn_reigns_are_numbered_in_the_order_in_which_they_began() -> None:
    drawn = history(taken("h1", 901, 0, 100), taken("h2", 17, 200, 300), append(1, 50, by=("h1", 901)))
    drawn = numbered(History((*drawn.records, Listed(ms(400), "h2", True, (), 17))))
    assert [sample.reign for sample in drawn.of(Sample)] == [1] * 11 + [2] * 11
    assert [each.reign for each in drawn.of(Append)] == [1]
    assert [each.reign for each in drawn.of(Listed)] == [2]


# --- registers ----------------------------------------------------------------------------------------


def touch(deed: Deed, value: int, begin: float, *, reign: int = 1, key: int = 1) -> Touch:
    return Touch(ms(begin), "a", key, deed, value, ms(begin + 5), Outcome.ACKNOWLEDGED, 0, "h1", reign)


def test_a_stale_read_of_a_register_is_found() -> None:
    written, read = touch(Deed.WRITE, 2, 10), touch(Deed.READ, 1, 20)
    first = touch(Deed.WRITE, 1, 0)
    told = checking.registers_linearizable(history(first, written, read), is_lossless=True)
    assert told.verdict is BROKEN


def test_a_reign_that_lost_its_tail_is_no_stale_read_where_that_may_be() -> None:
    kept, lost, read = touch(Deed.WRITE, 1, 0), touch(Deed.WRITE, 2, 10), touch(Deed.READ, 1, 900, reign=2)
    told = checking.registers_linearizable(history(kept, lost, read), is_lossless=False)
    assert told.verdict is KEPT
    assert checking.registers_linearizable(history(kept, lost, read), is_lossless=True).verdict is BROKEN


def test_a_stale_read_within_a_reign_is_found_also_where_tails_may_be_lost() -> None:
    first, written, read = touch(Deed.WRITE, 1, 0), touch(Deed.WRITE, 2, 10), touch(Deed.READ, 1, 20)
    assert checking.registers_linearizable(history(first, written, read), is_lossless=False).verdict is BROKEN


# --- all comes back -----------------------------------------------------------------------------------


def test_each_client_is_served_again_after_the_last_fault() -> None:
    fault, healed = Fault(ms(100), "freeze"), Healed(ms(1000), "all")
    served = append(2, 1500), append(3, 1700, client="b")
    told = checking.served_again(history(append(1, 0), fault, healed, *served), SECOND)
    assert (told.verdict, told.measured) == (KEPT, ms(705))


def test_a_client_that_is_never_served_again_is_found() -> None:
    told = checking.served_again(
        history(append(1, 0), append(1, 0, client="b"), Fault(ms(100), "kill"), append(2, 200)), SECOND
    )
    assert (told.verdict, told.why) == (BROKEN, "never served again: b")


def test_a_service_that_comes_back_too_late_is_found() -> None:
    told = checking.served_again(history(Fault(ms(100), "kill"), append(2, 5000)), SECOND)
    assert told.verdict is BROKEN


def test_redundancy_counts_from_when_it_is_whole_to_the_end() -> None:
    whole = taken("h2", 2, 3000, 9000)
    told = checking.redundant_again(
        history(taken("h1", 1, 0, 90), Fault(ms(100), "kill"), taken("h2", 2, 1000, 2990, 1), whole),
        2,
        5 * SECOND,
    )
    assert (told.verdict, told.measured) == (KEPT, ms(2901))


def test_redundancy_that_does_not_last_or_comes_too_late_or_never_is_found() -> None:
    fault, whole = Fault(ms(100), "kill"), taken("h2", 2, 1000, 9000)
    assert checking.redundant_again(history(fault, whole), 2, ms(500)).verdict is BROKEN
    less = taken("h2", 2, 9010, 9100, followers=1)
    assert checking.redundant_again(history(fault, whole, less), 2, SECOND).verdict is BROKEN
    assert checking.redundant_again(history(fault), 2, SECOND).verdict is UNKNOWN


def test_a_primary_of_which_nothing_is_heard_any_more_has_no_followers() -> None:
    fault, whole = Fault(ms(100), "kill"), taken("h2", 2, 1000, 2000)
    assert checking.redundant_again(history(fault, whole, append(1, 4000)), 2, SECOND).verdict is KEPT
    assert checking.redundant_again(history(fault, whole, append(1, 9000)), 2, SECOND).verdict is BROKEN


def test_followers_of_a_primary_that_was_are_no_redundancy() -> None:
    fault = Fault(ms(100), "partition")
    told = checking.redundant_again(
        history(fault, taken("h2", 2, 1000, 2000, 0), taken("h1", 1, 2010, 9000)), 2, 10 * SECOND
    )
    assert told.verdict is BROKEN


def test_the_outage_is_the_longest_time_in_which_nobody_was_answered() -> None:
    answers = append(1, 0), append(2, 100), append(3, 2000, client="b"), append(4, 2100)
    assert checking.outage_of(history(*answers)) == ms(1900)
