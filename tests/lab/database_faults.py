"""The faults that are played on a database in the lab, one at a time or two that meet, drawn from a number.

The host that suffers is mostly the primary's. What lasts is ended by `_mend`, which also brings back what was killed and is not
holdfast's to start: the host's agent, the servers of the coordinator.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.lab.database_stage import LEASE_S, Stage
from tests.lab.history import note
from tests.lab.several_hosts import ask

ROUNDS: Final = 2
TWO_MEET: Final = 0.6
SECOND_WITHIN_S: Final = 3.0  # of the first: while the failover is under way
LASTS: Final = (0.25, 2.5)  # leases: some end before anybody takes over, most do not
ALL_FROZEN_S: Final = 10.0
HITS_PRIMARY: Final = 0.7
AHEAD_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that was drawn: what, to whom, and how long after the one before."""

    kind: str
    is_at_primary: bool
    number: int  # which of the hosts, if it is not the primary
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """Faults that meet, and how long they last."""

    strikes: tuple[Strike, ...]
    leases: float


def draw(chance: Random) -> tuple[Round, ...]:
    """Draw a sequence, all at once: what comes of a fault changes nothing of those that follow."""
    return tuple(_round(chance) for _ in range(ROUNDS))


def _round(chance: Random) -> Round:
    first = _strike(chance, 0.0)
    second = _strike(chance, chance.uniform(0, SECOND_WITHIN_S))
    strikes = (first, second) if chance.random() < TWO_MEET else (first,)
    return Round(strikes, chance.uniform(*LASTS))


def _strike(chance: Random, after_s: float) -> Strike:
    kind = chance.choice(sorted(KINDS))
    return Strike(kind, chance.random() < HITS_PRIMARY, chance.randrange(60), after_s)


class Play:
    """What is done to one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.nemesis = stage.cluster.nemesis
        self.played: list[str] = []
        self.crashed: set[str] = set()
        self.lasts_s = 0.0
        self._harmed: set[str] = set()  # where agent or guard suffers

    def play(self, drawn: Round) -> None:
        """Strike, and mend."""
        for strike in drawn.strikes:
            time.sleep(strike.after_s)
            self.inflict(strike.kind, self._victim(strike))
        time.sleep(drawn.leases * LEASE_S)
        self._mend()

    def inflict(self, name: str, host: str) -> None:
        """Do this to this host."""
        self.played.append(f"{name} {host}")
        note(self.stage.cluster.history, "fault", self.played[-1])
        KINDS[name](self, host)

    def _mend(self) -> None:
        """End all that lasts."""
        stage = self.stage
        if self.lasts_s:
            time.sleep(self.lasts_s)
            self.lasts_s = 0.0
        self.nemesis.heal()
        self._harmed.clear()
        for disk in stage.disks.values():
            disk.free()
        for clock in stage.clocks.values():
            clock.set_ahead(0)
        for host in sorted(self.crashed):
            stage.boot(host)
        self.crashed.clear()
        for server in stage.cluster.site.servers.values():
            if not server.is_running:
                server.start()
        note(stage.cluster.history, "healed", "all is mended")

    def may_harm_holdfast(self, host: str) -> bool:
        """Tell whether agent and guard there are unharmed. Without both, on a host that goes on, only a watchdog device ends its primary."""
        is_unharmed = host not in self._harmed
        self._harmed.add(host)
        return is_unharmed

    def others(self, host: str) -> list[str]:
        return [name for name in self.stage.hosts if name != host]

    def _victim(self, strike: Strike) -> str:
        hosts = [host for host in self.stage.hosts if host not in self.crashed]
        primary = self.stage.primary()
        return primary if strike.is_at_primary and primary in hosts else hosts[strike.number % len(hosts)]

    def server_processes(self, host: str, rank: int | None = None) -> list[int]:
        """Return the server's processes there, the main one first; with `rank` only those of that."""
        found = []
        for pid in self.stage.cluster.site.network[host].pids():
            with suppress(OSError):  # gone meanwhile
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
                its = self.stage.kind.rank(command)
                if its is not None and rank in {None, its}:
                    found.append((its, pid))
        return [pid for _, pid in sorted(found)]


