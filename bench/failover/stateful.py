"""Failover of a store with a primary and two standbys: what each fault costs who writes to it, whoever manages it.

Four hosts: the balancer and the coordinator's leader are on h1, which nothing breaks; members are on h2, h3 and h4. One client adds
a row every 10 ms through the balancer, gives up after a second and connects anew; a second one stays on its connection to the
old primary, as one in a pool does, and hears it if that goes on after it was deposed. Each server is asked over its own socket, too,
whether it takes writes: no network cuts that. All is written down first and counted afterwards, with what judges the lab.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bench.failover.contending import Raised, at_random_phase
from bench.failover.tolls import MEMBERS, Kind, Toll, counted, redundant_since, row
from holdfast.model.time import SECOND, Instant
from tests.lab import checking
from tests.lab.database_history import Append, Listed, Sample, read_database
from tests.lab.database_load import ClientSpec, Load
from tests.lab.database_sampler import Sampling
from tests.lab.history import History, now
from tests.lab.hosts import PYTHON, Cluster, Site
from tests.lab.network import own_name

BALANCER: Final = "h1"
ROOT: Final = Path(__file__).parents[2]
HANGS_S: Final = 40.0
COORDINATOR_FROZEN_S: Final = 45.0
MANAGER_DEAD_S: Final = 60.0
BOOTS_AFTER_S: Final = 3.0  # a crashed host, once the service is back
COMES_BACK_S: Final = 90.0
READ_EVERY_S: Final = (
    0.5  # a history is read whole, and who reads all the time takes the time of those who are measured
)
SETTLES_S: Final = 5.0  # so long redundant without a break, and it is redundant


class Contender(Raised):
    """A manager of a store on the hosts of the lab."""

    kind: str  # of the store, as the lab's clients know it
    phase_s = 1.0  # the period of its main loop: a fault meets any moment of it

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = Site("etcd", 1 + len(MEMBERS))
        self.cluster = Cluster(self.site, folder / "cluster")
        self.network = self.site.network
        self.nemesis = self.cluster.nemesis
        self.files = [folder / "load.jsonl", folder / "pinned.jsonl", folder / "samples.jsonl"]

    # --- what each has to say -------------------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start it on all hosts; return when it is whole and can lose its primary."""

    @abstractmethod
    def primary(self) -> str:
        """Return the host of the one primary."""

    @abstractmethod
    def is_whole(self) -> bool:
        """Tell whether one is primary and all others follow it."""

    @abstractmethod
    def server_pid(self, host: str) -> int:
        """Return the main process of the server there."""

    @abstractmethod
    def manager_pids(self, host: str) -> list[int]:
        """Return the processes of the manager there, the main one first."""

    @abstractmethod
    def start_manager(self, host: str) -> None:
        """Start the manager there (again)."""

    def boot(self, host: str) -> None:
        """Start what runs on this host, after a crash."""
        self.start_manager(host)

    @abstractmethod
    def move(self, host: str) -> None:
        """Have the primary's role leave this host, in good order."""

    @abstractmethod
    def roaming(self, *, is_new_each: bool) -> ClientSpec:
        """Return the client that goes through the balancer, with a new connection for each row or not."""

    @abstractmethod
    def pinned(self, host: str) -> ClientSpec:
        """Return the client that stays with the server of this host."""

    @abstractmethod
    def sampling(self) -> Sampling:
        """Return how each server is asked on its own host."""

    @abstractmethod
    def listed(self, host: str) -> Listed:
        """Return all rows that the server of this host has."""

    # --- what is the same for all ---------------------------------------------------------------------

    def raise_(self) -> None:
        """Raise the hosts, the coordinator and it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.site.__enter__()
        self.cluster.__enter__()
        self.site.have_lead(BALANCER)
        self.start()

    def end(self) -> None:
        """Leave nothing."""
        self.cluster.__exit__(None, None, None)
        self.site.__exit__(None, None, None)

    def history(self) -> History:
        """Return what has been written down so far."""
        return read_database(*self.files)

    def start_roaming(self, file: Path, *, is_new_each: bool) -> "subprocess.Popen[bytes]":
        """Start the client that goes wherever the primary is."""
        return self.start_load(self.roaming(is_new_each=is_new_each), file)

    def start_load(self, spec: ClientSpec, file: Path) -> "subprocess.Popen[bytes]":
        """Start one client."""
        return self.start_module("tests.lab.database_load", Load(self.kind, str(file), (spec,)), spec.name)

    def start_module(self, module: str, spec: msgspec.Struct, name: str) -> "subprocess.Popen[bytes]":
        """Start an observer in the hub, which sees all hosts."""
        file = self.folder / f"{name}.spec"
        file.write_bytes(msgspec.json.encode(spec))
        log = self.folder / f"{name}.log"
        return self.network.hub.start([PYTHON, "-m", module, str(file)], log, {"PYTHONPATH": str(ROOT)})

    def _logs(self) -> list[Path]:
        return sorted((*self.folder.glob("*.log"), *self.folder.glob("cluster/*.log")))


Made = tuple[type[Contender], Callable[[Path], Contender]]


def break_(contender: Contender, kind: Kind, host: str) -> Instant:
    """Break the host of the primary, put right what an operator would, and return when it broke (CLOCK_BOOTTIME)."""
    if kind is Kind.CRASH_LEADER:
        contender.site.have_lead(host)
    server, managers = contender.server_pid(host), contender.manager_pids(host)
    at = now()
    match kind:
        case Kind.KILL:
            contender.nemesis.kill(server)
        case Kind.CRASH | Kind.CRASH_LEADER:
            _crash(contender, host, at)
        case Kind.HANG:
            _hang(contender, host)
        case Kind.HANG_SERVER:
            contender.nemesis.freeze(server)
            time.sleep(HANGS_S)
            contender.nemesis.thaw(server)
        case Kind.MANAGER | Kind.MANAGER_ALL:
            _kill(contender, host, managers if kind is Kind.MANAGER_ALL else managers[:1])
        case Kind.COORDINATOR:
            _freeze_coordinator(contender)
        case Kind.MOVE:
            contender.move(host)
    return at


def _crash(contender: Contender, host: str, at: Instant) -> None:
    servers = contender.site.servers
    contender.nemesis.crash(host)
    _await_service(contender, at)
    time.sleep(BOOTS_AFTER_S)
    contender.nemesis.plug_in(host)
    if host in servers:
        if servers[host].is_running:  # killed, and not waited for yet
            servers[host].kill()
        servers[host].start()
    contender.boot(host)


def _kill(contender: Contender, host: str, managers: Sequence[int]) -> None:
    for pid in managers:
        contender.nemesis.kill(pid)
    time.sleep(MANAGER_DEAD_S)
    contender.start_manager(host)


def _freeze_coordinator(contender: Contender) -> None:
    for member in contender.site.ensemble.members:
        member.freeze()
    time.sleep(COORDINATOR_FROZEN_S)
    for member in contender.site.ensemble.members:
        member.thaw()


def _hang(contender: Contender, host: str) -> None:
    servers = contender.site.servers
    coordinator = {servers[host].pid} if host in servers else set()
    contender.network[host].signal_all(signal.SIGSTOP, coordinator)
    time.sleep(HANGS_S)
    contender.network[host].signal_all(signal.SIGCONT, coordinator)


def measure(contender: Contender, kind: Kind) -> Toll:
    """Let clients write, break the primary's host, wait until all is well again, and return what that cost."""
    host = contender.primary()
    load, pinned, _ = contender.files
    sampler = contender.start_module("tests.lab.database_sampler", contender.sampling(), "samples")
    clients = [
        contender.start_roaming(load, is_new_each=kind is Kind.HANG_SERVER),
        contender.start_load(contender.pinned(host), pinned),
    ]
    warm = now()
    contender.until(lambda: _is_used(contender.history()), "clients are served", COMES_BACK_S, READ_EVERY_S)
    contender.until(lambda: _is_settled(contender.history(), warm), "it is calm", COMES_BACK_S, READ_EVERY_S)
    at_random_phase(contender.phase_s)
    assert contender.primary() == host, "the primary moved before anything was broken"
    at = break_(contender, kind, host)
    over = now()  # what the end of a fault sets off counts too
    is_back = True
    try:
        contender.until(
            lambda: _is_settled(contender.history(), over), "it is whole again", COMES_BACK_S, READ_EVERY_S
        )
    except AssertionError as error:
        (contender.folder / "not-back").write_text(str(error))
        is_back = False
    for process in clients:
        process.send_signal(signal.SIGTERM)
    for process in clients:
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
    sampler.send_signal(signal.SIGTERM)
    history = contender.history()
    lists: tuple[Listed, ...] = ()
    with suppress(AssertionError):  # no primary: all is lost, as far as anybody can tell
        lists = (contender.listed(contender.primary()),)
    return counted(History((*history.records, *lists)), at, is_back=is_back)


