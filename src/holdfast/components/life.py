"""One life of one component's main process, watched from the event loop.

It is known to have ended when its pidfd says so, within a tenth of a millisecond, child of ours or not. How it
ended only its parent learns: for a process that an earlier agent started, that stays unknown.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Self

from holdfast.components import memory_kills, output, procfs
from holdfast.components.cgroups import Cgroup
from holdfast.components.procfs import Identity, Stat
from holdfast.components.records import Folder, Record
from holdfast.model.events import Exit
from holdfast.model.ids import ComponentId

_DETAIL = 1024  # bytes
_USUAL = {b"S", b"R", b"D", b"I"}


class Life:
    """A main process, from when it was started or found to its end."""

    def __init__(
        self,
        component: ComponentId,
        record: Record,
        folder: Folder,
        cgroup: Cgroup | None,
        descriptors: tuple[int, int],
    ) -> None:
        self.component = component
        self.record = record  # as on disk
        self.folder = folder
        self.cgroup = cgroup
        self.hidden: tuple[str, ...] = ()
        self.is_stopped = False  # as last reported
        self.is_dying = False  # as last reported
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._pidfd, self._stat = descriptors
        self._killed_in_cgroup = memory_kills.count_in(cgroup)
        first = self.look()
        self.adopted = first is not None and first.parent != os.getpid()

    @classmethod
    def take(
        cls, component: ComponentId, record: Record, folder: Folder, cgroup: Cgroup | None
    ) -> Self | None:
        """Take hold of the process that `record` names, None if it is gone."""
        pidfd = procfs.open_pidfd(record.identity)
        if pidfd is None:
            return None
        try:
            stat = os.open(f"/proc/{record.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(pidfd)
            return None
        return cls(component, record, folder, cgroup, (pidfd, stat))

    @property
    def identity(self) -> Identity:
        """Return which process it is."""
        return self.record.identity

    @property
    def is_over(self) -> bool:
        """Tell whether it ended."""
        return self.ended.done()

    def watch(self, on_end: Callable[["Life"], None], count_on_host: Callable[[], int]) -> None:
        """Call `on_end` once, when the process is gone. `count_on_host`: memory kills up to a moment ago."""
        asyncio.get_running_loop().add_reader(self._pidfd, self._end, on_end, count_on_host)

    def look(self) -> Stat | None:
        """Return how the process is now, by the descriptor that is kept open: no pid can be mistaken."""
        if self._stat < 0:
            return None
        try:
            return Stat.parse(os.pread(self._stat, 1024, 0))
        except ProcessLookupError:
            return None

    def has_news(self) -> bool:
        """Tell whether a closer look is worth it: this is asked of every life fifty times a second."""
        try:
            line = os.pread(self._stat, 1024, 0)
        except OSError:
            return False  # gone, or let go
        fields = line[line.rindex(b")") + 2 :].split(b" ", 7)
        is_usual = fields[0] in _USUAL and not int(fields[6]) & procfs.EXITING
        return self.is_stopped or not is_usual

    def send(self, number: int) -> None:
        """Send a signal to the main process."""
        if not self.is_over:
            procfs.send_signal(self._pidfd, number)

    def kill_group(self) -> None:
        """Kill the main process and, in the same breath, what shares its process group or control group."""
        if self.is_over:
            return
        self.send(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.identity.pid, signal.SIGKILL)
        if self.cgroup is not None:
            self.cgroup.kill()

    def let_go(self) -> None:
        """Stop watching; the process goes on."""
        if self._pidfd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.close(self._stat)
        self._pidfd = self._stat = -1

    def _end(self, on_end: Callable[["Life"], None], count_on_host: Callable[[], int]) -> None:
        how = self._read_exit(count_on_host)
        self.let_go()
        if not self.ended.done():
            self.ended.set_result(how)
        on_end(self)

    def _read_exit(self, count_on_host: Callable[[], int]) -> Exit:
        try:
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            status = None
        if status is None:
            unknown = "exit status unknown: an earlier agent started it, and only a parent is told"
            return Exit(detail=self._evidence([unknown]))
        if status.si_code == os.CLD_EXITED:
            return Exit(code=status.si_status, detail=self._evidence([]))
        facts = ["core dumped"] if status.si_code == os.CLD_DUMPED else []
        if status.si_status == signal.SIGKILL:
            if memory_kills.count_in(self.cgroup) > self._killed_in_cgroup:
                facts.append("killed by the kernel: out of memory")
            elif memory_kills.count_on_host() > count_on_host():
                facts.append(
                    "likely killed by the kernel: out of memory (it killed something in this moment)"
                )
        return Exit(signal=_name(status.si_status), detail=self._evidence(facts))

    def _evidence(self, facts: list[str]) -> str:
        if lines := output.last_lines(self.folder.output, self.record.output_from, self.hidden):
            facts = [*facts, f"last output: {lines}"]
        return "; ".join(facts).encode()[:_DETAIL].decode("utf-8", "ignore")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)  # a real-time signal has no name
