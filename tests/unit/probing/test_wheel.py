"""The timer wheel."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.probing.wheel import Wheel


def test_an_empty_wheel_has_no_next_tick() -> None:
    wheel: Wheel[str] = Wheel()
    assert wheel.next_tick() is None
    assert wheel.take(1 << 60) == []


@given(st.lists(st.integers(0, 1000)), st.lists(st.integers(0, 1000)))
def test_everything_is_taken_once_and_in_order_and_never_early(put: list[int], looks: list[int]) -> None:
    wheel: Wheel[int] = Wheel()
    for number, tick in enumerate(put):
        wheel.put(tick, number)
    taken = []
    for look in sorted(looks):
        due = wheel.take(look)
        assert all(tick <= look for tick, _ in due)
        taken += due
        following = wheel.next_tick()
        assert following is None or following > look
    taken += wheel.take(1000)
    assert [tick for tick, _ in taken] == sorted(put)
    assert sorted(number for _, number in taken) == list(range(len(put)))
    assert all(put[number] == tick for tick, number in taken)
