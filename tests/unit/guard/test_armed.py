"""The rules of deadlines: they only move away, and one that passed moves no more."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.guard.armed import AHEAD_MAX, ARMED_MAX, SECOND, ArmedSet
from holdfast.guard.facts import Facts

FACTS = Facts(100, 7, "boot")
NOW = 1000 * SECOND
LATER = NOW + SECOND


def armed(**deadlines: int) -> ArmedSet:
    result = ArmedSet()
    for name, deadline in deadlines.items():
        assert result.arm(f"orders/{name}", FACTS, deadline, NOW) == ""
    return result


def test_a_deadline_is_due_from_its_very_instant_on() -> None:
    orders = armed(a=LATER, b=LATER + 1)
    assert orders.due(LATER - 1) == []
    assert orders.due(LATER) == ["orders/a"]
    assert orders.due(LATER + 1) == ["orders/a", "orders/b"]


def test_the_next_deadline_is_the_soonest_that_has_not_passed() -> None:
    orders = armed(a=LATER, b=LATER + 5)
    assert orders.next_deadline(NOW) == LATER
    assert orders.next_deadline(LATER) == LATER + 5
    assert orders.next_deadline(LATER + 5) is None


def test_an_extension_that_is_sooner_changes_nothing() -> None:
    orders = armed(a=LATER)
    assert orders.extend("orders/a", LATER - 1, NOW) == ""
    assert orders.components["orders/a"].deadline == LATER


def test_what_has_passed_can_be_neither_extended_nor_disarmed_nor_armed_anew() -> None:
    orders = armed(a=LATER)
    assert "passed" in orders.extend("orders/a", LATER + SECOND, LATER)
    assert "passed" in orders.disarm("orders/a", LATER)
    assert "passed" in orders.arm("orders/a", FACTS, LATER + SECOND, LATER)
    assert orders.due(LATER) == ["orders/a"]


def test_a_deadline_in_the_past_or_too_far_away_is_refused_and_what_was_armed_stays() -> None:
    orders = armed(a=LATER)
    for deadline in (NOW, NOW - 1, NOW + AHEAD_MAX + 1):
        assert orders.arm("orders/a", FACTS, deadline, NOW)
        assert orders.extend("orders/a", deadline, NOW)
    assert orders.components["orders/a"].deadline == LATER


def test_armed_again_it_is_another_life_with_its_own_deadline() -> None:
    orders = armed(a=LATER + SECOND)
    other = Facts(101, 8, "boot")
    assert orders.arm("orders/a", other, LATER, NOW) == ""
    assert orders.components["orders/a"].facts is other
    assert orders.components["orders/a"].deadline == LATER


def test_what_is_not_armed_cannot_be_extended_and_is_disarmed_already() -> None:
    orders = ArmedSet()
    assert "not armed" in orders.extend("orders/a", LATER, NOW)
    assert orders.disarm("orders/a", NOW) == ""


def test_there_is_a_most_that_can_be_armed() -> None:
    orders = armed(**{f"m{number}": LATER for number in range(ARMED_MAX)})
    assert "most" in orders.arm("orders/other", FACTS, LATER, NOW)
    assert orders.arm("orders/m0", FACTS, LATER, NOW) == "", "one that is armed can be armed anew"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["extend", "disarm"]),
            st.integers(-2 * SECOND, 5 * SECOND),
            st.integers(0, SECOND),
        )
    )
)
def test_no_order_of_requests_brings_a_deadline_nearer_or_wakes_one_that_passed(
    requests: list[tuple[str, int, int]],
) -> None:
    orders, now = armed(a=LATER), NOW
    for verb, ahead, passed in requests:
        now += passed
        before = orders.components.get("orders/a")
        deadline = None if before is None else before.deadline
        error = (
            orders.extend("orders/a", now + ahead, now)
            if verb == "extend"
            else orders.disarm("orders/a", now)
        )
        after = orders.components.get("orders/a")
        if deadline is not None and deadline <= now:
            assert error
            assert after is not None
            assert after.deadline == deadline
        elif deadline is not None and after is not None:
            assert after.deadline >= deadline
