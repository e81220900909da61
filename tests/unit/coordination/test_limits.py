"""What a key is below, and what a transaction may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.coordination.limits import (
    KEY_MAX_BYTES,
    TRANSACTION_WRITES_MAX,
    check_key,
    check_prefix,
    check_transaction,
    is_below,
)
from holdfast.ports.coordination import Write

parts = st.lists(st.text("abc-_09", min_size=1, max_size=5), min_size=1, max_size=5)


@given(parts, parts)
def test_below_means_the_same_path_or_one_that_goes_on_from_it(a: list[str], b: list[str]) -> None:
    key, prefix = "/" + "/".join(a), "/" + "/".join(b)
    assert is_below(key, prefix) == (a[: len(b)] == b)
    assert is_below(key, "/")
    check_key(key)


def test_a_prefix_may_be_the_root_and_a_key_may_not() -> None:
    check_prefix("/")
    with pytest.raises(ValueError, match="no key"):
        check_key("/")


def test_the_limits_are_inclusive() -> None:
    check_key("/" + "k" * (KEY_MAX_BYTES - 1))
    check_transaction([], [Write(f"/{n}", b"") for n in range(TRANSACTION_WRITES_MAX)])
    with pytest.raises(ValueError, match="at most"):
        check_transaction([], [Write(f"/{n}", b"") for n in range(TRANSACTION_WRITES_MAX + 1)])