def _is_used(history: History) -> bool:
    clients = {append.client for append in checking.acknowledged_of(history)}
    return len(clients) == 2 and any(sample.is_taken for sample in history.of(Sample))


def _await_service(contender: Contender, at: Instant) -> None:
    """Wait until the client has an acknowledgement of a row that it sent after the fault, if it ever gets one."""

    def is_served() -> bool:
        appends = checking.acknowledged_of(read_database(contender.files[0]))
        return any(append.at > at + SECOND // 10 for append in appends)

    with suppress(AssertionError):
        contender.until(is_served, "service", COMES_BACK_S, READ_EVERY_S)


def _is_settled(history: History, at: Instant) -> bool:
    since, present = redundant_since(history), now()
    served = [each for each in history.of(Append) if each.client == "roaming" and each.at > present - SECOND]
    is_calm = since is not None and present - max(since, at) > SETTLES_S * SECOND
    return is_calm and bool(served) and all(not each.error for each in served)


def _special(folder: str, names: Sequence[str]) -> list[str]:
    """Name what cannot be copied: sockets."""
    return [name for name in names if not ((at := Path(folder, name)).is_file() or at.is_dir())]


def compare(
    contenders: Mapping[str, Made],
    kinds: Sequence[Kind],
    what: str,
) -> None:
    """Measure as the command line says, side by side and in turns, and print the table."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=contenders, default=list(contenders))
    parser.add_argument("--faults", nargs="+", type=Kind, choices=kinds, default=kinds)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep histories and logs below this folder")
    options = parser.parse_args()
    random.seed(options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left
    for name in options.only:
        contenders[name][0].prepare()
    tolls: dict[tuple[Kind, str], list[Toll]] = {}
    for run, kind, name in itertools.product(range(options.runs), options.faults, options.only):
        folder = Path(tempfile.mkdtemp(prefix=own_name(f"{name}-")))
        try:
            with contenders[name][1](folder) as contender:
                toll = measure(contender, kind)
            tolls.setdefault((kind, name), []).append(toll)
            print(row(kind, name, [toll]), file=sys.stderr, flush=True)
        except AssertionError as error:  # on a machine that is too busy it may never have been well
            print(f"{kind} {name}: not measured: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
        finally:
            if options.keep is not None:  # the logs of what was not measured, too
                kept = options.keep / f"{kind}-{name}-{run}"
                shutil.copytree(folder, kept, ignore=_special, dirs_exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"up to {options.runs} runs each, one row every 10 ms; load average {os.getloadavg()[0]:.1f}")
    for (kind, name), costs in tolls.items():
        print(row(kind, name, costs))