# --- the server ---------------------------------------------------------------------------------------


def kill_postmaster(play: Play, host: str) -> None:
    for pid in play.server_processes(host, 0):
        play.nemesis.kill(pid)


def kill_backend(play: Play, host: str) -> None:
    for pid in play.server_processes(host, 2)[:1]:
        play.nemesis.kill(pid)


def freeze_postmaster(play: Play, host: str) -> None:
    for pid in play.server_processes(host, 0):
        _freeze(play, pid)


def freeze_server(play: Play, host: str) -> None:
    for pid in play.server_processes(host):
        _freeze(play, pid)


def fill_disk(play: Play, host: str) -> None:
    play.stage.disks[host].fill()


# --- holdfast -----------------------------------------------------------------------------------------


def freeze_agent(play: Play, host: str) -> None:
    if play.may_harm_holdfast(host):
        _freeze(play, play.stage.cluster.agents[host].pid)


def kill_agent(play: Play, host: str) -> None:
    if play.may_harm_holdfast(host):
        agent = play.stage.cluster.agents[host]
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        play.stage.start_agent(host)


def freeze_guard(play: Play, host: str) -> None:
    if play.may_harm_holdfast(host):
        for pid in play.stage.cluster.processes(host, "holdfast.guard"):
            _freeze(play, pid)


def move_clock(play: Play, host: str) -> None:
    if (clock := play.stage.clocks.get(host)) is not None:
        clock.set_ahead(AHEAD_S if len(play.played) % 2 else -AHEAD_S)


def switch_over(play: Play, host: str) -> None:
    ask(play.stage.cluster, host, "switchover", "db", "--no-wait")  # refused or not: it is only asked


# --- hosts and the network ----------------------------------------------------------------------------


def pause_host(play: Play, host: str) -> None:
    play.nemesis.pause(host)


def crash_host(play: Play, host: str) -> None:
    if not play.crashed:  # two of three would take the coordinator's majority with them
        play.nemesis.crash(host)
        play.crashed.add(host)


def isolate(play: Play, host: str) -> None:
    play.nemesis.isolate(host)


def cut_from_hosts(play: Play, host: str) -> None:
    play.nemesis.partition({host}, set(play.others(host)))  # clients still reach it


def silence(play: Play, host: str) -> None:
    play.nemesis.silence(host)


def deafen(play: Play, host: str) -> None:
    play.nemesis.deafen(host)


def bridge(play: Play, host: str) -> None:
    middle, other = play.others(host)
    play.nemesis.bridge(middle, {host}, {other})


# --- the coordinator ----------------------------------------------------------------------------------


def kill_coordinator(play: Play, host: str) -> None:
    server = play.stage.cluster.site.servers[_leading(play, host)]
    server.kill()


def freeze_coordinator(play: Play, host: str) -> None:
    server = play.stage.cluster.site.servers[_leading(play, host)]
    if server.is_running:
        _freeze(play, server.pid)


def freeze_all_coordinators(play: Play, host: str) -> None:
    for server in play.stage.cluster.site.servers.values():
        if server.is_running:
            _freeze(play, server.pid)
    play.lasts_s = ALL_FROZEN_S


def _leading(play: Play, host: str) -> str:
    """Return where the coordinator's leader runs; without one, this host."""
    site = play.stage.cluster.site
    with site.network.hub.entered():
        for name, member in site.servers.items():
            if name not in play.crashed and member.is_serving and site.ensemble.leads(member):
                return name
    return host


def _freeze(play: Play, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        play.nemesis.freeze(pid)


Kind = Callable[[Play, str], None]
KINDS: Final[dict[str, Kind]] = {
    kind.__name__: kind
    for kind in (
        kill_postmaster,
        kill_backend,
        freeze_postmaster,
        freeze_server,
        fill_disk,
        freeze_agent,
        kill_agent,
        freeze_guard,
        move_clock,
        switch_over,
        pause_host,
        crash_host,
        isolate,
        cut_from_hosts,
        silence,
        deafen,
        bridge,
        kill_coordinator,
        freeze_coordinator,
        freeze_all_coordinators,
    )
}
