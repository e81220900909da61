"""Agents of Debian's resource-agents, as they are: those that this host can run are run, all of them are understood."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.config import resource_agents
from holdfast.model.events import Ending
from holdfast.model.policy import Mode
from holdfast.model.value import replace
from holdfast.ocf import scoring
from tests.contract.components.stage import run, runs, until
from tests.contract.ocf.stage import OcfStage, agent, ocf_staged

pytestmark = pytest.mark.e2e

POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OcfStage]:
    with ocf_staged(tmp_path) as stage:
        yield stage


def test_what_agents_of_heartbeat_say_is_understood() -> None:
    names = [name for name in resource_agents.installed() if name.startswith("heartbeat:")]
    assert len(names) > 100
    looked_for = {f"heartbeat:{name}" for name in ("IPaddr2", "Stateful", "nginx", "pgsql", "redis")}
    told = {name: resource_agents.metadata_of(name) for name in (*names[::8], *looked_for)}
    assert all(one.name and one.actions for one in told.values())
    assert {"heartbeat:Stateful", "heartbeat:pgsql", "heartbeat:redis"} <= {
        n for n, one in told.items() if one.is_promotable
    }
    assert told["heartbeat:IPaddr2"].parameters["ip"].is_required
    assert told["heartbeat:redis"].is_notified
    assert "config" in told["heartbeat:redis"].parameters
    assert "configfile" in told["heartbeat:nginx"].parameters
    assert "rep_mode" in told["heartbeat:pgsql"].parameters
    # Agents write their times in three ways; none is lost.
    assert all(one.timeout("start") for one in told.values() if one.timeout("stop"))


def test_dummy_starts_is_found_by_the_next_agent_and_stops(stage: OcfStage) -> None:
    (component,) = stage.add("nothing", Mode.SINGLETON, {"a": agent("heartbeat:Dummy")})

    async def story() -> None:
        async with stage.agent() as hold:
            assert await hold.agents.survey() == ()
            await hold.start(component, epoch=3, is_primary=True)
        async with stage.agent() as following:
            (seen,) = await following.agents.survey()
            assert (seen.component, seen.epoch, seen.is_primary) == (component, 3, True)
            assert (await following.stop(component)).ending is Ending.DONE
            assert await following.agents.survey() == ()

    run(story())


def test_stateful_is_promoted_and_demoted_and_its_scores_are_known(stage: OcfStage) -> None:
    agents = {name: replace(agent("heartbeat:Stateful"), is_promotable=True) for name in ("a", "b")}
    first, second = stage.add("db", Mode.ACTIVE_STANDBY, agents)

    async def story() -> None:
        async with stage.agent() as hold:
            await hold.start(first)
            await hold.start(second)
            assert (hold.agents.score_of(first), hold.agents.score_of(second)) == (5, 5)
            assert (await hold.promote(first, 2)).ending is Ending.DONE
            assert hold.agents.score_of(first) == 10
        async with stage.agent() as following:
            roles = {seen.component: seen.is_primary for seen in await following.agents.survey()}
            assert roles == {first: True, second: False}
            assert (await following.demote(first)).ending is Ending.DONE
            assert (await following.promote(second, 3)).ending is Ending.DONE
            # Asked to stop as primary it would refuse: it is demoted first.
            for component in (first, second):
                assert (await following.stop(component, at_once=True)).ending is Ending.DONE
                assert following.agents.score_of(component) is None

    run(story())


@pytest.mark.parametrize("use_cgroups", [True, False])
def test_anything_runs_a_program_whose_death_is_noticed(tmp_path: Path, use_cgroups: bool) -> None:
    with ocf_staged(tmp_path, use_cgroups=use_cgroups) as stage:
        # It runs the program through `su -`, which takes the mark away: without a control group the monitor has to notice.
        pidfile = tmp_path / "sleep.pid"
        told = agent("heartbeat:anything", binfile="/bin/sleep", cmdline_options="1000", pidfile=str(pidfile))
        (component,) = stage.add("thing", Mode.SINGLETON, {"a": replace(told, monitor_every=10**9)})

        async def story() -> None:
            async with stage.agent() as hold:
                await hold.start(component)
                pid = int(pidfile.read_text())
                assert runs(pid)
                os.kill(pid, signal.SIGKILL)
                await until(lambda: bool(hold.ears.exits))
                assert (await hold.stop(component)).ending is Ending.DONE
                await hold.start(component)
                pid = int(pidfile.read_text())
                assert (await hold.stop(component)).ending is Ending.DONE
                assert not runs(pid)

        run(story())


@pytest.mark.skipif(not POSTGRESQL, reason="PostgreSQL is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="the agent becomes the user postgres")
def test_pgsql_starts_a_server_whose_death_is_noticed_and_mended(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"holdfast-ocf-pgsql-{os.getpid()}"  # where the user postgres may go
    folder.mkdir(mode=0o755)
    data, binaries = folder / "data", POSTGRESQL[-1].parent
    try:
        data.mkdir()
        for path in (folder, data):
            shutil.chown(path, "postgres")
        initdb = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-N"]
        subprocess.run(["runuser", "-u", "postgres", "--", *initdb], check=True, capture_output=True)
        with ocf_staged(tmp_path) as stage:
            told = agent(
                "heartbeat:pgsql",
                pgctl=str(binaries / "pg_ctl"),
                psql=str(binaries / "psql"),
                pgdata=str(data),
                pgport="17432",
                pghost="127.0.0.1",
                socketdir=str(folder),
                logfile=str(data / "log"),
                start_opt="-c listen_addresses=127.0.0.1 -c shared_buffers=16MB",
            )
            (component,) = stage.add("db", Mode.SINGLETON, {"a": told})
            run(_keep_up(stage, component, data))
    finally:
        shutil.rmtree(folder)


async def _keep_up(stage: OcfStage, component: str, data: Path) -> None:
    async with stage.agent() as hold:
        await hold.start(component)
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        await until(lambda: bool(hold.ears.exits))
        assert hold.ears.exits[0][2].detail.startswith("monitor: ")
        await hold.start(component)
        assert int((data / "postmaster.pid").read_text().splitlines()[0]) != pid
        assert (await hold.stop(component)).ending is Ending.DONE
        assert not (data / "postmaster.pid").exists()


def test_which_agents_give_scores_is_known() -> None:
    assert {name for name in ("pgsql", "redis", "Stateful", "IPaddr2", "sg_persist") if _scores(name)} == {
        "pgsql",
        "redis",
        "Stateful",
    }


def _scores(name: str) -> bool:
    return scoring.is_scoring(f"heartbeat:{name}")
