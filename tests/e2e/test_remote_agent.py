"""`holdfast --host` against a real agent, over real TLS, with what `holdfast certs` and `holdfast tokens` made."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.living import LivingSystem, await_that, fast, free_ports, is_up

pytestmark = pytest.mark.e2e


class Cluster:
    """One host of two, alive; the other is only in the file."""

    def __init__(self, system: LivingSystem) -> None:
        self.system = system
        self.certs = system.folder / "certs"
        self.port, web = free_ports(2)
        self.services = {
            "web": {
                "mode": "active-active",
                "members": {"web-1": {"on": "h1"}},
                "port": web,
                "run": system.server(),
                "probes": fast(),
            }
        }

    def up(self) -> None:
        system, folder = self.system, self.system.folder
        self.must("secret", "--out", str(folder / "cluster.key"))
        self.must("certs", "init", "--folder", str(self.certs))
        system.write(
            self.services,
            hosts={"h1": {"address": "127.0.0.1"}, "h2": {"address": "127.0.0.2"}},
            cluster={
                "coordinator": f"embedded://{folder}/coordination",
                "secret": {"file": str(folder / "cluster.key")},
                "port": self.port,
                "tls": {
                    "ca": str(self.certs / "ca.pem"),
                    "cert": str(self.certs / "h1.pem"),
                    "key": str(self.certs / "h1.key"),
                },
            },
        )
        self.must("--file", str(system.file), "certs", "issue", "--folder", str(self.certs))
        for access in ("view", "operate", "admin"):
            self.must("certs", "issue", f"{access}er", "--access", access, "--folder", str(self.certs))
        command = [
            *HOLDFAST,
            "agent",
            "--host",
            "h1",
            "--config",
            str(system.file),
            "-d",
            str(system.directory),
        ]
        with system.log.open("ab") as log:
            system.agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        system.until(lambda status: is_up(status, "web/web-1"), "the member is up")
        await_that(lambda: system.said("remote", "listening"), "it listens for other hosts")

    def ask(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line from a folder in which there is nothing."""
        elsewhere = self.system.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return subprocess.run(
            [*HOLDFAST, *args],
            cwd=elsewhere,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def must(self, *args: str) -> str:
        done = self.ask(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def as_(self, name: str) -> dict[str, str]:
        return {
            "HOLDFAST_TLS_CA": str(self.certs / "ca.pem"),
            "HOLDFAST_TLS_CERT": str(self.certs / f"{name}.pem"),
            "HOLDFAST_TLS_KEY": str(self.certs / f"{name}.key"),
        }

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.port}"


HOLDFAST = (sys.executable, "-m", "holdfast.cli.main")


@pytest.fixture
def cluster(system: LivingSystem) -> Iterator[Cluster]:
    made = Cluster(system)
    made.up()
    yield made
    if system.agent is not None:
        system.end(signal.SIGTERM)


def test_another_hosts_agent_is_asked_as_far_as_the_certificate_goes(cluster: Cluster) -> None:
    told = cluster.ask("status", "--json", "--host", cluster.at, **cluster.as_("viewer"))
    assert [service["name"] for service in json.loads(told.stdout)["services"]] == ["web"], told.stderr

    refused = cluster.ask("--host", cluster.at, "down", "--yes", **cluster.as_("operateer"))
    assert refused.returncode == 5
    assert "down needs admin access, and this is operate" in refused.stderr

    paused = cluster.ask(
        "--host", cluster.at, "pause", "--for", "1m", "--reason", "x", **cluster.as_("operateer")
    )
    assert paused.returncode == 0, paused.stderr
    shown = cluster.ask("--host", cluster.at, "status", "--json", **cluster.as_("viewer"))
    assert json.loads(shown.stdout)["paused"]["by"] == "operateer@127.0.0.1"

    stranger = cluster.ask("--host", cluster.at, "status")
    assert stranger.returncode == 2
    assert "needs certificates" in stranger.stderr


def test_host_of_the_file_is_asked_with_this_hosts_own_certificate_and_the_users_name(
    cluster: Cluster,
) -> None:
    file = ("--file", str(cluster.system.file))
    assert cluster.ask("--host", "h1", *file, "resume", LOGNAME="ann").returncode == 0
    assert cluster.ask("--host", "h1", *file, "down", "--yes", LOGNAME="ann").returncode == 5
    entries = json.loads(cluster.must("audit", "--json", "-d", str(cluster.system.directory)))
    told = [(entry["who"], entry["how"], entry["verb"], entry["allowed"]) for entry in entries]
    assert told == [("ann@h1", "host", "resume", True), ("ann@h1", "host", "down", False)]


def test_token_gives_its_access_until_it_is_taken_back(cluster: Cluster) -> None:
    at = ("-d", str(cluster.system.directory))
    token = cluster.system.folder / "ann.token"
    cluster.must("tokens", "issue", "ann", "--access", "admin", "--out", str(token), *at)
    shown = {**cluster.as_("viewer"), "HOLDFAST_TOKEN_FILE": str(token)}
    assert cluster.ask("--host", cluster.at, "down", "--yes", "--dry-run", **shown).returncode == 0
    cluster.must("tokens", "revoke", "ann", *at)
    refused = cluster.ask("--host", cluster.at, "status", **shown)
    assert refused.returncode == 5
    assert "the token is not known here" in refused.stderr
    kept = (cluster.system.directory / "audit.jsonl").read_text("utf-8") + cluster.system.log.read_text(
        "utf-8"
    )
    assert token.read_text("ascii").strip() not in kept


def test_local_socket_is_audited_too(cluster: Cluster) -> None:
    directory = str(cluster.system.directory)
    assert cluster.ask("-d", directory, "pause", "--for", "1m", "--reason", "x").returncode == 0
    assert cluster.ask("-d", directory, "status").returncode in {0, 3}  # 3: the other host does not take part

    def kept() -> list[tuple[str, str]]:
        told = json.loads(cluster.must("audit", "--json", "-d", directory))
        return [(entry["how"], entry["verb"]) for entry in told]

    await_that(lambda: kept() == [("socket", "pause")], "the pause is kept, and looking is not")


def test_admin_ends_it_from_afar(cluster: Cluster) -> None:
    done = cluster.ask("--host", cluster.at, "down", "--yes", **cluster.as_("adminer"))
    assert done.returncode == 0, done.stderr
    assert "everything is stopped" in done.stdout
    assert cluster.system.agent is not None
    assert cluster.system.agent.wait(15) == 0
    cluster.system.agent = None
