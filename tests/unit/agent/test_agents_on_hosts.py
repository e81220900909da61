"""What resource agents tell each other across hosts: attributes and notices through one coordinator, which may be away."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.cluster.attribute_sharing import AttributeSharing
from holdfast.agent.cluster.notices import Notices
from holdfast.coordination.memory import MemoryEngine
from holdfast.model.ids import HostName, ServiceName
from holdfast.ocf.attributes import Attributes
from holdfast.ocf.sharing import Replica
from holdfast.ocf.variables import Notice
from holdfast.ports.coordination import Entry

ROOT = "/shop"
PRE = Notice("pre", "promote", "h1", (), ("h1", "h2"))
POST = Notice("post", "promote", "h1", (), ("h1", "h2"))


class Host:
    """One host, as far as its agents are concerned."""

    def __init__(self, engine: MemoryEngine, folder: Path, name: HostName, life: str = "1") -> None:
        self.coordinator = engine.coordinator()
        self.attributes = Attributes(folder / name)
        self.attributes.begin("boot")
        self.replica = Replica(self.attributes, name, "boot")
        self.told: list[str] = []
        self.sharing = AttributeSharing(self.coordinator, ROOT, lambda: self.replica, self.told.append)
        self.heard: list[tuple[ServiceName, Notice]] = []
        self.is_deaf = False
        self.notices = Notices(self.coordinator, ROOT, name, life, self._hear)
        self.is_first = True

    def write(self, host: HostName, name: str, value: str) -> None:
        before = self.attributes.read(host, name)
        self.attributes.swap(host, "reboot", name, before, value)

    async def look(self) -> None:
        """See all that stands there, as a watch begins."""
        entries = (await self.coordinator.list(f"{ROOT}/agents")).entries
        self.sharing.see_all(entries)
        for entry in entries.values():
            self.notices.see(entry, is_old=self.is_first)
        self.is_first = False

    async def _hear(self, service: ServiceName, notice: Notice) -> None:
        self.heard.append((service, notice))
        if self.is_deaf:
            await asyncio.Event().wait()


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(lambda: 0)


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story

    asyncio.run(bounded())


async def settled(*hosts: Host) -> None:
    """Let everybody see everything, and act on it."""
    for _ in range(3):
        for host in hosts:
            await host.look()
        for _ in range(10):
            await asyncio.sleep(0)


# --- attributes -----------------------------------------------------------------------------------------


def test_two_hosts_that_write_about_one_host_at_once_lose_nothing(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    first, second = (Host(engine, tmp_path, name) for name in ("h1", "h2"))

    async def story() -> None:
        first.write("h2", "master-db", "100")
        second.write("h2", "db-status", "HS:async")
        assert await first.sharing.carry()
        assert await second.sharing.carry(), "it did not know of the other write"
        await settled(first, second)
        both = {"master-db": "100", "db-status": "HS:async"}
        assert first.attributes.of("h2") == second.attributes.of("h2") == both

    run(story())


def test_what_is_written_while_the_coordinator_is_away_arrives_later(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    first, second = (Host(engine, tmp_path, name) for name in ("h1", "h2"))

    async def story() -> None:
        first.coordinator.is_cut = True
        first.write("h2", "master-db", "100")
        assert not await first.sharing.carry()
        assert first.attributes.score_of("h2", "db") == 100, "agents here go on with it"
        first.coordinator.is_cut = False
        assert await first.sharing.carry()
        await settled(second)
        assert second.attributes.score_of("h2", "db") == 100

    run(story())


def test_what_ends_with_a_host_is_hidden_while_that_is_absent(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second = (Host(engine, tmp_path, name) for name in ("h1", "h2"))

    async def story() -> None:
        second.write("h2", "db-xlog-loc", "0000000003000060")
        second.attributes.swap("h2", "forever", "db-data-status", None, "LATEST")
        await second.sharing.carry()
        await settled(first)
        first.sharing.hide(frozenset({"h2"}))
        assert first.attributes.of("h2") == {}
        assert first.attributes.of("h2", lifetime="forever") == {"db-data-status": "LATEST"}
        assert await first.sharing.carry()
        first.sharing.hide(frozenset())
        assert first.attributes.of("h2") == {"db-xlog-loc": "0000000003000060"}

    run(story())


def test_nobody_chooses_our_files_by_what_he_writes_into_the_coordinator(
    engine: MemoryEngine, tmp_path: Path
) -> None:
    host = Host(engine, tmp_path, "h1")

    async def story() -> None:
        names = (
            '{"../../h1/reboot/master-db": "1", ".hidden": "1", "a.1": "1", "lines": "a\\nb", "good": "1"}'
        )
        value = f'{{"reboot": {names}}}'.encode()
        await host.coordinator.put(f"{ROOT}/agents/attributes/h2", value)
        host.sharing.see(
            Entry(f"{ROOT}/agents/attributes/..", value, 1, 1)
        )  # no client of ours would write that
        await host.coordinator.put(f"{ROOT}/agents/attributes/h3", b"nonsense")
        await settled(host)
        assert host.attributes.of("h2") == {"good": "1"}
        assert host.attributes.hosts() == ("h2",)
        assert len(host.told) == 1
        host.write("No Host", "master-db", "1")
        assert await host.sharing.carry(), "what an agent makes up stays where it is"

    run(story())
    assert [path.name for path in tmp_path.iterdir()] == ["h1"]


# --- notices --------------------------------------------------------------------------------------------


def test_a_change_waits_until_its_peers_have_heard_of_it(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second, third = (Host(engine, tmp_path, name) for name in ("h1", "h2", "h3"))
    third.is_deaf = True

    async def story() -> None:
        await settled(first, second, third)
        to = frozenset({"h2", "h3"})
        telling = asyncio.create_task(first.notices.tell("db", PRE, to, awaited=frozenset({"h2"})))
        await settled(first, second, third)
        assert second.heard == third.heard == [("db", PRE)]
        await telling
        waiting = asyncio.create_task(first.notices.tell("db", PRE, to, awaited=to))
        await settled(first, second, third)
        assert not waiting.done(), "one has not dealt with it"
        waiting.cancel()
        await first.notices.tell("db", POST, to, awaited=to)
        await settled(first, second, third)
        assert second.heard[-1] == ("db", POST)
        for host in (first, second, third):
            await host.notices.close()

    run(story())


def test_a_notice_is_told_once_and_not_to_who_came_later(engine: MemoryEngine, tmp_path: Path) -> None:
    first, second = (Host(engine, tmp_path, name) for name in ("h1", "h2"))

    async def story() -> None:
        await settled(second)
        await first.notices.tell("db", POST, frozenset({"h2"}), awaited=frozenset())
        await settled(second, second)
        assert second.heard == [("db", POST)]
        later = Host(engine, tmp_path, "h2", life="2")
        await settled(later)
        assert later.heard == []
        again = Host(engine, tmp_path, "h1", life="2")  # its numbers begin anew
        await settled(later)
        await again.notices.tell("db", POST, frozenset({"h2"}), awaited=frozenset())
        await settled(later)
        assert later.heard == [("db", POST)]

    run(story())


def test_without_the_coordinator_nobody_waits_for_peers(engine: MemoryEngine, tmp_path: Path) -> None:
    host = Host(engine, tmp_path, "h1")
    host.coordinator.is_cut = True
    run(host.notices.tell("db", PRE, frozenset({"h2"}), awaited=frozenset({"h2"})))
