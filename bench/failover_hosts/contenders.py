"""What every contender can do: be raised on hosts of the lab, be broken, and say who owns the service's address.

All run the same service (the lab's witness, which answers with its host's name) on hosts h1, h2, ... of one network, and are
asked by the same clients, in the hub, through one address.
"""

import os
from abc import abstractmethod
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from bench.failover.contending import Raised
from tests.lab.history import now
from tests.lab.hosts import PYTHON
from tests.lab.nemesis import Nemesis
from tests.lab.network import LINK, Host, LabError, Network

PORT = 9000
WITNESS = Path(__file__).parents[2] / "tests" / "lab" / "witness.py"


class Kind(StrEnum):
    """What is done to the host that serves."""

    KILL = "kill"  # kill -9 of the service
    HANG = "hang"  # SIGSTOP of the service: its port still accepts connections
    CRASH = "crash"  # everything on the host is killed, and its cable pulled
    CUT = "cut"  # its cable is pulled; it lives on
    ISOLATE = "isolate"  # its packets vanish, both ways; its carrier stays
    MOVE = "move"  # planned, as the contender's own manual says
    CRASH_LEADER = "crash+leader"  # as `crash`, and the leader of the coordinator's own ensemble dies along


class Contender(Raised):
    """One high-availability manager, with its own hosts. Made for one fault, and thrown away after it."""

    kinds: frozenset[Kind] = frozenset(Kind) - {Kind.CRASH_LEADER}  # most have no ensemble to lean on
    hosts = 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = Network([f"h{number}" for number in range(1, self.hosts + 1)])
        self.nemesis = Nemesis(self.network)
        self.address = f"{self.network.subnet}.100"
        self.port = PORT
        self._dead: set[str] = set()

    # --- what each has to say -------------------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start it on all hosts; return when one of them serves and the others are ready to."""

    @abstractmethod
    def move(self, host: str) -> None:
        """Have the service leave this host, in good order."""

    def set_the_stage(self, kind: Kind) -> None:
        """Have everything where the fault wants it, before the clients begin."""

    # --- what is the same for all ---------------------------------------------------------------------

    def raise_(self) -> None:
        """Raise the hosts and start it on them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network.raise_()
        self.start()

    def fault(self, kind: Kind) -> int:
        """Break the host that serves, and return when, in nanoseconds of CLOCK_BOOTTIME."""
        host = self.active()
        service = self.service_pid(host)
        at = now()
        match kind:
            case Kind.KILL:
                self.nemesis.kill(service)
            case Kind.HANG:
                self.nemesis.freeze(service)
            case Kind.CRASH | Kind.CRASH_LEADER:
                self.nemesis.crash(host)
                self._dead.add(host)
            case Kind.CUT:
                self.nemesis.pull_cable(host)
            case Kind.ISOLATE:
                self.nemesis.isolate(host)
            case Kind.MOVE:
                self.move(host)
        return at

    def owners(self) -> set[str]:
        """Return the living hosts that have the service's address: never more than one, by the book."""
        return {host.name for host in self._living() if self._has_address(host)}

    def active(self) -> str:
        """Return the one host that has the address."""
        (host,) = self.owners()
        return host

    def end(self) -> None:
        """Leave nothing."""
        self.nemesis.heal()
        self.network.end()

    # --- what they are made of ------------------------------------------------------------------------

    def witness(self, host: str) -> list[str]:
        """Return the command of the service on this host."""
        history = str(self.folder / "served.jsonl")
        options = ("--name", host, "--port", str(PORT), "--history", history)
        return [PYTHON, "-I", "-S", str(WITNESS), "serve", *options]

    def check(self, tries: int = 1) -> str:
        """Return a command that asks the service of its host: 0 if it answers within a second.

        Several tries, 0.1 s apart, are for who asks at once after a start.
        """
        path = self.folder / "check"
        if not path.exists():
            path.write_text(
                "#!/bin/bash\n"
                f"until exec 3<>/dev/tcp/127.0.0.1/{PORT}; do (($1 > ++tried)) || exit 1; sleep 0.1; done 2>/dev/null\n"
                "printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3\n"
                "read -r -t 1 answer <&3 && [[ $answer == *' 200 '* ]]\n"
            )
            path.chmod(0o755)
        return f"{path} {tries}"

    def service_pid(self, host: str) -> int:
        """Return the process that serves on this host."""
        for pid in sorted(self.network[host].pids()):
            with suppress(OSError):
                if os.fsencode(WITNESS) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:5]:
                    return pid
        raise AssertionError(f"no service on {host}")

    def _living(self) -> list[Host]:
        return [host for host in self.network.hosts.values() if host.name not in self._dead]

    def _has_address(self, host: Host) -> bool:
        try:
            return f" {self.address}/" in host.run(["ip", "-4", "addr", "show", LINK])
        except LabError:
            return False
