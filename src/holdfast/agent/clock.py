"""This host's clock: the one place where the shell reads the time.

CLOCK_BOOTTIME counts on while the machine is suspended, so a lease or a deadline that passed meanwhile is seen
to have passed. The wall clock is read once at start, for rendering only: it may jump, so nothing is decided by it.
"""

import time
from pathlib import Path

from holdfast.model.time import Duration, Instant


def now() -> Instant:
    """Return the present instant."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_offset() -> Duration:
    """Return what has to be added to an instant of this boot to get nanoseconds since 1970."""
    return time.time_ns() - now()


def boot_id() -> str:
    """Return the kernel's id of the present boot. Instants of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def wall() -> int:
    """Return nanoseconds since 1970, by the wall clock: for records that people read."""
    return time.time_ns()
