"""Operating a database on three hosts: taking over one that is there, changing parameters, recovering to a point in time."""

import pwd
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.contract.postgresql.stage import owner
from tests.lab.databases import PARAMETERS, PORT, RECOVERS_S, Database
from tests.lab.several_hosts import ask

LEASE = "10s"  # no host is lost here


def as_owner(database: Database, host: str, *words: str) -> None:
    """Run one of PostgreSQL's programs on a host as a user would who knows nothing of holdfast."""
    name = owner()
    account = {} if name is None else {"user": name, "group": pwd.getpwnam(name).pw_gid}
    command = [*database.cluster.site.network[host].prefix]
    if name is not None:
        command += ["setpriv", f"--reuid={name}", f"--regid={account['group']}", "--clear-groups"]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, cwd="/", timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def users_database(database: Database, host: str, *, is_left_running: bool) -> None:
    """Make a database as users have it, with a table of theirs and a setting."""
    data, tool = str(database.data(host)), f"{database.programs}/pg_ctl"
    as_owner(
        database,
        host,
        f"{database.programs}/initdb",
        "-D",
        data,
        "-A",
        "trust",
        "--no-sync",
        "--wal-segsize=1",
        "-U",
        "postgres",
    )
    with (Path(data) / "postgresql.conf").open("a") as conf:
        conf.write(
            f"unix_socket_directories = '{database.folder}'\nport = {PORT}\nwork_mem = '7MB'\nfsync = off\n"
        )
    as_owner(database, host, tool, "-D", data, "-w", "-l", f"{database.folder}/log", "start")
    query = "create table theirs as select generate_series(1, 1000) as number"
    psql = [f"{database.programs}/psql", "-U", "postgres", "-h", str(database.folder), "-p", str(PORT)]
    as_owner(database, host, *psql, "-d", "postgres", "-c", query)
    if not is_left_running:
        as_owner(database, host, tool, "-D", data, "-w", "stop")


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "is_left_running",
    [pytest.param(False, marks=pytest.mark.long, id="shut down"), pytest.param(True, id="running")],
)
def test_a_users_database_becomes_a_primary_with_two_standbys(
    database: Database, *, is_left_running: bool
) -> None:
    first = database.hosts[0]
    users_database(database, first, is_left_running=is_left_running)
    began = time.monotonic()
    database.raise_up(lease=LEASE)
    database.told(began)

    def has_all(host: str) -> bool:
        answers = [database.on(host, query) for query in ("select count(*) from theirs", "show work_mem")]
        return answers == ["1000", "7MB"]

    for host in database.hosts:
        database.cluster.until(partial(has_all, host), "it has what the user made", RECOVERS_S)


def test_data_of_another_system_is_refused_and_left_alone(database: Database) -> None:
    *_, last = database.hosts
    users_database(database, last, is_left_running=True)
    before = database.postmaster(last)
    database.cluster.write({"db": database.service()}, lease=LEASE)
    database.cluster.start_agents()

    def says_so() -> bool:
        return "move it away to have it cloned" in database.cluster.log(f"agent-{last}").read_text()

    database.cluster.until(says_so, "the foreign data is refused", RECOVERS_S)
    assert database.postmaster(last) == before
    database.cluster.until(lambda: database.maybe_primary() is not None, "the others serve", RECOVERS_S)
    shutil.rmtree(database.data(last), ignore_errors=True)


@pytest.mark.timeout(240)
def test_parameters_are_raised_by_a_restart_of_one_member_after_the_other(database: Database) -> None:
    database.raise_up(lease=LEASE)
    cluster, old = database.cluster, database.primary()
    wanted = {**PARAMETERS, "max_connections": 45, "work_mem": "5MB"}
    cluster.write({"db": database.service(parameters=wanted)}, lease=LEASE)
    for host in database.hosts:
        ask(cluster, host, "reload")
    cluster.until(
        lambda: database.on(old, "show work_mem") == "5MB", "what needs no restart is in force", RECOVERS_S
    )
    words = "max_connections waits for a restart: it is 40, and will be 45"

    def says_so() -> bool:
        told = " ".join(ask(cluster, old, "hosts").stdout.split())
        return told.count(words) == len(database.hosts)

    def has_it(host: str) -> bool:
        return database.on(host, "show max_connections") == "45"

    cluster.until(says_so, "all members wait for a restart", RECOVERS_S)
    # The order that a careless operator takes: the primary first. Whoever is primary then has the smaller value.
    for host in (old, next(host for host in database.hosts if host != old)):
        done = ask(cluster, host, "restart", f"db/{host}")
        sys.stderr.write(done.stdout + done.stderr)
        cluster.until(partial(has_it, host), "it has the new value", RECOVERS_S)
        cluster.until(database.is_whole, "a primary and two standbys that stream", RECOVERS_S)
