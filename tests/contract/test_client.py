"""The client of user programs, on the embedded store: what it holds, how it loses it, and that its page is true."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast.client import (
    AddressError,
    Condition,
    Held,
    LostError,
    WaitedTooLongError,
    connect,
    connect_blocking,
)
from holdfast.coordination import clock

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
WITHIN_S = 30.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"embedded://{tmp_path}/store"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.split("client.")[-1][:12])
def test_every_example_of_the_page_runs(example: str, url: str) -> None:
    assert "embedded:///var/lib/shop" in example
    program = example.replace("embedded:///var/lib/shop", url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("consul://here", "must begin with one of embedded://, zookeeper://, etcd://, etcds://"),
        ("shop", "must begin with one of"),
        ("embedded://var/lib/shop", "three slashes: embedded:///var/lib"),
        ("embedded:///", "three slashes: embedded:///var/lib"),
    ],
)
def test_a_url_that_names_nothing_is_answered_with_what_to_write(wrong: str, says: str) -> None:
    async def story() -> None:
        with pytest.raises(AddressError, match=says):
            async with connect(wrong):
                pass

    asyncio.run(story())


def test_a_driver_whose_library_is_missing_names_what_to_install() -> None:
    program = (
        "import asyncio, sys\n"
        "sys.modules['kazoo'] = sys.modules['aiohttp'] = None\n"
        "from holdfast.client import AddressError\nfrom holdfast.coordination.address import connect\n"
        "for url in ('zookeeper://h1', 'etcd://h1'):\n"
        "    try:\n"
        "        connect(url)\n"
        "    except AddressError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pip install 'holdfast[zookeeper]'" in done.stdout
    assert "pip install 'holdfast[etcd]'" in done.stdout


def test_what_is_held_has_a_token_and_a_deadline_and_is_over_after_its_block(url: str) -> None:
    async def story() -> None:
        async with connect(url, name="me") as client:
            async with client.lock("report", ttl=5) as held:
                assert held.token == 1
                assert held.is_held
                assert 0 < held.remaining <= 5
                assert clock.now() < held.deadline
                held.check()
                assert not held.lost.is_set()
                holder = await client.holder("report")
                assert holder is not None
                assert (holder.by, holder.token) == ("me", 1)
            assert (held.deadline, held.remaining, held.is_held) == (0, 0, False)
            with pytest.raises(LostError):
                held.check()
            async with client.lock("report", wait=0) as held:
                assert held.token == 2

    asyncio.run(story())


def test_who_waits_too_long_is_told_and_leaves_nothing_behind(url: str) -> None:
    async def story() -> None:
        async with connect(url) as client, connect(url) as other:
            async with client.lock("report"):
                for wait in (0, 0.1):
                    with pytest.raises(WaitedTooLongError):
                        async with other.lock("report", wait=wait):
                            pass
            assert [
                key for key, e in (await client.coordinator.list("/client")).entries.items() if e.session
            ] == []

    asyncio.run(story())


def test_a_loop_that_is_stuck_loses_its_lock_and_knows_it(url: str) -> None:
    async def story() -> None:
        async with connect(url) as client, client.lock("report", ttl=0.4) as held:
            other = threading.Thread(target=take_over, args=(url, tokens))
            other.start()
            time.sleep(1.0)  # noqa: ASYNC251 - the fault under test
            assert not held.is_held  # before the loop has run again: the clock alone tells
            await asyncio.wait_for(held.lost.wait(), WITHIN_S)
            assert held.why
            await asyncio.to_thread(other.join)

    tokens: list[int] = []
    asyncio.run(story())
    assert tokens == [2]


def take_over(url: str, tokens: list[int]) -> None:
    with connect_blocking(url) as client, client.lock("report", wait=WITHIN_S) as held:
        tokens.append(held.token)


def test_work_is_cancelled_when_the_lock_is_taken_away(url: str) -> None:
    was_cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(WITHIN_S)
        finally:
            was_cancelled.set()

    async def story() -> None:
        async with connect(url) as client, client.lock("report") as held:
            running = asyncio.ensure_future(held.run(work()))
            await client.coordinator.delete("/client/locks/report/seats/0")
            with pytest.raises(LostError, match="nobody holds it"):
                await running
            assert was_cancelled.is_set()

    asyncio.run(story())


def test_a_leader_that_loses_its_office_begins_anew_with_a_larger_token(url: str) -> None:
    async def story() -> None:
        async with connect(url) as client:
            tokens: list[int] = []

            async def work(leading: Held) -> str:
                tokens.append(leading.token)
                if len(tokens) < 3:
                    await client.coordinator.delete("/client/elections/boss/seats/0")
                    await asyncio.sleep(WITHIN_S)
                return "done"

            assert await client.election("boss").lead(work) == "done"
            assert tokens == [1, 2, 3]
            assert await client.election("boss").leader() is None

    asyncio.run(story())


def test_an_error_of_the_work_ends_leading_and_frees_the_office(url: str) -> None:
    async def story() -> None:
        async with connect(url) as client:

            async def work(leading: Held) -> None:
                raise RuntimeError("the work's own")

            with pytest.raises(RuntimeError, match="own"):
                await client.election("boss").lead(work)
            assert await client.election("boss").leader() is None

    asyncio.run(story())


def test_a_fork_does_not_keep_its_parents_lock_alive(url: str) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from holdfast.client import connect_blocking\n"
        "with connect_blocking(sys.argv[1]) as client, client.lock('report', ttl=60):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(10)\n"
        "        os._exit(0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, url], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with connect_blocking(url) as client, client.lock("report", wait=5) as held:
        assert held.token == 2


def test_the_blocking_client_does_the_same(url: str) -> None:
    with connect_blocking(url, name="me") as client:
        with client.lock("report") as held:
            assert (held.token, held.is_held, held.lost.is_set()) == (1, True, False)
            with pytest.raises(WaitedTooLongError), client.lock("report", wait=0):
                pass
        assert not held.is_held
        with client.semaphore("places", 2) as one, client.semaphore("places", 2) as two:
            assert {one.token, two.token} == {1, 2}
        with client.lead("boss"):
            leader = client.leader("boss")
            assert leader is not None
            assert leader.by == "me"
        with client.join("group", {"a": "b"}, name="h1") as member:
            assert client.members("group") == {"h1": {"a": "b"}}
            member.say({"a": "c"})
            assert client.members("group") == {"h1": {"a": "c"}}
            assert member.deadline > clock.now()
        assert client.members("group") == {}
        value = client.value("v")
        first = value.set(b"1", expect=Condition.ABSENT)
        assert value.get() == first
        assert value.change(lambda old: (old or b"") + b"!").value == b"1!"


def test_the_blocking_client_tells_of_a_loss(url: str) -> None:
    with connect_blocking(url) as client, connect_blocking(url) as other, client.lock("report") as held:
        other._do(other._client.coordinator.delete("/client/locks/report/seats/0"))
        assert held.lost.wait(WITHIN_S)
        with pytest.raises(LostError):
            held.check()
