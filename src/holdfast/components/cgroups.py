"""One control group per component, where the host lets us have them (cgroup v2).

It is the only thing that a process cannot leave by forking, changing its session and cleaning its environment,
and `cgroup.kill` ends all of it at once, fork bombs included. Without it, marks and sessions have to do.
No controllers are enabled, so it works beside the agent in the group that the agent's unit was given.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.model.ids import ComponentId

_PREFIX = "holdfast-"


class Cgroup:
    """The control group of one component."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open_entrance(self) -> int:
        """Make the group and return a descriptor; a process that writes `0` to it is inside."""
        self.path.mkdir(exist_ok=True)
        return os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """Return what runs in it; zombies are not listed."""
        try:
            return [int(line) for line in (self.path / "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            return []

    def kill(self) -> None:
        """Send SIGKILL to all of it, those that fork meanwhile included."""
        # Before Linux 5.14 there is no such file: then each process is killed by itself.
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1", encoding="ascii")

    def remove(self) -> None:
        """Remove it if it is empty."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


class Cgroups:
    """The control groups of one agent."""

    def __init__(self, instance: str, parent: Path | None) -> None:
        self._prefix = f"{_PREFIX}{instance}:"
        self._parent = parent

    @classmethod
    def find(cls, instance: str) -> "Cgroups":
        """Return those below our own group, or none where the host does not let us make any."""
        parent = _own_group()
        # A write bit is no proof (read-only mounts, namespaces): make one and see.
        if parent is not None and not _can_make(parent / f"{_PREFIX}{instance}-try"):
            parent = None
        return cls(instance, parent)

    def of(self, component: ComponentId, recorded: str = "") -> Cgroup | None:
        """Return the group of `component`: where it was recorded to be, else where we would put it."""
        if recorded and Path(recorded).is_dir():
            return Cgroup(Path(recorded))
        if self._parent is None:
            return None
        return Cgroup(self._parent / (self._prefix + component.replace("/", ":")))

    def occupied(self) -> Iterator[tuple[ComponentId, Cgroup]]:
        """Yield the components that have a group of their own now."""
        if self._parent is None:
            return
        for path in self._parent.glob(f"{self._prefix}*"):
            yield path.name.removeprefix(self._prefix).replace(":", "/", 1), Cgroup(path)


def _own_group() -> Path | None:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    points = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    own = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), None)
    if not points or own is None:
        return None
    return Path(points[0]) / own.lstrip("/")


def _can_make(path: Path) -> bool:
    try:
        path.mkdir(exist_ok=True)
        os.close(os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            path.rmdir()
    return True
