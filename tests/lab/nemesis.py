"""The nemesis: breaks hosts, processes and the network between them, mends them again, and keeps a record of both.

What each fault means for who suffers it:

- a cut is silence: packets vanish, connections stay open and wait;
- a cable that is pulled is known at once to its host (no carrier), and to nobody else;
- a frozen process keeps its sockets: the kernel still accepts connections for it;
- a crashed host says no good-bye: its cable is pulled first, then all that runs there dies at once. Its kernel lives on, and its addresses
  with it, which is why the cable has to go. What needs a real power cut (memory that was never synced) is not shown by this;
- a paused host freezes agent, guard, components and servers alike, as a hypervisor does. The clock runs on meanwhile: the kernel is shared.
"""

import os
import signal
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from tests.lab import cuts
from tests.lab.cuts import Cut
from tests.lab.network import HUB, LINK, Network

Note = Callable[[str, str], None]  # kind ("fault" or "healed"), what exactly


def unnoted(kind: str, what: str) -> None:
    """Keep no record."""


class Nemesis:
    """Faults of one network, and their end."""

    def __init__(self, network: Network, note: Note = unnoted) -> None:
        self.network = network
        self._note = note
        self._cuts: set[Cut] = set()
        self._unplugged: set[str] = set()
        self._paused: set[str] = set()
        self._frozen: set[int] = set()

    # --- the network ----------------------------------------------------------------------------------

    def partition(self, *sides: Collection[str]) -> None:
        """Cut the sides from each other. The hub, where the clients are, sees all hosts unless a side names it."""
        self.cut(cuts.between(*sides), f"partition {' | '.join(map(_listed, sides))}")

    def isolate(self, host: str) -> None:
        """Cut one host from all others and from the clients."""
        self.cut(cuts.between({host}, self._others(host)), f"isolate {host}")

    def deafen(self, host: str) -> None:
        """One way: nothing arrives at this host; what it sends arrives."""
        self.cut(cuts.one_way(self._others(host), {host}), f"deafen {host}")

    def silence(self, host: str) -> None:
        """One way: nothing that this host sends arrives; it hears all."""
        self.cut(cuts.one_way({host}, self._others(host)), f"silence {host}")

    def bridge(self, middle: str, *sides: Collection[str]) -> None:
        """Cut the sides from each other; `middle` sees them all."""
        self.cut(cuts.bridge(middle, *sides), f"bridge {middle}: {' | '.join(map(_listed, sides))}")

    def cut_port(self, number: int, clients: Iterable[str], servers: Collection[str] = ()) -> None:
        """Cut these hosts, as clients, from one port of the servers; from that of all hosts, if none are named."""
        clients = tuple(clients)
        servers = servers or tuple(self.network.hosts)
        self.cut(cuts.port(number, clients, servers), f"cut port {number} for {_listed(clients)}")

    def cut(self, more: set[Cut], what: str) -> None:
        """Add cuts to those that stand."""
        self._note("fault", what)
        self._put(self._cuts | more)

    def heal(self) -> None:
        """End every fault of the network, and let go on what is frozen. The dead stay dead."""
        self._put(set())
        for host in tuple(self._unplugged):
            self.plug_in(host)
        for host in tuple(self._paused):
            self.resume(host)
        for pid in tuple(self._frozen):
            self.thaw(pid)
        self._note("healed", "all")

    def pull_cable(self, host: str) -> None:
        """Take the host's carrier away."""
        self._note("fault", f"pull the cable of {host}")
        self._unplug(host)

    def plug_in(self, host: str) -> None:
        """Give it back."""
        self.network.hub.run(["ip", "link", "set", host, "up"])
        self._unplugged.discard(host)

    def set_link(self, host: str, *, up: bool) -> None:
        """Set the host's own interface, as an administrator does. Down, it keeps its addresses and loses its routes."""
        self._note("healed" if up else "fault", f"link {'up' if up else 'down'} on {host}")
        self.network[host].run(["ip", "link", "set", LINK, "up" if up else "down"])

    # --- processes ------------------------------------------------------------------------------------

    def kill(self, pid: int) -> None:
        """End a process as a crash does. One that is gone already is no error."""
        self._note("fault", f"kill {pid}")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        """Stop a process; its sockets stay open."""
        self._note("fault", f"freeze {pid}")
        os.kill(pid, signal.SIGSTOP)
        self._frozen.add(pid)

    def thaw(self, pid: int) -> None:
        """Let it go on. One that was killed meanwhile is no error."""
        self._frozen.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._note("healed", f"thaw {pid}")

    # --- whole hosts ----------------------------------------------------------------------------------

    def pause(self, host: str) -> None:
        """Freeze everything on a host at once. The network still carries what the kernel answers by itself."""
        self._note("fault", f"pause {host}")
        self._paused.add(host)
        self.network[host].signal_all(signal.SIGSTOP)

    def resume(self, host: str) -> None:
        """Let everything on it go on."""
        self._paused.discard(host)
        self.network[host].signal_all(signal.SIGCONT)
        self._note("healed", f"resume {host}")

    def crash(self, host: str) -> None:
        """End everything on a host, with no good-bye on the network. `plug_in` makes it ready to be started again."""
        self._note("fault", f"crash {host}")
        self._unplug(host)
        self.network[host].signal_all(signal.SIGSTOP)
        self.network[host].signal_all(signal.SIGKILL)

    def _unplug(self, host: str) -> None:
        self._unplugged.add(host)
        self.network.hub.run(["ip", "link", "set", host, "down"])

    def _others(self, host: str) -> set[str]:
        return {HUB, *self.network.hosts} - {host}

    def _put(self, wanted: set[Cut]) -> None:
        changed = wanted ^ self._cuts
        self._cuts = wanted  # also if a command fails half-way: then `heal` knows what may stand
        if changed:
            self.network.hub.run(["nft", "-f", "-"], cuts.at_bridge(wanted, HUB))
        for host in sorted({cut.source for cut in changed if cut.source == cut.target}):
            self.network[host].run(["nft", "-f", "-"], cuts.at_host(wanted, host))


def _listed(names: Iterable[str]) -> str:
    return "+".join(sorted(names))
