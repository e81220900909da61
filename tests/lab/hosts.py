"""Whole clusters: hosts in namespaces, a real ensemble on them, and what each test runs there.

A *site* is what is slow to raise and fit to be shared by many tests: the network and the ensemble, one server on each of the
first three hosts. A *cluster* is one test's own: its agents, its folders, its file, its history, the nemesis and the judge's evidence.
It leaves the site as it found it.

    with Site("etcd", 3) as site, Cluster(site, folder) as cluster:
        cluster.write({"db": cluster.witnesses("db", 7100)}, lease="1s")
        cluster.start_agents()
        cluster.start_clients(address, 7100)
        cluster.nemesis.crash("h1")
        ...
        told = never_two(cluster.end(), "db")
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.agent.client import ControlClient
from holdfast.components.cgroups import Cgroups
from holdfast.components.marking import read_instance
from tests.lab.ensembles import Ensemble
from tests.lab.etcd_ensemble import EtcdEnsemble
from tests.lab.history import History, note, read
from tests.lab.nemesis import Nemesis
from tests.lab.network import Host, Network, own_name
from tests.lab.small_disks import SmallDisk
from tests.lab.zookeeper_ensemble import ZooKeeperEnsemble

ENGINES: dict[str, type[EtcdEnsemble] | type[ZooKeeperEnsemble]] = {
    "etcd": EtcdEnsemble,
    "zookeeper": ZooKeeperEnsemble,
}
SERVERS = 3  # of the ensemble: a majority of them is what every cluster depends on
WITHIN_S = 30.0
POLL_S = 0.02
HERE = Path(__file__).parent
PYTHON = sys.executable
HOLDFAST = str(Path(PYTHON).with_name("holdfast"))  # the command, as users have it


class Site:
    """A network of hosts h1, h2, ... with an ensemble on the first three of them."""

    def __init__(self, engine: str, hosts: int) -> None:
        self.engine = engine
        self.folder = Path(tempfile.mkdtemp(prefix=own_name(f"{engine}{hosts}-")))
        self.network = Network([f"h{number}" for number in range(1, hosts + 1)])
        servers = list(self.network.hosts.values())[:SERVERS]
        self.ensemble: Ensemble = ENGINES[engine](
            self.folder, len(servers), addresses=[host.address for host in servers]
        )
        self.servers = {
            host.name: member for host, member in zip(servers, self.ensemble.members, strict=True)
        }
        for host in servers:
            self.servers[host.name].prefix = host.prefix
        self.ensemble.inside = self.network.hub.entered
        self._stack = ExitStack()

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self.network.hosts.values())

    def leader(self) -> str:
        """Return the host on which the ensemble's leader runs."""
        leader = self.ensemble.leader()
        return next(name for name, member in self.servers.items() if member is leader)

    def have_lead(self, host: str) -> None:
        """Have the ensemble's leader run on this host."""
        self.ensemble.have_lead(self.servers[host])

    def restore(self, nemesis: Nemesis) -> None:
        """Make it as good as new: no fault, every server in service, and nothing else running."""
        nemesis.heal()
        own = {member.pid for member in self.ensemble.members}
        for host in self.network.everywhere:
            host.end(but=own)
        self.ensemble.heal()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self.network)
            stack.enter_context(self.ensemble)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stack.close()


