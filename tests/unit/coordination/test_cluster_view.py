"""The view of what stands in the coordinator: whatever happens to the keys, watching gives what decoding anew would give."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from holdfast.coordination.memory import MemoryCoordinator, MemoryEngine
from holdfast.coordination.recipes.seats import Claim as SeatClaim
from holdfast.coordination.recipes.signing import Seal
from holdfast.coordination.recipes.viewing_cluster import ViewKeeper, decode
from holdfast.coordination.recipes.wishing import LABEL, written_wish
from holdfast.model.cluster import (
    Assignment,
    Claim,
    ClusterView,
    HostReport,
    LastLease,
    Lease,
    MemberReport,
    OperatorWish,
)
from holdfast.model.standing import Status
from holdfast.model.value import Value
from holdfast.ports.coordination import Beat, Change, Entry, Sighting, Snapshot

ROOT = "/demo"
SEAL = Seal(b"secret", LABEL, "demo")

NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(0, 2)


def _json(value: Value) -> bytes:
    return msgspec.json.encode(value)


GOOD = st.one_of(
    st.builds(lambda h, n: (f"hosts/{h}", _json(HostReport("l", n))), NAMES, SMALL),
    st.builds(lambda s, n: (f"leases/{s}/epoch", str(n).encode()), NAMES, SMALL),
    st.builds(lambda s, h, n: (f"leases/{s}/holder", _json(Lease(s, h, "m", n, "l"))), NAMES, NAMES, SMALL),
    st.builds(lambda s, n: (f"assignments/{s}", _json(Assignment(s, n))), NAMES, SMALL),
    st.builds(lambda s, n: (f"wishes/{s}", written_wish(OperatorWish(s, "m", n), SEAL)), NAMES, NAMES),
    st.builds(lambda h, n: ("leader/seats/0", _json(SeatClaim(n, h, "m"))), NAMES, SMALL),
)
KEYS = st.one_of(
    GOOD.map(lambda pair: pair[0]),
    st.sampled_from(
        ["policy/current", "policy/revisions/1", "leader/epoch", "of-a/later/version", "hosts/a/b"]
    ),
)
BAD = st.tuples(KEYS, st.one_of(st.binary(max_size=20), GOOD.map(lambda pair: pair[1])))
PUTS = st.tuples(st.just("put"), st.one_of(GOOD, BAD))
DELETIONS = st.tuples(st.just("delete"), st.tuples(KEYS, st.none()))
FORGETTING = st.tuples(st.just("forget"), st.tuples(st.none(), st.none()))
STEPS = st.lists(st.one_of(PUTS, PUTS, PUTS, DELETIONS, FORGETTING), max_size=30)


@given(STEPS)
def test_a_view_that_is_kept_equals_one_that_is_decoded_anew(
    steps: list[tuple[str, tuple[Any, Any]]],
) -> None:
    async def story() -> None:
        engine = MemoryEngine(lambda: 0)
        client, other = engine.coordinator(), engine.coordinator()
        keeper, sightings = ViewKeeper(ROOT, SEAL), other.watch(ROOT)
        keeper.see(await anext(sightings))
        for kind, (key, value) in steps:
            await _do(client, kind, key, value)
            await client.put(f"{ROOT}/mark", b"%d" % engine.revision)  # of which the view knows nothing
            while True:  # one that began anew shows it in its snapshot
                sighting = await anext(sightings)
                keeper.see(sighting)
                if _shows(sighting, engine.revision):
                    break
            fresh = decode(ROOT, (await client.list(ROOT)).entries, SEAL)
            assert (keeper.view, keeper.not_understood) == (fresh.view, fresh.not_understood)

    asyncio.run(story())


async def _do(client: MemoryCoordinator, kind: str, key: str, value: bytes) -> None:
    match kind:
        case "put":
            await client.put(f"{ROOT}/{key}", value)
        case "delete":
            await client.delete(f"{ROOT}/{key}")
        case _:
            client.engine.compact()


def _shows(sighting: Sighting, revision: int) -> bool:
    match sighting:
        case Snapshot():
            return True
        case Change(entry=entry):
            return entry.version == revision
        case _:
            return False


def entry(key: str, value: bytes, version: int = 1) -> Entry:
    return Entry(f"{ROOT}/{key}", value, version, 1)


def view_of(*entries: Entry) -> tuple[ClusterView, dict[str, str]]:
    decoded = decode(ROOT, {e.key: e for e in entries}, SEAL)
    return decoded.view, decoded.not_understood


def test_each_key_has_its_place_in_the_view() -> None:
    report = HostReport("l", 3, {"db/a": MemberReport(Status.UP)})
    lease, assignment = Lease("db", "h1", "a", 2, "l"), Assignment("db", 4, {"a": "h1"})
    wish = OperatorWish("db", "b", "ann", id="1")
    view, not_understood = view_of(
        entry("leader/epoch", b"4"),
        entry("leader/seats/0", _json(SeatClaim(4, "h2", "m"))),
        entry("hosts/h1", _json(report)),
        entry("leases/db/epoch", b"2"),
        entry("leases/db/holder", _json(lease)),
        entry("leases/db/last", _json(LastLease(lease))),
        entry("assignments/db", _json(assignment)),
        entry("wishes/db", written_wish(wish, SEAL)),
        entry("policy/current", b"not ours to read"),
    )
    assert not_understood == {}
    assert view == ClusterView(
        leader=Claim("h2", 4),
        hosts={"h1": report},
        leases={"db": lease},
        lease_epochs={"db": 2},
        last_leases={"db": LastLease(lease)},
        assignments={"db": assignment},
        wishes={"db": wish},
    )


@given(KEYS, st.binary(max_size=200))
def test_bytes_that_nobody_understands_hide_their_own_key_only(key: str, value: bytes) -> None:
    good = entry("hosts/good", _json(HostReport("l")))
    view, not_understood = view_of(good, entry(key, value))
    assert view.hosts["good"] == HostReport("l")
    assert set(not_understood) <= {f"{ROOT}/{key}"}


def test_what_would_harm_its_reader_is_not_understood() -> None:
    for key, value in (
        ("hosts/a", b'{"life":"\xff"}'),  # not UTF-8
        ("hosts/a", b'{"x":' + b"[" * 60_000),  # nested without end
        ("leases/a/epoch", b"9" * 60_000),
        ("leases/a/epoch", "٣".encode()),  # a digit, but not one of ours
        ("leases/a/holder", _json(Lease("a", "h", "m", 10**15, "l"))),  # its block would not fit into 64 bits
        ("leases/a/holder", _json(Lease("a", "h", "m", -1, "l"))),
        ("leases/a/holder", _json(Lease("b", "h", "m", 1, "l"))),  # of another service
        ("assignments/a", _json(Assignment("b", 1))),
        ("wishes/a", written_wish(OperatorWish("b", "m", "ann"), SEAL)),
        (
            "wishes/a",
            written_wish(OperatorWish("a", "m", "ann"), Seal(b"secret", LABEL, "other")),
        ),  # of another system
    ):
        view, not_understood = view_of(entry(key, value))
        assert view == ClusterView(), key
        assert list(not_understood) == [f"{ROOT}/{key}"]


def test_what_says_nothing_new_leaves_the_very_same_view() -> None:
    keeper = ViewKeeper(ROOT, SEAL)
    report = entry("hosts/a", _json(HostReport("l")))
    view = keeper.see(Snapshot({report.key: report}))
    again = entry("hosts/a", report.value, version=2)
    for sighting in (
        Beat(),
        Change("put", again),
        Change("put", entry("of-a/later/version", b"?")),
        Change("delete", entry("hosts/b", b"")),
        Snapshot({again.key: again}),
    ):
        assert keeper.see(sighting) is view


def test_only_what_has_changed_is_decoded_again() -> None:
    keeper = ViewKeeper(ROOT, SEAL)
    entries = {e.key: e for e in (entry(f"hosts/h{n}", _json(HostReport("l", n))) for n in range(5))}
    before = keeper.see(Snapshot(entries))
    changed = entry("hosts/h1", _json(HostReport("l", 9)), version=2)
    after = keeper.see(Snapshot(entries | {changed.key: changed}))
    assert after.hosts["h1"].number == 9
    assert all(after.hosts[f"h{n}"] is before.hosts[f"h{n}"] for n in (0, 2, 3, 4))
    assert after.leases is before.leases
