"""Clocks that jump: which clock can be moved for one process, and how.

What works here, and what does not:

- The wall clock of one process: by a shim that is loaded before it (wall_clock.c), while it runs. Works for programs that ask the time through the C library:
  Python, Java. Not for etcd: Go asks the kernel itself, so etcd's clock cannot be moved without moving the machine's.
- The boot clock and the monotonic clock of a process: by a time namespace, from its start on. They cannot jump while it runs: the kernel
  itself guarantees that, so a jump would be a fault that no machine has. What can be shown is that no instant is ever compared across hosts.
- The machine's own wall clock is not touched: everything else on the machine would suffer.
"""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")


def at_boot_offset(seconds: int) -> tuple[str, ...]:
    """Return what comes before a command to have its host booted so much earlier. The process id stays."""
    return ("unshare", "--time", f"--boottime={seconds}", f"--monotonic={seconds}")


def can_move_wall_clock() -> bool:
    """Return whether the shim can be built here."""
    return shutil.which("cc") is not None and Path("/usr/include/dlfcn.h").exists()


class WallClock:
    """A wall clock for the processes that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "wall_clock.so"
        self._offset = folder / "wall_clock.offset"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self._offset.write_bytes(struct.pack("q", 0))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to go by this clock."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK_OFFSET": str(self._offset)}

    def set_ahead(self, seconds: int) -> None:
        """Jump to so much ahead of the true time; negative: behind it."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("q", seconds))
