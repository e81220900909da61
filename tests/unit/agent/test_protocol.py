from typing import get_args

import msgspec
import pytest

from holdfast.agent import protocol

VERBS = {
    "ping": b"{}",
    "status": b"{}",
    "state": b"{}",
    "watch": b"{}",
    "explain-data": b"{}",
    "incidents": b"{}",
    "incident": b'{"id": "i-1"}',
    "health": b"{}",
    "switchover": b'{"service": "db"}',
    "drain": b'{"component": "db/db-1"}',
    "pause": b'{"for_s": 60}',
    "resume": b"{}",
    "restart": b'{"target": "db"}',
    "down": b"{}",
    "reload": b"{}",
    "cluster": b"{}",
    "policy": b"{}",
    "policies": b"{}",
    "apply": b'{"text": "system: shop"}',
}
decoder = msgspec.json.Decoder(protocol.AnyRequest)


def test_table_of_verbs_is_closed() -> None:
    kinds = get_args(protocol.AnyRequest)
    assert {kind.__struct_config__.tag for kind in kinds} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_read_and_written(verb: str) -> None:
    line = (
        b'{"verb": "%s", %s' % (verb.encode(), VERBS[verb][1:])
        if VERBS[verb] != b"{}"
        else b'{"verb": "%s"}' % verb.encode()
    )
    request = decoder.decode(line)
    assert decoder.decode(msgspec.json.encode(request)) == request


def test_a_switchover_that_asks_for_nothing_more_is_understood_by_earlier_agents() -> None:
    assert msgspec.json.decode(msgspec.json.encode(protocol.SwitchoverRequest(service="db", to="b"))) == {
        "verb": "switchover",
        "service": "db",
        "to": "b",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"verb": "__class__"}',
        b'{"verb": ["status"]}',
        b'{"verb": "status", "more": 1}',
        b'{"verb": "drain"}',
        b'{"verb": "drain", "component": ""}',
        b'{"verb": "drain", "component": "' + b"x" * 257 + b'"}',
        b'{"verb": "pause", "for_s": -1}',
        b'{"verb": "pause", "for_s": 1e300}',
        b'{"verb": "down", "wait_s": 1e9}',
        b'{"verb": "switchover", "service": "db", "open_transactions_s": -1}',
        b'{"verb": "switchover", "service": "db", "open_transactions_s": 3601}',
        b'{"verb": "incidents", "limit": 100000}',
        b'{"verb": "switchover", "service": "db", "why": "' + b"x" * 5000 + b'"}',
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder.decode(line)
