"""The judge, on histories with planted faults."""

from holdfast.model.time import MILLISECOND, SECOND, Instant
from tests.lab.history import Asked, Beat, Fault, Healed, History, Mark, Record, Served, Starved
from tests.lab.judging import (
    Verdict,
    back_within,
    epochs_only_grow,
    longest_stall,
    never_two,
    outage,
    spans_of,
)

EVERY = 5 * MILLISECOND


def ms(number: float) -> Instant:
    return int(number * MILLISECOND)


def serving(
    host: str, epoch: int, begin: float, end: float, *, accepted: bool = True, late: float = 0
) -> list[Record]:
    """Return the marks of a primary that serves from `begin` to `end`, in milliseconds."""
    return [
        Mark(at, "db", host, ord(host[-1]), epoch, received=at + ms(late), accepted=accepted)
        for at in range(ms(begin), ms(end) + 1, EVERY)
    ]


def recorder(begin: float, end: float) -> list[Record]:
    return [Beat(at) for at in range(ms(begin), ms(end) + 1, 20 * MILLISECOND)]


def history(*parts: list[Record], to: float = 10_000) -> History:
    return History(tuple(record for part in (*parts, recorder(0, to)) for record in part))


def asking(begin: float, end: float, error: str = "") -> list[Record]:
    return [Asked(at, ms(1), error=error) for at in range(ms(begin), ms(end), 10 * MILLISECOND)]


# --- never two primaries ------------------------------------------------------------------------------


def test_a_handover_with_a_gap_is_kept_and_the_smallest_gap_is_told() -> None:
    told = never_two(
        history(serving("h1", 1, 0, 1000), serving("h2", 2, 1300, 2000), serving("h1", 3, 2040, 3000)), "db"
    )
    assert (told.verdict, told.measured) == (Verdict.KEPT, ms(40))


def test_two_who_serve_at_once_are_found_with_the_length_of_the_overlap() -> None:
    told = never_two(history(serving("h1", 1, 0, 1000), serving("h2", 2, 900, 2000)), "db")
    assert (told.verdict, told.measured) == (Verdict.BROKEN, ms(-100))
    assert told.why == "h1 (pid 49, epoch 1) still served when h2 (pid 50, epoch 2) began"


def test_a_short_reign_inside_a_long_one_is_found() -> None:
    told = never_two(history(serving("h1", 1, 0, 3000), serving("h2", 2, 1000, 1005)), "db")
    assert told.verdict is Verdict.BROKEN


def test_one_answered_request_of_another_primary_is_an_overlap() -> None:
    answer: list[Record] = [Served(ms(500), "db", "h2", 50, 2)]
    assert never_two(history(serving("h1", 1, 0, 1000), answer), "db").verdict is Verdict.BROKEN


def test_a_frozen_primary_that_wakes_beside_its_successor_is_found() -> None:
    woken = serving("h1", 1, 8000, 8010, accepted=False)
    whole = history(serving("h1", 1, 0, 1000), serving("h2", 2, 4000, 9000), woken)
    assert never_two(whole, "db").verdict is Verdict.BROKEN
    assert never_two(whole, "db", accepted_only=True).verdict is Verdict.KEPT


def test_a_primary_that_was_frozen_while_another_served_did_not_serve_meanwhile() -> None:
    found = spans_of(history(serving("h1", 1, 0, 1000), serving("h1", 1, 5000, 6000)), "db")
    assert [(span.begin, span.end) for span in found] == [(0, ms(1000)), (ms(5000), ms(6000))]


def test_other_services_do_not_count() -> None:
    other = [Served(ms(500), "web", "h2", 50, 2)]
    assert never_two(history(serving("h1", 1, 0, 1000), list(other)), "db").verdict is Verdict.KEPT


# --- epochs only grow ---------------------------------------------------------------------------------


def test_growing_epochs_are_kept() -> None:
    whole = history(serving("h1", 1, 0, 1000), serving("h2", 2, 1100, 2000))
    assert epochs_only_grow(whole, "db").verdict is Verdict.KEPT


def test_an_accepted_write_under_a_lower_epoch_is_found_by_when_the_store_took_it() -> None:
    late = serving("h1", 1, 1000, 1000, late=700)  # sent in time, and taken after the successor's
    whole = history(serving("h1", 1, 0, 900), late, serving("h2", 2, 1600, 2000))
    told = epochs_only_grow(whole, "db")
    assert (told.verdict, told.why) == (
        Verdict.BROKEN,
        "h1 wrote under epoch 1 after h2 under epoch 2",
    )


