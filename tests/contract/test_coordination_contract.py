"""What every coordinator promises (see ports/coordination.py), asked of each driver on a real engine of its own."""

import asyncio
import signal

import pytest

from holdfast.coordination.clock import now
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.ports.coordination import (
    VALUE_MAX_BYTES,
    Beat,
    Condition,
    ConflictError,
    CoordinationError,
    Coordinator,
    Guard,
    SessionLostError,
    Snapshot,
    UnavailableError,
    UnknownError,
    Write,
)
from tests.contract.coordination.candidates import candidate
from tests.contract.coordination.stages import DRIVERS, Stage
from tests.contract.coordination.staging import (
    Watcher,
    is_gone,
    is_refused,
    longest_silence,
    renewing,
    staged,
    until,
)

pytestmark = pytest.mark.parametrize("driver", DRIVERS)

ABSENT = Condition.ABSENT


# --- keys -----------------------------------------------------------------------------------------------


@staged
async def test_a_key_is_created_once(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    key = f"{stage.root}/k"
    assert await one.get(key) is None
    written = await one.put(key, b"1", expect=ABSENT)
    with pytest.raises(ConflictError):
        await two.put(key, b"2", expect=ABSENT)
    assert await two.get(key) == written
    assert (written.value, written.session) == (b"1", None)


@staged
async def test_stale_writes_and_deletions_are_refused(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    key = f"{stage.root}/k"
    first = await one.put(key, b"1", expect=ABSENT)
    second = await two.put(key, b"2", expect=first.version)
    assert second.version != first.version
    assert second.token == first.token
    with pytest.raises(ConflictError):
        await one.put(key, b"3", expect=first.version)
    with pytest.raises(ConflictError):
        await one.delete(key, expect=first.version)
    assert await one.get(key) == second
    await one.delete(key, expect=second.version)
    assert await two.get(key) is None
    with pytest.raises(ConflictError):
        await two.put(key, b"4", expect=second.version)


@staged
async def test_deleting_what_is_not_there_is_an_error_only_under_a_condition(stage: Stage) -> None:
    client = await stage.client()
    await client.delete(f"{stage.root}/nothing")
    with pytest.raises(ConflictError):
        await client.delete(f"{stage.root}/nothing", expect=7)


@staged
async def test_tokens_grow_with_every_incarnation_of_a_key(stage: Stage) -> None:
    client = await stage.client()
    key = f"{stage.root}/k"
    tokens, versions = [], []
    for _ in range(5):
        entry = await client.put(key, b"", expect=ABSENT)
        again = await client.put(key, b"x")
        assert again.token == entry.token
        tokens.append(entry.token)
        versions += [entry.version, again.version]
        await client.delete(key, expect=again.version)
    assert tokens == sorted(set(tokens))
    assert len(set(versions)) == len(versions)


@staged
async def test_twenty_concurrent_increments_from_four_clients_lose_nothing(stage: Stage) -> None:
    clients = [await stage.client() for _ in range(4)]
    key = f"{stage.root}/n"
    await clients[0].put(key, b"0", expect=ABSENT)

    async def increment(client: Coordinator) -> None:
        for _ in range(5):
            while True:
                entry = await client.get(key)
                assert entry is not None
                try:
                    await client.put(key, str(int(entry.value) + 1).encode(), expect=entry.version)
                    break
                except ConflictError:
                    continue

    await asyncio.gather(*map(increment, clients))
    entry = await clients[0].get(key)
    assert entry is not None
    assert entry.value == b"20"


@staged
async def test_a_list_holds_what_is_below_a_path_and_nothing_beside_it(stage: Stage) -> None:
    client = await stage.client()
    root = f"{stage.root}/list"
    for key in ("/a", "/a/b", "/a/b/c", "/a.b", "/ab", "/b"):
        await client.put(root + key, key.encode())
    entries = (await client.list(f"{root}/a")).entries
    assert {key: entry.value for key, entry in entries.items() if entry.value} == {
        f"{root}/a": b"/a",
        f"{root}/a/b": b"/a/b",
        f"{root}/a/b/c": b"/a/b/c",
    }
    assert (await client.list(f"{root}/nothing")).entries == {}


@staged
async def test_a_value_may_have_64_kib_and_not_one_byte_more(stage: Stage) -> None:
    client = await stage.client()
    key = f"{stage.root}/large"
    large = bytes(range(256)) * (VALUE_MAX_BYTES // 256)
    await client.put(key, large)
    entry = await client.get(key)
    assert entry is not None
    assert entry.value == large
    with pytest.raises(ValueError, match="at most 65536"):
        await client.put(key, large + b"x")
    with pytest.raises(ValueError, match="at most 65536"):
        await client.transact([], [Write(key, large + b"x")])


@pytest.mark.parametrize(
    "key", ["", "k", "/", "/k/", "//k", "/K", "/k k", "/k/../l", "/./k", "/ü", "/" + "k" * 512]
)
def test_what_is_no_key_is_refused(driver: str, key: str, request: pytest.FixtureRequest) -> None:
    @staged
    async def story(stage: Stage) -> None:
        client = await stage.client()
        with pytest.raises(ValueError, match="key"):
            await client.put(key, b"")
        with pytest.raises(ValueError, match="key"):
            await client.get(key)

    story(driver, request.getfixturevalue("tmp_path"))


# --- transactions ---------------------------------------------------------------------------------------


@staged
async def test_a_transaction_does_all_or_nothing(stage: Stage) -> None:
    client = await stage.client()
    a, b, c = (f"{stage.root}/{name}" for name in "abc")
    held = await client.put(a, b"1")
    await client.transact(
        [Guard(a, held.version), Guard(b, ABSENT), Guard(c, Condition.ANY)],
        [Write(a, b"2"), Write(b, b"2"), Write(c, None)],
    )
    assert {k: e.value for k, e in (await client.list(stage.root)).entries.items() if e.value} == {
        a: b"2",
        b: b"2",
    }
    with pytest.raises(ConflictError):
        await client.transact(
            [Guard(b, Condition.ANY), Guard(a, held.version)],
            [Write(a, b"3"), Write(b, None), Write(c, b"3")],
        )
    assert {k: e.value for k, e in (await client.list(stage.root)).entries.items() if e.value} == {
        a: b"2",
        b: b"2",
    }


@staged
async def test_a_transaction_that_binds_to_a_lost_session_does_nothing(stage: Stage) -> None:
    client = await stage.client()
    session = await client.open_session(stage.ttl)
    await session.close()
    with pytest.raises(SessionLostError):
        await client.transact([], [Write(f"{stage.root}/a", b""), Write(f"{stage.root}/b", b"", session.id)])
    assert await is_gone(client, f"{stage.root}/a")
    assert await is_gone(client, f"{stage.root}/b")


@staged
async def test_a_transaction_writes_a_key_once(stage: Stage) -> None:
    client = await stage.client()
    with pytest.raises(ValueError, match="once"):
        await client.transact([], [Write(f"{stage.root}/a", b"1"), Write(f"{stage.root}/a", b"2")])


# --- watches --------------------------------------------------------------------------------------------


@staged
async def test_a_watch_tells_what_is_there_and_then_ten_changes_in_order(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    root = f"{stage.root}/w"
    await one.put(f"{root}/before", b"0")
    watcher = Watcher(two.watch(root))
    await watcher.count(Snapshot, 1)
    assert f"{root}/before" in watcher.of(Snapshot)[0].entries
    expected = []
    for number in range(9):
        await one.put(f"{root}/k", b"%d" % number)
        await one.put(f"{stage.root}/beside", b"%d" % number)
        expected.append(("put", f"{root}/k", b"%d" % number))
        # An engine may tell of a key's latest value only, so each is waited for.
        await until(lambda count=number + 1: _has_changes(watcher, count))  # type: ignore[misc]  # mypy: lambda's default
    await one.delete(f"{root}/k")
    expected.append(("delete", f"{root}/k", b"8"))
    await until(lambda: _has_changes(watcher, 10))
    await watcher.close()
    assert watcher.changes == expected


async def _has_changes(watcher: Watcher, count: int) -> bool:
    return len(watcher.changes) >= count


@staged
async def test_a_watch_is_never_silent(stage: Stage) -> None:
    client = await stage.client()
    watcher = Watcher(client.watch(f"{stage.root}/w", beat=200 * MILLISECOND))
    await watcher.count(Beat, 5)
    await watcher.close()
    assert longest_silence(watcher) < 5 * SECOND


@staged
async def test_a_watch_that_fell_behind_what_is_remembered_begins_anew(stage: Stage) -> None:
    if stage.forget_history is None:
        pytest.skip("this engine's watches need no history")
    one, two = await stage.client(), await stage.client()
    root = f"{stage.root}/w"
    sightings = two.watch(root)
    assert isinstance(await anext(sightings), Snapshot)
    for number in range(3):  # while nobody reads the watch
        await one.put(f"{root}/k", b"%d" % number)
    await stage.forget_history()
    sighting = await anext(sightings)
    while not isinstance(sighting, Snapshot):
        sighting = await anext(sightings)
    assert sighting.entries[f"{root}/k"].value == b"2"
    await one.put(f"{root}/k", b"after")
    sighting = await anext(sightings)
    while isinstance(sighting, Beat):
        sighting = await anext(sightings)
    assert "after" in repr(sighting)
    await sightings.aclose()  # type: ignore[attr-defined]  # all are generators


@staged
async def test_a_watch_tells_that_a_session_took_its_keys_along(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    session = await one.open_session(stage.ttl)
    await one.put(f"{stage.root}/w/k", b"here", session=session)
    watcher = Watcher(two.watch(f"{stage.root}/w"))
    await watcher.count(Snapshot, 1)
    await session.close()
    await until(lambda: _has_changes(watcher, 1))
    await watcher.close()
    assert watcher.changes == [("delete", f"{stage.root}/w/k", b"here")]


# --- sessions -------------------------------------------------------------------------------------------


@staged
async def test_a_session_that_is_renewed_keeps_its_keys(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    opened_at = now()
    session = await one.open_session(stage.ttl)
    assert opened_at < session.deadline <= now() + session.ttl
    entry = await one.put(f"{stage.root}/k", b"", session=session)
    assert entry.session == session.id
    keeping = asyncio.create_task(renewing(session, session.ttl // 6))
    first = session.deadline
    await until(lambda: _is_past(opened_at + 2 * session.ttl))
    assert await two.get(f"{stage.root}/k") == entry
    assert session.deadline > first
    keeping.cancel()
    await session.close()


async def _is_past(instant: int) -> bool:
    return now() >= instant


@staged
async def test_the_deadline_counts_from_when_the_renewal_was_sent(stage: Stage) -> None:
    client = await stage.client()
    session = await client.open_session(stage.ttl)
    margin = (await client.abilities()).margin
    for _ in range(3):
        sent_at = now()
        await session.renew()
        answered_at = now()
        budget = session.ttl * (1 - margin)
        assert sent_at + budget - MILLISECOND <= session.deadline <= answered_at + budget
    await session.close()


@staged
async def test_a_closed_session_frees_its_keys_at_once(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    session = await one.open_session(10 * SECOND)
    await one.put(f"{stage.root}/k", b"", session=session)
    await one.put(f"{stage.root}/stays", b"")
    closed_at = now()
    await session.close()
    assert session.deadline == 0
    gone_at = await until(lambda: is_gone(two, f"{stage.root}/k"))
    assert gone_at - closed_at < 5 * SECOND
    assert not await is_gone(two, f"{stage.root}/stays")
    with pytest.raises(SessionLostError):
        await session.renew()
    await session.close()


@staged
async def test_an_owner_that_stops_renewing_loses_its_keys_after_its_deadline(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    session = await one.open_session(stage.ttl)
    await one.put(f"{stage.root}/k", b"", session=session)
    deadline = session.deadline
    gone_at = await until(lambda: is_gone(two, f"{stage.root}/k"))
    assert deadline < gone_at < deadline + session.ttl + stage.expiry_bound
    await until(lambda: is_refused(session))
    assert session.deadline == 0
    await session.close()


@staged
async def test_writes_for_an_expired_session_are_refused(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    session = await one.open_session(stage.ttl)
    await one.put(f"{stage.root}/k", b"", session=session)
    await until(lambda: is_gone(two, f"{stage.root}/k"))
    with pytest.raises(SessionLostError):
        await one.put(f"{stage.root}/k", b"late", session=session)
    assert await is_gone(two, f"{stage.root}/k")
    await session.close()


@staged
async def test_a_client_that_lets_go_of_the_engine_loses_its_sessions(stage: Stage) -> None:
    one, two = await stage.client(), await stage.client()
    session = await one.open_session(stage.ttl)
    await one.put(f"{stage.root}/k", b"", session=session)
    left_at = now()
    await one.close()
    gone_at = await until(lambda: is_gone(two, f"{stage.root}/k"))
    assert gone_at - left_at < session.ttl + stage.expiry_bound


# --- processes ------------------------------------------------------------------------------------------


@staged
async def test_a_killed_process_loses_its_keys_and_the_next_one_leads(stage: Stage) -> None:
    if stage.url is None:
        pytest.skip("this engine lives in one process")
    async with candidate(stage, "one") as leader:
        await leader.said("waiting")
        first = await leader.said("elected")
        async with candidate(stage, "two") as follower:
            await follower.said("waiting")
            killed_at = leader.signal(signal.SIGKILL)
            second = await follower.said("elected")
    assert second["token"] > first["token"]
    assert second["at"] - killed_at < first["ttl"] + stage.expiry_bound


@staged
async def test_a_stopped_process_has_passed_its_deadline_before_another_leads(stage: Stage) -> None:
    if stage.url is None:
        pytest.skip("this engine lives in one process")
    async with candidate(stage, "one") as leader:
        await leader.said("waiting")
        first = await leader.said("elected")
        async with candidate(stage, "two") as follower:
            await follower.said("waiting")
            await until(lambda: _is_past(first["at"] + first["ttl"]))
            leader.signal(signal.SIGSTOP)
            second = await follower.said("elected")
            leader.signal(signal.SIGCONT)
            over = await leader.said("over")
    assert over["until"] <= second["at"]
    assert second["token"] > first["token"]


# --- when the engine does not answer --------------------------------------------------------------------


@staged
async def test_every_call_ends_by_its_time_limit(stage: Stage) -> None:
    if stage.silence is None:
        pytest.skip("this engine cannot be silenced")
    client = await stage.client()
    session = await client.open_session(stage.call_limit * 10)
    entry = await client.put(f"{stage.root}/k", b"before")
    async with stage.silence(), asyncio.timeout(stage.call_limit / SECOND):
        results = await asyncio.gather(
            client.put(f"{stage.root}/k", b"during", expect=entry.version),
            client.transact([], [Write(f"{stage.root}/l", b"")]),
            client.delete(f"{stage.root}/k", expect=7),
            client.open_session(stage.ttl),
            session.renew(),
            return_exceptions=True,
        )
        assert all(isinstance(result, UnavailableError | UnknownError) for result in results), results
        await session.close()
    assert session.deadline == 0
    with pytest.raises(SessionLostError):
        await session.renew()
    await until(lambda: _answers(client))
    after = await client.get(f"{stage.root}/k")
    assert after is not None
    assert after == entry or isinstance(results[0], UnknownError)


async def _answers(client: Coordinator) -> bool:
    try:
        await client.abilities()
    except CoordinationError:
        return False
    return True


@staged
async def test_a_closed_client_says_that_it_is(stage: Stage) -> None:
    client = await stage.client()
    await client.put(f"{stage.root}/k", b"")
    await client.close()
    with pytest.raises(UnavailableError):
        await client.get(f"{stage.root}/k")
    with pytest.raises(UnavailableError):
        await client.put(f"{stage.root}/k", b"")
    await client.close()
