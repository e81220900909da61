"""A database under load, watched: what a sequence of faults is played on, and judged by.

with Stage(cluster, PostgresKind(cluster)) as stage:
    stage.raise_up({"commit": "quorum"})
    stage.cluster.nemesis.crash(stage.primary())
    ...
    stage.settle()
    outcome = stage.judged()
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import pytest

from holdfast.model.time import SECOND
from tests.lab import checking
from tests.lab.clocks import WallClock, can_move_wall_clock
from tests.lab.database_history import Listed, Sample, numbered, read_database
from tests.lab.database_kinds import Kind
from tests.lab.database_load import ClientSpec, Load
from tests.lab.database_sampler import Sampling
from tests.lab.database_sessions import Where
from tests.lab.history import History, Starved, now
from tests.lab.hosts import PYTHON, Cluster
from tests.lab.judging import Judgement, Verdict
from tests.lab.network import HUB
from tests.lab.several_hosts import seen_from
from tests.lab.small_disks import SmallDisk

LEASE_S: Final = int(os.environ.get("HOLDFAST_LAB_LEASE", "2"))  # longer where the machine is busy
COMES_BACK_S: Final = 60  # on a busy machine too
LOSES_S: Final = (
    LEASE_S + 3
)  # asynchronously: for as long as a primary that is cut off may serve its own side, on a busy machine
SETTLES_S: Final = LEASE_S + 1  # what a fault's end sets off may come as late as this
# A guard that stood still with its host ends its primary as soon as it goes on: on a busy machine within this.
EXCUSED: Final = SECOND // 2
SETTLED_WITHIN_S: Final = COMES_BACK_S * 1.5
LOOKS_EVERY_S: Final = 0.25
CLIENTS: Final = 7
STARVED_MAX: Final = 0.03  # of the time; on a calm machine it is a tenth of that
DISK_BYTES: Final = 256 << 20
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Told:
    """What the judges said, each by name, and what was measured."""

    judgements: dict[str, Judgement]
    outage_s: float
    acknowledged: int
    lost: int
    redundant_s: float | None

    @property
    def not_kept(self) -> dict[str, str]:
        """Return what is broken, and what could not be judged: that proves nothing."""
        return {name: str(told) for name, told in self.judgements.items() if told.verdict is not Verdict.KEPT}


class Stage:
    """One database on a cluster's hosts, each on a disk of its own, with clients and samplers."""

    def __init__(self, cluster: Cluster, kind: Kind, *, is_lossless: bool = False) -> None:
        """`is_lossless`: it commits synchronously."""
        self.cluster = cluster
        self.kind = kind
        self.hosts = tuple(host.name for host in cluster.site.hosts)
        self.is_lossless = is_lossless
        self.disks: dict[str, SmallDisk] = {}
        self.clocks: dict[str, WallClock] = {}
        self._files = [cluster.history, *(cluster.folder / f"{what}.jsonl" for what in ("load", "samples"))]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()

    # --- its life -------------------------------------------------------------------------------------

    def raise_up(self, wiring: Mapping[str, Any], on_coordinator_loss: str = "stop") -> None:
        """Start everything, and let clients in. `wiring` are more keys of the server."""
        cluster, kind = self.cluster, self.kind
        hub = cluster.site.network[HUB]
        clients = [f"{host.address}/32" for host in (*cluster.site.hosts, hub)]
        service = {**kind.service(clients, wiring), "on_coordinator_loss": on_coordinator_loss}
        cluster.write({"db": service}, lease=f"{LEASE_S}s")
        for host in self.hosts:
            self.start_agent(host)
        cluster.until(kind.is_whole, "a primary and two standbys that follow it", COMES_BACK_S)
        kind.make_room()
        self._start("database_sampler", self._sampling(), "samples")
        self._start("database_load", self._load(), "load")
        cluster.until(self._is_used_by_all, "all clients are served, and samples are taken", COMES_BACK_S)

    def start_agent(self, host: str) -> None:
        clock = self.clocks.get(host)
        self.cluster.start_agent(host, **({} if clock is None else clock.environment))

    def boot(self, host: str) -> None:
        """Start again what a crash ended."""
        self.cluster.nemesis.plug_in(host)
        server = self.cluster.site.servers[host]
        if not server.is_running:
            server.start()
        self.start_agent(host)

    def settle(self) -> None:
        """Wait until it serves everybody and is whole again, and stays so for a while."""

        def is_settled() -> bool:
            history = self.so_far()
            since = checking.redundant_since(history, self._followers)
            calm = max(since or 0, checking.faults_ended(history) or 0) + SETTLES_S * SECOND
            back = checking.served_again(history, COMES_BACK_S * SECOND)
            return since is not None and back.verdict is not Verdict.BROKEN and now() > calm

        self._until(is_settled, "everybody is served and it is whole again", SETTLED_WITHIN_S)

    def judged(self) -> Told:
        """End the clients, read the lists, and let all judges speak."""
        self._end("load")
        lists: list[Listed] = []

        def are_equal() -> bool:
            lists[:] = [listed for host in self.hosts if (listed := self.kind.listed(host)) is not None]
            one_primary = sum(listed.is_primary for listed in lists) == 1
            are_all = len(lists) == len(self.hosts)
            return are_all and one_primary and len({listed.entries for listed in lists}) == 1

        self._until(are_equal, "all servers hold the same", COMES_BACK_S)
        self._until(self._is_whole, "it is still whole", COMES_BACK_S)
        self._end("samples")
        history = self.so_far(lists)
        bound = COMES_BACK_S * SECOND
        none_lost = checking.none_lost(history)
        judgements = {
            "not too much lost": none_lost
            if self.is_lossless
            else checking.only_a_tail_lost(history, LOSES_S * SECOND),
            "no duplicates": checking.no_duplicates(history),
            "nothing from nowhere": checking.nothing_from_nowhere(history),
            "in order": checking.in_order(history),
            "standbys equal": checking.standbys_equal(history),
            "one writable": checking.one_writable(history, EXCUSED),
            "none by the deposed": checking.none_acknowledged_by_the_deposed(
                history, 0 if self.is_lossless else EXCUSED
            ),
            "a reign has one host": checking.a_reign_has_one_host(history),
            "registers": checking.registers_linearizable(history, is_lossless=self.is_lossless),
            "served again": checking.served_again(history, bound),
            "redundant again": checking.redundant_again(history, self._followers, bound),
        }
        redundant = judgements["redundant again"].measured
        return Told(
            judgements,
            checking.outage_of(history) / SECOND,
            len(checking.acknowledged_of(history)),
            len(checking.lost_of(history)),
            None if redundant is None else redundant / SECOND,
        )

    def _is_whole(self) -> bool:
        return checking.redundant_since(self.so_far(), self._followers) is not None

    def so_far(self, lists: Sequence[Listed] = ()) -> History:
        history = History((*read_database(*self._files).records, *lists))
        return numbered(history) if self.kind.has_drawn_reigns else history

    def primary(self) -> str:
        """Return the host whose server took a write last."""
        samples = [sample for sample in self.so_far().of(Sample) if sample.is_taken]
        return max(samples, key=lambda sample: sample.ended).host

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.kind.folder, ignore_errors=True)
            for host in self.hosts:
                disk = SmallDisk(self.kind.folder / host, DISK_BYTES)
                self.disks[host] = stack.enter_context(disk)
                if self.kind.user is not None:
                    shutil.chown(disk.place, self.kind.user, self.kind.user)
                if can_move_wall_clock():
                    folder = self.cluster.folder / f"clock-{host}"
                    folder.mkdir()
                    self.clocks[host] = WallClock(folder)
            # Before the disks go: all that runs.
            stack.callback(self.cluster.site.restore, self.cluster.nemesis)
            stack.callback(self._end, "load", "samples")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(self._logs())
        self._stack.close()

    def _until(self, holds: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait until it holds. If it never does on a machine on which even the clients stood still, that proves nothing."""

        def at_times() -> bool:
            time.sleep(
                LOOKS_EVERY_S
            )  # to read a history is work, of which the servers should have little beside them
            return holds()

        try:
            self.cluster.until(at_times, what, within_s)
        except AssertionError:
            history = self.so_far()
            recent = [each.late for each in history.of(Starved) if each.at > now() - within_s * SECOND]
            stood_still = sum(recent) / CLIENTS / SECOND
            if stood_still > STARVED_MAX * within_s:
                (self.cluster.folder / "said").write_text(f"{self.cluster.said()}\n{self._logs()}")
                pytest.skip(f"the machine was too busy: each client stood still for {stood_still:.1f} s")
            raise

    # --- its parts ------------------------------------------------------------------------------------

    @property
    def _followers(self) -> int:
        return len(self.hosts) - 1

    def _start(self, module: str, spec: msgspec.Struct, what: str) -> None:
        file = self.cluster.folder / f"{what}.spec"
        file.write_bytes(msgspec.json.encode(spec))
        hub = self.cluster.site.network[HUB]
        command = [PYTHON, "-m", f"tests.lab.{module}", str(file)]
        self._running[what] = hub.start(command, self.cluster.log(what), {"PYTHONPATH": str(ROOT)})

    def _end(self, *names: str) -> None:
        for process in [self._running.pop(name) for name in names if name in self._running]:
            process.send_signal(signal.SIGTERM)
            process.wait(COMES_BACK_S)

    def _sampling(self) -> Sampling:
        targets = {host: self.kind.sampled(host) for host in self.hosts}
        return Sampling(self.kind.name, str(self._files[2]), targets)

    def _load(self) -> Load:
        at = {host.name: host.address for host in self.cluster.site.hosts}
        names = {address: host for host, address in at.items()}
        one, two, three = at.values()
        kind = self.kind

        def through(address: str) -> tuple[Where, ...]:
            return (kind.reached(address, kind.listen, names),)

        straight = tuple(kind.reached(address, kind.port, names) for address in at.values())
        clients = (
            ClientSpec("new-1", "append", through(one), is_pinned=False, patience_s=1),
            ClientSpec("new-2", "append", through(two), is_pinned=False, patience_s=1),
            ClientSpec("pinned-3", "append", through(three), is_pinned=True, patience_s=15),
            ClientSpec("straight", "append", straight, is_pinned=True, patience_s=15),
            ClientSpec("touch-1", "touch", through(one), is_pinned=True, patience_s=2),
            ClientSpec("touch-3", "touch", through(three), is_pinned=False, patience_s=1),
            ClientSpec("touch-straight", "touch", straight, is_pinned=True, patience_s=15),
        )
        assert len(clients) == CLIENTS
        return Load(kind.name, str(self._files[1]), clients)

    def _is_used_by_all(self) -> bool:
        history = self.so_far()
        clients = {append.client for append in checking.acknowledged_of(history)}
        return len(clients) == 4 and any(sample.is_taken for sample in history.of(Sample))

    def _logs(self) -> str:
        """Return what the servers wrote, and how each agent sees the cluster."""
        logs = sorted(self.cluster.folder.glob("*/state/components/db/*/output.log"))
        views = []
        for host in self.hosts:
            with suppress(OSError, KeyError):
                views.append(f"--- seen from {host}\n{seen_from(self.cluster, host)}")
        told = [f"--- {path}\n{path.read_text(errors='replace')[-4000:]}" for path in logs]
        return "\n".join([*views, *told])
