"""Hosts as network namespaces: each with an address of its own on one bridge, which stands in a namespace too.

    with Network(("h1", "h2", "h3")) as network:
        process = network["h1"].start(["etcd", ...], log)
        with network.hub.entered():  # where the clients are: on the bridge, beside all hosts
            socket.create_connection((network["h1"].address, 2379))

The namespaces share the machine's files, process ids and, above all, its clock: what happens on two hosts has one order
on CLOCK_BOOTTIME, which a judge can use as separate machines never could. The machine's own network is not touched,
and nothing that is sent here can leave the bridge.

Names carry the process id and the start time of the test run, so runs beside each other do not meet, and what a run that
was killed has left behind is known as such and swept away by the next.
"""

import ctypes
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PREFIX = "holdfast-lab-"
MEMORY = Path("/dev/shm")  # where folders of many small files are made, if there is room
NAMESPACES = Path("/run/netns")
HUB = "hub"  # the name of the namespace of the bridge
LINK = "eth0"  # a host's end of its cable; the hub's end is called after the host
HOSTS_MAX = 200
ROUNDS_MAX = 200  # of looking for processes that were started while we ended the ones we knew
GONE_WITHIN_S = 20.0
STOPS_WITHIN_S = 1.0
CLONE_NEWNET = 0x40000000
# So that many marks fit into the queue of a recorder that is late: the kernel's own bound is ten.
DATAGRAMS_MAX = 4096

_libc = ctypes.CDLL(None, use_errno=True)
_counter = itertools.count(1)


class Host:
    """One namespace, and what runs in it."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.path = NAMESPACES / namespace
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def prefix(self) -> tuple[str, ...]:
        """What comes before a command to have it run here. It becomes the command: the process id stays."""
        return ("nsenter", f"--net={self.path}")

    def mac(self) -> str:
        """Return the hardware address of its interface."""
        return str(json.loads(self.run(["ip", "-j", "link", "show", LINK]))[0]["address"])

    def run(self, command: Sequence[str], stdin: str = "") -> str:
        """Run a short command here and return what it said; an error says why."""
        return run([*self.prefix, *command], stdin)

    def start(
        self, command: Sequence[str], log: Path, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process here. It dies with the thread that called, at the latest with `end`."""
        # The signal of setpriv comes when the thread ends that started it: call this from the main thread.
        whole = ("setpriv", "--pdeathsig", "KILL", *self.prefix, *command)
        with log.open("ab") as out:
            process = subprocess.Popen(
                whole,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(environment or {})},
            )
        self._started.append(process)
        return process

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread's sockets opened here meanwhile. They stay here. Never await something inside."""
        with Path("/proc/thread-self/ns/net").open("rb") as home, self.path.open("rb") as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def pids(self) -> set[int]:
        """Return every process in this namespace, but ourselves and those that are dead and wait to be reaped."""
        try:
            here = self.path.stat()
        except FileNotFoundError:
            return set()
        found = set()
        for entry in Path("/proc").iterdir():
            with suppress(OSError):  # gone meanwhile, or a zombie
                if entry.name.isdigit() and os.path.samestat((entry / "ns" / "net").stat(), here):
                    found.add(int(entry.name))
        return found - {os.getpid()}

    def signal_all(self, number: signal.Signals, but: Collection[int] = ()) -> set[int]:
        """Send every process here a signal, also those that are started meanwhile. Return which got it."""
        told: set[int] = set()
        for _ in range(ROUNDS_MAX):
            new = self.pids() - told - set(but)
            if not new:
                return told
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if number is signal.SIGSTOP:
                _await_standstill(new)
            told |= new
        raise AssertionError(f"{self.name} starts processes faster than they can be signalled")

    def end(self, but: Collection[int] = ()) -> None:
        """Kill all that runs here, except for `but`, and wait until it is gone."""
        self.signal_all(signal.SIGSTOP, but)  # so that none of them sees another's death
        self.signal_all(signal.SIGKILL, but)
        give_up_at = time.monotonic() + GONE_WITHIN_S
        while left := self.pids() - set(but):
            assert time.monotonic() < give_up_at, f"processes of {self.name} do not die: {left}"
            time.sleep(0.005)
        for process in self._started:
            if process.pid not in but:
                process.wait()
        self._started = [process for process in self._started if process.pid in but]


def _await_standstill(pids: Collection[int]) -> None:
    """Await that these have stopped: whoever was in the midst of starting another when the signal was sent does so yet."""
    give_up_at = time.monotonic() + STOPS_WITHIN_S
    while any(_goes_on(pid) for pid in pids) and time.monotonic() < give_up_at:
        time.sleep(0.001)


