"""What agent and guard say to each other is read back as it was meant, and nothing else is read at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.components import guarding
from holdfast.guard.facts import Facts
from holdfast.guard.messages import (
    MESSAGE_MAX,
    NAME_MAX,
    VERSION,
    Arm,
    Ask,
    Disarm,
    Extend,
    Request,
    decode,
    encode,
)

FACTS = Facts(
    100, 7, "boot", ("HOLDFAST_INSTANCE=x", "HOLDFAST_COMPONENT=orders/a"), "/sys/fs/cgroup/holdfast-x"
)
REQUESTS: list[Request] = [
    Arm("orders/a", FACTS, 5),
    Extend({"orders/a": 5, "stock/b": 6}),
    Disarm("orders/a"),
    Ask(),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_request_is_read_as_it_was_meant(request_: Request) -> None:
    read = decode(encode(request_))
    assert type(read) is type(request_)
    assert encode(read) == encode(request_)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(packet: bytes) -> None:
    with pytest.raises(ValueError):
        decode(packet)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(REQUESTS),
    st.sampled_from(["v", "do", "component", "deadline", "deadlines", "facts", "pid", "marks", "cgroup"]),
    json_values,
)
def test_one_wrong_field_is_read_or_refused_and_never_anything_else(
    request: Request, name: str, value: object
) -> None:
    said = json.loads(encode(request))
    (said["facts"] if name in {"pid", "marks", "cgroup"} and "facts" in said else said)[name] = value
    try:
        read = decode(json.dumps(said).encode())
    except ValueError:
        return
    assert encode(decode(encode(read))) == encode(read)


def test_a_long_request_and_one_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        decode(b" " * (MESSAGE_MAX + 1))
    with pytest.raises(ValueError, match=f"version {VERSION}"):
        decode(json.dumps({"v": VERSION + 1, "do": "ask"}).encode())


def test_the_largest_batch_that_a_client_sends_fits() -> None:
    names = [f"{number:04}/" + "m" * (NAME_MAX - 5) for number in range(guarding._BATCH)]
    request = decode(encode(Extend(dict.fromkeys(names, (1 << 63) - 1))))
    assert isinstance(request, Extend)
    assert len(request.deadlines) == guarding._BATCH
