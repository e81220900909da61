"""Data is made ready on what is really there: a command of the operator's, a server that somebody else started, another system."""

import asyncio

import pytest

from holdfast.agent.cluster.postgresql import ClusterBooks
from holdfast.components.local import LocalProcesses
from holdfast.config import load_text
from holdfast.coordination.memory import MemoryEngine
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport
from holdfast.model.ids import ComponentId
from holdfast.model.policy import ProcessSpec
from holdfast.model.postgresql import PostgresServer
from holdfast.model.value import replace
from holdfast.postgresql import postmaster, running
from holdfast.postgresql.adapter import Postgres
from holdfast.postgresql.bootstrap import NotDone
from holdfast.postgresql.control import State, read_control
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.readying import Readying
from holdfast.postgresql.running import NotStarted
from holdfast.postgresql.settings import Settings
from holdfast.postgresql.spawning import spawn
from tests.contract.postgresql.stage import GENEROUS, PARAMETERS, Stage, play, query, settings, standing

FILE = """
system: shop
cluster: { coordinator: "etcd://127.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 127.0.0.1 }, h2: { address: 127.0.0.2 } }
services:
  db:
    mode: active-standby
    port: 5432
    members: { a: { on: h1 }, b: { on: h2 } }
    run: { postgresql: { data: /srv/pg, programs: /usr/lib/postgresql/15/bin } }
"""


def books() -> ClusterBooks:
    """Return what the host of a knows of a service that has no data yet."""
    state = ClusterState("h1", "l1", load_text(FILE), 0, view=ClusterView(), report=HostReport("l1"))
    coordinator = MemoryEngine(lambda: 0).coordinator()
    book = ClusterBook(coordinator, "/shop", "h1", "l1", secret=b"s")
    return ClusterBooks(coordinator, book, b"s", lambda: state, dict)


def server_of(instance: Instance, *bootstrap: str) -> PostgresServer:
    return PostgresServer(
        instance.data,
        instance.programs,
        instance.user,
        parameters=PARAMETERS,
        bootstrap=bootstrap,
        host="127.0.0.1",
        port=instance.port,
    )


async def ready(server: PostgresServer, known: ClusterBooks) -> tuple[Settings, list[str]]:
    """Return as what the member a is started, and what was told meanwhile."""
    told: list[str] = []

    def tell(_: ComponentId, what: str) -> None:
        told.append(what)

    work = Readying("db/a", server, known, tell)
    async with asyncio.timeout(60):
        return await work.task, told


def test_the_operators_command_makes_the_first_data() -> None:
    async def story(stage: Stage) -> None:
        backup = stage.bootstrapped("backup")
        a, known = stage.instance("a"), books()
        server = server_of(a, "sh", "-c", f'cp -a {backup.data}/. "$HOLDFAST_DATA"')
        wanted, told = await ready(server, known)
        assert told == ["its first data is made by sh"]
        assert await known.system("db") == (await read_control(backup)).system
        said = await running.start(a, wanted, spawn)
        assert not said.is_primary

    play(story)


def test_a_command_that_fails_leaves_no_data_that_could_be_started() -> None:
    async def story(stage: Stage) -> None:
        a, known = stage.instance("a"), books()
        with pytest.raises(NotDone, match="no backup is there"):
            await ready(server_of(a, "sh", "-c", 'echo "error: no backup is there"; exit 1'), known)
        assert not await known.system("db")
        with pytest.raises(NotStarted, match="its data is not whole"):
            await running.prepare(a, settings())

    play(story)


def test_a_server_that_somebody_started_is_shut_down_in_good_order_and_taken_over() -> None:
    async def story(stage: Stage) -> None:
        a, known = await stage.primary("a"), books()
        await query(a, "create table theirs (x int)")
        wanted, told = await ready(server_of(a), known)
        assert "somebody else started there" in told[0]
        assert (await read_control(a)).state is State.SHUT_DOWN
        await running.start(a, wanted, spawn)
        assert await query(a, "select count(*) from theirs") == [("0",)]

    play(story)


def test_a_server_of_another_system_is_refused_and_goes_on() -> None:
    async def story(stage: Stage) -> None:
        a, known = await stage.primary("a"), books()
        await known.claim_system("db", "7000000000000000001")
        with pytest.raises(NotStarted, match="and the service's of 7000000000000000001: move it away"):
            await ready(server_of(a), known)
        assert postmaster.look(a).postmaster is not None
        assert (await standing(a)).is_primary

    play(story)


def test_what_was_ready_before_a_start_came_is_looked_at_anew() -> None:
    async def story(stage: Stage) -> None:
        a, known = await stage.primary("a"), books()
        await running.stop(a, GENEROUS)
        server = server_of(a)
        processes = LocalProcesses(stage.folder / "agent")
        adapter = Postgres(processes, known, lambda *_: None)
        try:
            work = await adapter._work("db/a", server)
            await work.task  # ready, and the start that waited for it has been given up
            other = stage.instance("other")
            await ready(replace(server_of(other), initdb=("--wal-segsize=1", "--no-sync")), books())
            a.folder.rename(stage.folder / "aside")
            other.folder.rename(a.folder)  # of another system
            spec = ProcessSpec(command=(), managed=server)
            result = await adapter.start("db/a", spec, 0, is_primary=False)
            assert "move it away" in result.error
        finally:
            await adapter.close()
            await processes.close()

    play(story)
