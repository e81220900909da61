"""Telling whether the kernel killed a process for lack of memory.

Nothing says so of one process, so two counters are compared with what they were: that of the control group
(sure), and that of the whole host (likely, if it grew in the last moments).
"""

from pathlib import Path

from holdfast.components.cgroups import Cgroup


def count_in(cgroup: Cgroup | None) -> int:
    """Return how many processes of the group were killed so far; 0 where the kernel does not count."""
    return 0 if cgroup is None else _read(cgroup.path / "memory.events")


def count_on_host() -> int:
    """Return how many processes of the host were killed so far."""
    return _read(Path("/proc/vmstat"))


def _read(path: Path) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