def test_a_refused_write_under_a_lower_epoch_harms_nobody() -> None:
    refused = serving("h1", 1, 1700, 1800, accepted=False)
    whole = history(serving("h1", 1, 0, 900), serving("h2", 2, 1600, 2000), refused)
    assert epochs_only_grow(whole, "db").verdict is Verdict.KEPT


def test_one_epoch_given_twice_is_found() -> None:
    whole = history(serving("h1", 1, 0, 900), serving("h2", 1, 1600, 2000))
    assert epochs_only_grow(whole, "db").why == "epoch 1 was given to h1 and to h2"


# --- what is not known --------------------------------------------------------------------------------


def test_without_a_recorder_nothing_is_known() -> None:
    told = never_two(History(tuple(serving("h1", 1, 0, 1000))), "db")
    assert (told.verdict, told.why) == (Verdict.UNKNOWN, "the recorder never ran")


def test_a_recorder_that_stalled_leaves_it_unknown() -> None:
    records = (*serving("h1", 1, 0, 9000), *recorder(0, 1000), *recorder(8000, 9000))
    told = never_two(History(records), "db")
    assert (told.verdict, told.why) == (Verdict.UNKNOWN, "the recorder was silent for 7000 ms")


def test_a_recorder_that_was_late_lost_nothing_and_says_how_late_it_was() -> None:
    late = History((*serving("h1", 1, 0, 5000), *recorder(0, 1000), *recorder(3500, 5000)))
    assert never_two(late, "db").verdict is Verdict.KEPT
    assert longest_stall(late) == ms(2500)


def test_lost_marks_leave_it_unknown() -> None:
    lost: list[Record] = [Mark(ms(1000), "db", "h1", 49, 1, received=ms(1000), lost=3)]
    told = epochs_only_grow(history(serving("h1", 1, 0, 995), lost), "db")
    assert (told.verdict, told.why) == (Verdict.UNKNOWN, "3 marks of h1 were lost")


def test_a_recorder_that_ended_before_the_primary_leaves_it_unknown() -> None:
    assert never_two(history(serving("h1", 1, 0, 9000), to=1000), "db").verdict is Verdict.UNKNOWN


def test_what_nobody_served_is_unknown() -> None:
    assert never_two(history(), "db").why == "nobody ever served"


def test_an_overlap_is_one_also_beside_a_hole() -> None:
    records = (*serving("h1", 1, 0, 5000), *serving("h2", 2, 100, 200), *recorder(0, 1000))
    assert never_two(History(records), "db").verdict is Verdict.BROKEN


# --- service comes back -------------------------------------------------------------------------------

FAULT: list[Record] = [Fault(ms(1000), "isolate h1"), Healed(ms(3000), "all")]


def test_service_that_is_back_in_time_is_kept_and_measured() -> None:
    whole = history(FAULT, asking(0, 1000), asking(1000, 3500, "timeout"), asking(3500, 6000))
    told = back_within(whole, 2 * SECOND)
    assert (told.verdict, told.measured) == (Verdict.KEPT, ms(491))


def test_service_that_comes_back_late_is_broken() -> None:
    whole = history(FAULT, asking(0, 1000), asking(1000, 5500, "timeout"), asking(5500, 6000))
    told = back_within(whole, 2 * SECOND)
    assert (told.verdict, told.measured) == (Verdict.BROKEN, ms(2491))


def test_clients_that_stopped_asking_leave_it_unknown() -> None:
    whole = history(FAULT, asking(0, 1000), asking(1000, 3500, "timeout"))
    assert back_within(whole, 2 * SECOND).verdict is Verdict.UNKNOWN


def test_clients_that_were_late_themselves_prove_no_failure() -> None:
    late: list[Record] = [Starved(ms(5000), 400 * MILLISECOND)]
    whole = history(FAULT, late, asking(0, 6000, "timeout"))
    assert back_within(whole, 2 * SECOND).verdict is Verdict.UNKNOWN


def test_an_outage_is_the_longest_time_between_two_answers_since_the_fault() -> None:
    asked = [*asking(0, 100), *asking(600, 700), *asking(1000, 1100)]
    requests = [record for record in asked if isinstance(record, Asked)]
    assert outage(requests, ms(95)) == ms(510)
    assert outage(requests, ms(650)) == ms(310)


def test_an_outage_without_an_end_has_no_length() -> None:
    requests = [record for record in asking(0, 100) if isinstance(record, Asked)]
    assert outage(requests, ms(99)) is None
