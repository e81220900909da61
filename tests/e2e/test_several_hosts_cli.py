"""What an operator of several hosts sees and types, against two real agents with a real session each.

Both hosts are this machine: an address of loopback each, and the embedded coordinator in a folder.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from holdfast.components.cgroups import Cgroups
from holdfast.components.marking import read_instance
from tests.e2e.living import LivingSystem, await_that, free_ports

pytestmark = pytest.mark.e2e

HOLDFAST = (sys.executable, "-m", "holdfast.cli.main")
WITHIN_S = 60.0  # takeover takes a lease and a bit; the rest is for a machine that others use too
_HUNDREDS = count(os.getpid() % 200)  # each test has addresses of its own


class TwoHosts:
    """Two agents of one system, and the command line."""

    def __init__(self, system: LivingSystem) -> None:
        self.system = system
        self.folder = system.folder
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        net = f"127.{next(_HUNDREDS) % 200 + 20}.1"
        self.address = {"h1": f"{net}.1", "h2": f"{net}.2"}
        self.port, self.db, self.web, self.spare = free_ports(4)

    def write(self, *, web: str = "0.5") -> None:
        folder = self.folder
        self.system.write(
            {
                "db": {
                    "mode": "active-standby",
                    "members": {"db-1": {"on": "h1"}, "db-2": {"on": "h2"}},
                    "port": self.db,
                    "run": self._server(),
                    "probes": self._probes(),
                },
                "web": {
                    "mode": "active-active",
                    "members": {"web-1": {"on": "h1"}, "web-2": {"on": "h2"}},
                    "port": self.web,
                    "threshold": float(web),
                    "run": self._server(),
                    "probes": self._probes(),
                },
            },
            hosts={name: {"address": address} for name, address in self.address.items()},
            cluster={
                "coordinator": f"embedded://{folder}/coordination",
                "secret": {"file": str(folder / "cluster.key")},
                "port": self.port,
                "lease": "4s",
            },
        )

    def _server(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "http.server",
            "--bind",
            "{host}",
            "--directory",
            str(self.folder),
            "{port}",
        ]

    def _probes(self) -> dict[str, Any]:
        # Patient: the machine may be busy with other tests, and nothing here is about speed.
        return {"alive": {"tcp": "{host}:{port}", "every": "500ms", "timeout": "500ms", "fall": 6}}

    def start(self, host: str) -> None:
        command = [
            *HOLDFAST,
            "agent",
            "--host",
            host,
            "--config",
            str(self.system.file),
            "-d",
            self.directory(host),
        ]
        with (self.folder / f"{host}.log").open("ab") as log:
            self.agents[host] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, host: str) -> None:
        agent = self.agents.pop(host)
        agent.send_signal(signal.SIGKILL)
        agent.wait(WITHIN_S)

    def directory(self, host: str) -> str:
        return str(self.folder / host)

    def ask(self, host: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Type a command on a host."""
        return subprocess.run(
            [*HOLDFAST, *args, "-d", self.directory(host)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=2 * WITHIN_S,
            check=False,
        )

    def must(self, host: str, *args: str) -> str:
        done = self.ask(host, *args)
        assert done.returncode == 0, f"{args}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text('utf-8')}" for path in self.folder.glob("h?.log"))

    def until(self, host: str, holds: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Ask a host for the status until `holds` says so."""
        last: dict[str, Any] = {}

        def look() -> object:
            done = self.ask(host, "status", "--json")
            last.clear()
            last.update(json.loads(done.stdout) if done.stdout else {})
            return last and holds(last)

        try:
            await_that(look, what, WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(last.get('cluster'))}\n{self.logs()}") from None
        return last

    def await_well(self) -> None:
        for host in self.address:
            self.until(host, partial(self.answers_well, host), f"all is well, seen from {host}")

    def answers_well(self, host: str, _: object) -> bool:
        return self.ask(host, "status").returncode == 0

    def clean_up(self) -> None:
        for host in tuple(self.agents):
            self.end(host)
        self.system.clean_up()
        for host in self.address:
            if (self.folder / host / "components").is_dir():
                for _, group in Cgroups.find(read_instance(self.folder / host)).occupied():
                    group.remove()


def holder(status: dict[str, Any]) -> str:
    lease = status["cluster"]["leases"][0]["lease"]
    return str(lease["member"]) if lease else ""


@pytest.fixture
def hosts(system: LivingSystem) -> Iterator[TwoHosts]:
    made = TwoHosts(system)
    (made.folder / "cluster.key").write_text("k" * 44, "ascii")
    made.write()
    try:
        for host in made.address:
            made.start(host)
        made.await_well()
        yield made
    finally:
        made.clean_up()


def test_status_hosts_and_explain_show_the_same_cluster_from_both_hosts(hosts: TwoHosts) -> None:
    for host in ("h1", "h2"):
        screen = hosts.must(host, "status")
        assert re.search(r"^ [*o]  db/db-1 +h1 +(primary|standby) +up", screen, re.MULTILINE), screen
        assert re.search(r"db +active-standby .* 2/2 +db-1 ", screen), screen
        assert re.search(r"web +active-active .* 2/2 +web-\d, web-\d", screen), screen
        told = json.loads(hosts.must(host, "hosts", "--json"))
        assert [(one["name"], one["has_session"]) for one in told["hosts"]] == [("h1", True), ("h2", True)]
        assert sum(one["leads"] for one in told["hosts"]) == 1
        text = " ".join(hosts.must(host, "explain", "db").split())
        assert "held by db-1 on h1, lease epoch 1" in text
    assert hosts.must("h1", "status", "--nagios").strip().endswith("hosts=2;;;0;2")
    assert "holdfast --host h2 explain db/db-2" in " ".join(hosts.must("h1", "explain", "db-2").split())
    assert hosts.must("h1", "explain", "h2").startswith("h2 takes part")


def test_switchover_moves_the_role_to_the_other_host_and_back(hosts: TwoHosts) -> None:
    assert "the leader is asked to move it to db-2" in hosts.must("h1", "switchover", "db", "--dry-run")
    done = hosts.must("h1", "switchover", "db", "--to", "db-2")  # asked of one host, carried out by both
    assert "db-2 on h2 serves, lease epoch 2" in done
    assert holder(json.loads(hosts.must("h2", "status", "--json"))) == "db-2"
    again = hosts.ask("h1", "switchover", "db", "--to", "db-2")
    assert (again.returncode, "already serves" in again.stderr) == (5, True)
    assert hosts.ask("h1", "switchover", "db", "--to", "db-9").returncode == 2
    assert "db-1 on h1 serves" in hosts.must("h2", "switchover", "db")
    notes = json.loads(hosts.must("h1", "hosts", "--json"))["notes"]
    notes += json.loads(hosts.must("h2", "hosts", "--json"))["notes"]
    dropped = [note for note in notes if note["word"] == "switchover"]
    assert len(dropped) == 2, dropped  # each once


def test_what_is_of_another_host_is_answered_with_where_to_ask(hosts: TwoHosts) -> None:
    for verb in ("drain", "restart", "resume"):
        refused = hosts.ask("h1", verb, "db/db-2")
        assert refused.returncode == 2
        assert "db/db-2 runs on h2: ask there, with `holdfast --host h2 ...`" in refused.stderr
    assert "restart of web on h1 done" in hosts.must("h1", "restart", "web")


def test_file_is_shared_followed_and_gone_back_from(hosts: TwoHosts) -> None:
    assert "no file was shared yet" in hosts.must("h2", "policies")
    assert "no changes" in hosts.must("h1", "plan")
    first = hosts.must("h2", "apply", "--yes", "--wait", "60s")
    assert "policy 1, revision" in first
    hosts.write(web="0.4")
    assert "web: threshold changed" in " ".join(hosts.must("h2", "plan").split())
    second = hosts.must("h1", "apply", "--yes", "--wait", "60s")
    assert "web: threshold changed" in " ".join(second.split())
    assert "h1 runs it" in second
    assert "h2 runs it" in second
    reload = hosts.ask("h1", "reload")
    assert (reload.returncode, "policy 2 is shared" in reload.stderr) == (2, True)
    back = hosts.must("h1", "apply", "--rollback", "--yes", "--wait", "60s")
    assert "policy 3, revision" in back
    told = json.loads(hosts.must("h2", "policies", "--json"))
    assert [one["number"] for one in told] == [3, 2, 1]
    assert told[0]["text"] == told[2]["text"] == hosts.must("h1", "policies", "show", "1")
    status = json.loads(hosts.must("h2", "status", "--json"))
    assert {host["revision"] for host in status["cluster"]["hosts"]} == {told[0]["revision"]}


def test_file_that_breaks_a_service_stops_at_the_first_host_and_says_so(hosts: TwoHosts) -> None:
    hosts.must("h1", "apply", "--yes")
    text = hosts.system.file.read_text("utf-8")
    good = '"tcp": "{host}:{port}"'
    assert good in text
    hosts.system.file.write_text(text.replace(good, f'"tcp": "{{host}}:{hosts.spare}"'), "utf-8")
    stuck = hosts.ask("h1", "apply", "--yes", "--wait", "8s")
    assert stuck.returncode == 7, stuck.stdout
    assert re.search(r"h2 waits: h1 (runs it, but|takes it over first)", stuck.stderr), stuck.stderr
    hosts.until("h2", lambda s: "h1 runs it, but" in s["cluster"]["policy_waiting"], "h2 says why it waits")
    assert "POLICY policy 2" in hosts.ask("h2", "status").stdout
    hosts.must("h1", "apply", "--rollback", "--yes", "--wait", "60s")
    hosts.await_well()


def test_lost_host_is_seen_and_its_role_moves(hosts: TwoHosts) -> None:
    hosts.end("h1")
    hosts.until("h2", lambda s: holder(s) == "db-2", "db-2 took over")
    status = hosts.until("h2", lambda s: s["cluster"]["hosts"][0]["reach"] == "lost", "h1 is silent")
    assert not status["cluster"]["hosts"][0]["has_session"]
    screen = hosts.ask("h2", "status")
    assert screen.returncode in (3, 4)
    assert re.search(r"^ x  h1 +\S+ +no +lost", screen.stdout, re.MULTILINE), screen.stdout
    assert "h1 has no session" in hosts.ask("h2", "status", "--nagios").stdout
    told = hosts.must("h2", "explain", "h1")
    assert told.startswith("h1 does not take part")
    hosts.start("h1")
    hosts.await_well()