def _goes_on(pid: int) -> bool:
    """Tell whether it may still do something: who waits in the kernel, for a disk or a child that was stopped first, stops before it returns."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] not in b"TtDZX"
    except OSError:
        return False


class Raised(ABC):
    """What is raised when it is entered, and leaves nothing, also if it is raised by half only."""

    @abstractmethod
    def raise_(self) -> None:
        """Make all of it."""

    @abstractmethod
    def end(self) -> None:
        """Leave nothing of it, however much there is."""

    def __enter__(self) -> Self:
        try:
            self.raise_()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.end()


class Network(Raised):
    """Hosts on one bridge."""

    def __init__(self, names: Sequence[str]) -> None:
        assert len(names) <= HOSTS_MAX
        assert HUB not in names
        number = next(_counter)
        self.name = f"{PREFIX}{_owner(os.getpid())}-{number}"
        # Seen by nobody else, but different all the same: a log then tells which run it was.
        run_number = (os.getpid() * 8 + number) % 32768
        subnet = f"10.{64 + run_number // 256}.{run_number % 256}"
        self.hub = Host(HUB, f"{self.name}-{HUB}", f"{subnet}.254")
        self.hosts = {
            name: Host(name, f"{self.name}-{name}", f"{subnet}.{n}") for n, name in enumerate(names, 1)
        }
        self.subnet = subnet

    def __getitem__(self, name: str) -> Host:
        return self.hub if name == HUB else self.hosts[name]

    @property
    def everywhere(self) -> tuple[Host, ...]:
        """Return all hosts and the hub."""
        return (*self.hosts.values(), self.hub)

    def raise_(self) -> None:
        """Make the namespaces, their links and the bridge."""
        sweep()
        hub, hosts = self.hub, self.hosts.values()
        _batch(
            [
                *(f"netns add {host.namespace}" for host in self.everywhere),
                *(
                    f"link add {host.name} netns {hub.namespace} type veth peer name {LINK} netns {host.namespace}"
                    for host in hosts
                ),
            ]
        )
        _batch(
            [
                # Without these a bridge learns for 15 s before it forwards, and forgets who wants multicast.
                "link add bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                "link set bridge up",
                "link set lo up",
                f"addr add {hub.address}/24 dev bridge",
                *(f"link set {host.name} master bridge up" for host in hosts),  # iproute2's word
            ],
            hub,
        )
        for host in hosts:
            _batch(["link set lo up", f"addr add {host.address}/24 dev {LINK}", f"link set {LINK} up"], host)
        for host in self.everywhere:
            with host.entered():
                for name, value in _SYSCTLS.items():
                    Path("/proc/sys/net", name).write_text(value, "ascii")

    def end(self) -> None:
        """Kill all that runs in the namespaces and take them down."""
        for host in self.everywhere:
            host.end()
        for host in self.everywhere:
            with suppress(LabError):
                _batch([f"netns del {host.namespace}"])


_SYSCTLS = {
    "ipv4/conf/all/rp_filter": "0",  # a service's address may move between hosts
    "unix/max_dgram_qlen": str(DATAGRAMS_MAX),
}


class LabError(AssertionError):
    """A command of the lab failed; the text has what it said."""


def run(command: Sequence[str], stdin: str = "") -> str:
    """Run a short command and return what it said."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}\n{stdin}")
    return done.stdout


def is_permitted() -> bool:
    """Return whether this process may make namespaces."""
    return os.geteuid() == 0


def sweep() -> None:
    """Take down what runs that were killed have left: namespaces with all in them, small disks, folders."""
    for path in NAMESPACES.glob(f"{PREFIX}*") if NAMESPACES.exists() else ():
        if not is_owned_by_the_living(path.name):
            Host(path.name, path.name, "").end()
            with suppress(LabError):  # another run sweeps too
                _batch([f"netns del {path.name}"])
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        name, place, *_ = line.split()
        if name.startswith(PREFIX) and not is_owned_by_the_living(name):
            with suppress(LabError):
                run(["umount", "--lazy", place])
    for parent in (Path(tempfile.gettempdir()), MEMORY):
        # A name that does not tell its owner is not ours to judge.
        for path in parent.glob(f"{PREFIX}[0-9]*"):
            if not is_owned_by_the_living(path.name):
                shutil.rmtree(path, ignore_errors=True)


def is_owned_by_the_living(name: str) -> bool:
    """Return whether the run that made this namespace or mount is still there."""
    owner = name.removeprefix(PREFIX).split("-")[0]
    pid = owner.split(".")[0]
    return pid.isdigit() and owner == _owner(int(pid))


def own_name(what: str) -> str:
    """Return a name for a mount or a temporary folder, by which a sweep knows that it is ours."""
    return f"{PREFIX}{_owner(os.getpid())}-{what}"


def _owner(pid: int) -> str:
    """Return the process id with its start time, since ids are used again; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return ""
    return f"{pid}.{stat.rpartition(')')[2].split()[19]}"


def _batch(lines: Sequence[str], host: Host | None = None) -> None:
    where = () if host is None else ("-netns", host.namespace)
    run(["ip", *where, "-batch", "-"], "\n".join(lines) + "\n")


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")
