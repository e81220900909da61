from bench.failover.tolls import Kind, counted, row, two_writable
from holdfast.model.time import MILLISECOND, SECOND
from tests.lab.database_history import Append, Listed, Outcome, Sample
from tests.lab.history import History

MS = MILLISECOND


def taken(host: str, at_ms: int, ended_ms: int, reign: int = 1, followers: int = 2) -> Sample:
    return Sample(at_ms * MS, host, ended_ms * MS, is_taken=True, reign=reign, followers=followers)


def sampled(host: str, first_ms: int, last_ms: int, reign: int = 1, followers: int = 2) -> list[Sample]:
    return [taken(host, at, at + 2, reign, followers) for at in range(first_ms, last_ms, 10)]


def acknowledged(client: str, number: int, ended_ms: int) -> Append:
    return Append((ended_ms - 1) * MS, client, number, ended_ms * MS, Outcome.ACKNOWLEDGED)


def test_servers_that_take_writes_one_after_the_other_are_never_two() -> None:
    assert two_writable([*sampled("h2", 0, 1000), *sampled("h3", 1200, 2000)]) == 0


def test_two_that_take_writes_at_once_are_counted_for_as_long_as_both_do() -> None:
    both = two_writable([*sampled("h2", 0, 1000), *sampled("h3", 600, 2000)])
    assert 380 * MS < both < 400 * MS


def test_a_server_that_slept_and_answers_when_it_wakes_counts_for_that_moment_only() -> None:
    slept = taken("h2", 1000, 41_000)
    both = two_writable([*sampled("h2", 0, 1000), slept, *sampled("h3", 3000, 50_000, reign=2)])
    assert 0 < both <= 10 * MS


def test_a_toll_counts_the_longest_silence_after_the_fault_and_what_is_not_there_in_the_end() -> None:
    rows = [acknowledged("roaming", number, ended) for number, ended in enumerate((10, 20, 900, 1000, 1500))]
    pinned = acknowledged("pinned", 1, 1000)
    kept = Listed(0, "h3", is_primary=True, entries=tuple(("roaming", number) for number in (0, 2, 3, 4)))
    samples = [*sampled("h2", 0, 500, followers=1), *sampled("h3", 2000, 3000, reign=2)]
    toll = counted(History((*rows, pinned, kept, *samples)), 950 * MS, is_back=True)
    assert (toll.outage, toll.lost, toll.pinned_lost, toll.two_writable) == (500 * MS, 1, 1, 0)
    assert toll.redundant == (2002 - 950) * MS


def test_who_never_comes_back_is_told_so() -> None:
    rows = [acknowledged("roaming", number, ended) for number, ended in enumerate((10, 20))]
    toll = counted(History(tuple(rows)), SECOND, is_back=False)
    assert (toll.outage, toll.redundant) == (None, None)
    assert "1 never" in row(Kind.KILL, "x", [toll])