class Cluster:
    """One test's agents and witnesses on a site."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.system = f"lab-{time.monotonic_ns():x}"  # what stands in the ensemble is below this name
        self.file = folder / "holdfast.yaml"
        self.history = folder / "history.jsonl"
        self.marks = folder / "marks"
        self.key = folder / "cluster.key"
        self.nemesis = Nemesis(site.network, lambda kind, what: note(self.history, kind, what))
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self._recorder: subprocess.Popen[bytes] | None = None
        self._clients: list[subprocess.Popen[bytes]] = []
        self._disks = ExitStack()

    # --- the file -------------------------------------------------------------------------------------

    def write(self, services: dict[str, Any], **cluster: Any) -> None:
        """Write the file that all hosts share. `cluster` are more keys of its section of that name."""
        document = {
            "system": self.system,
            "cluster": {
                "coordinator": self.site.ensemble.url(),
                "secret": {"file": str(self.key)},
                **cluster,
            },
            "hosts": {host.name: {"address": host.address} for host in self.site.hosts},
            "services": services,
        }
        self.file.write_text(json.dumps(document, indent=1), encoding="utf-8")  # JSON is YAML too

    def witnesses(self, service: str, port: int, mode: str = "active-standby", **more: Any) -> dict[str, Any]:
        """Return a service of the file: a witness on each host, called after it; one of them serves."""
        return {
            "mode": mode,
            "members": {host.name: {"on": host.name} for host in self.site.hosts},
            "port": port,
            "run": {
                "command": self.witness("{member}", service, port),
                "promote": self.hook("promote", "{member}", service),
                "demote": self.hook("demote", "{member}", service),
                "stop": {"grace": "2s"},
            },
            "probes": {"alive": {"http": "/health", "every": "200ms", "timeout": "200ms", "fall": 3}},
            **more,
        }

    def witness(self, name: str, service: str, port: int) -> list[str]:
        """Return the command of a witness: `name` is what it answers, such as its host's."""
        return [
            *(PYTHON, "-I", "-S", str(HERE / "witness.py"), "serve"),
            *("--name", name, "--service", service, "--port", str(port)),
            *("--history", str(self.history), "--marks", str(self.marks)),
            *("--control", self._control(name, service)),
        ]

    def hook(self, role: str, name: str, service: str) -> list[str]:
        """Return the command that has a witness `promote`d or `demote`d."""
        return [
            *(PYTHON, "-I", "-S", str(HERE / "witness.py"), role),
            *("--control", self._control(name, service)),
        ]

    def _control(self, name: str, service: str) -> str:
        return str(self.folder / f"{service}-{name}.control")

    # --- what runs ------------------------------------------------------------------------------------

    def directory(self, host: str) -> Path:
        """Return the state directory of the agent there."""
        return self.folder / host / "state"

    def log(self, what: str) -> Path:
        return self.folder / f"{what}.log"

    def start_agent(self, host: str, prefix: Sequence[str] = (), **environment: str) -> None:
        """Start the agent of a host. `prefix` comes before its command, such as that of another boot clock."""
        self.directory(host).mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [
            *(*prefix, HOLDFAST, "agent"),
            *("--config", str(self.file), "--host", host, "--directory", str(self.directory(host))),
        ]
        self.agents[host] = self.site.network[host].start(command, self.log(f"agent-{host}"), environment)

    def start_agents(self) -> None:
        for host in self.site.hosts:
            self.start_agent(host.name)

    def start_witness(
        self,
        host: str,
        service: str,
        port: int,
        epoch: int,
        prefix: Sequence[str] = (),
        role: str = "primary",
    ) -> subprocess.Popen[bytes]:
        """Start a witness by hand, as an agent would."""
        return self.site.network[host].start(
            [*prefix, *self.witness(host, service, port)],
            self.log(f"witness-{host}"),
            {"HOLDFAST_EPOCH": str(epoch), "HOLDFAST_START_ROLE": role},
        )

    def start_clients(self, address: str, port: int, where: str = "hub") -> None:
        """Have clients ask every 10 ms until `end`."""
        command = [PYTHON, "-I", str(HERE / "client_load.py"), address, str(port), str(self.history)]
        host = self.site.network[where]
        self._clients.append(host.start(command, self.log("clients")))

    def put_on_small_disk(self, host: str, bytes_max: int = 8 << 20) -> SmallDisk:
        """Give the agent of a host a disk of its own that can be filled. Before the agent is started."""
        return self._disks.enter_context(SmallDisk(self.directory(host), bytes_max))

    def reboot(self, host: str) -> None:
        """Start again what a crash ended: the network, the ensemble's server and the agent, if there was one."""
        self.nemesis.plug_in(host)
        server = self.site.servers.get(host)
        if server is not None and not server.is_running:
            server.start()
        if host in self.agents:
            self.start_agent(host)

    def processes(self, host: str, word: str) -> list[int]:
        """Return the processes of a host with this word in their command line: "holdfast.guard", a service's name."""
        found = []
        for pid in sorted(self.site.network[host].pids()):
            with suppress(OSError):  # gone meanwhile
                if os.fsencode(word) in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def client(self, host: str) -> ControlClient:
        """Return a client of the agent there: its socket is a path, which no partition cuts."""
        return ControlClient(self.directory(host))

    def cli(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of holdfast on a host, as its operator would."""
        command = [
            *self.site.network[host].prefix,
            HOLDFAST,
            *words,
            "--directory",
            str(self.directory(host)),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    # --- its life -------------------------------------------------------------------------------------

    def so_far(self) -> History:
        return read(self.history)

    def end(self) -> History:
        """Let the clients finish, end the recorder, and return the whole history."""
        for clients in self._clients:
            clients.send_signal(signal.SIGTERM)
        for clients in self._clients:
            clients.wait(WITHIN_S)
        self._clients.clear()
        if self._recorder is not None:
            time.sleep(0.1)  # marks that are under way arrive
            self._recorder.kill()
            self._recorder.wait()
            self._recorder = None
        return self.so_far()

    def until(self, holds: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
        """Wait until it holds; all logs are shown if it never does."""
        give_up_at = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < give_up_at, f"never came: {what}\n{self.said()}"
            time.sleep(POLL_S)

    def said(self) -> str:
        """Return the ends of all logs."""
        logs = [*self.folder.glob("*.log"), *self.site.folder.glob("*/log")]
        return "\n".join(
            f"--- {path}\n{path.read_text(encoding='utf-8', errors='replace')[-3000:]}"
            for path in sorted(logs)
        )

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key.write_text("the lab's key, known to all its hosts\n", encoding="utf-8")
        self.key.chmod(0o600)
        command = [PYTHON, "-I", "-S", str(HERE / "recorder.py"), str(self.marks), str(self.history)]
        # In the hub: its queue is as long as the hub allows, and no fault of a host touches it.
        self._recorder = self.site.network.hub.start([*command, "--refuse-stale"], self.log("recorder"))
        self.until(self.marks.exists, "the recorder listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(self.said())
        with self._disks:  # unmounted last: until then they say whose the control groups are
            with suppress(subprocess.TimeoutExpired):
                self.end()
            self.site.restore(self.nemesis)
            for host in self.site.hosts:
                directory = self.directory(host.name)
                if (directory / "components").is_dir():
                    for _, group in Cgroups.find(read_instance(directory)).occupied():
                        group.remove()
