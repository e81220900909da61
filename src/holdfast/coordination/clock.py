"""The clock that sessions count on: CLOCK_BOOTTIME, which goes on while the machine is suspended.

With CLOCK_MONOTONIC a suspended owner would wake up and believe that no time had passed.
"""

import time
from pathlib import Path

from holdfast.model.time import Instant


def now() -> Instant:
    """Return the present instant."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the kernel's id of the present boot: instants of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
