"""What the guard asks of the kernel for itself: memory that is never paged out, a turn before everybody else, an alarm.

Where the host does not permit one of them the guard says so and goes on: less sure is better than not there.
"""

import ctypes
import errno
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)

_LOCK_CURRENT, _LOCK_FUTURE, _LOCK_ON_FAULT = (
    1,
    2,
    4,
)  # MCL_... in the kernel's include/uapi/asm-generic/mman.h
_TIMER_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK and TFD_CLOEXEC are the same numbers
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_PRIORITY = 10  # of SCHED_FIFO: before every ordinary process, behind the kernel's own threads (50)
_SECOND = 1_000_000_000


def now() -> int:
    """Return nanoseconds on CLOCK_BOOTTIME, which counts on while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def lock_memory() -> str:
    """Keep in memory what is there and what comes; return why not, if so.

    On fault: pages of the interpreter that the guard never touches stay out, which saves it a third of its memory. What it
    needs it has touched before, because it rehearses (see `rehearsing`).
    """
    if _libc.mlockall(_LOCK_CURRENT | _LOCK_FUTURE | _LOCK_ON_FAULT) == 0:
        return ""
    return (
        f"memory is not locked ({os.strerror(ctypes.get_errno())}): it may be paged out; raise LimitMEMLOCK"
    )


def come_first() -> list[str]:
    """Be scheduled before others, and killed by a lack of memory after all others; return what is not permitted."""
    warnings = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError as error:
        warnings.append(f"no real-time priority ({error.strerror}): a busy host may delay it")
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        except OSError as refused:
            warnings.append(f"no high priority either ({refused.strerror})")
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("-1000")
    except OSError as error:
        warnings.append(
            f"the kernel may choose it when memory runs out ({error.strerror}); set OOMScoreAdjust"
        )
    return warnings


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """A descriptor that becomes readable at an instant of CLOCK_BOOTTIME, at once after a suspension that it fell into.

    The timeouts of poll and select count a clock that stands still while the machine is suspended.
    """

    def __init__(self) -> None:
        self.descriptor = _libc.timerfd_create(time.CLOCK_BOOTTIME, _TIMER_FLAGS)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), f"no timer: {os.strerror(ctypes.get_errno())}")
        self._instant: int | None = None

    def set(self, instant: int | None) -> None:
        """Ring at `instant`, at once if that has passed; None: not at all."""
        if instant == self._instant:
            return
        seconds, nanoseconds = divmod(instant or 0, _SECOND)  # zero turns it off
        timer = _Timer(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
        if _libc.timerfd_settime(self.descriptor, _ABSOLUTE, ctypes.byref(timer), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._instant = instant

    def hear(self) -> None:
        """Take note that it rang, if it did."""
        try:
            os.read(self.descriptor, 8)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        else:
            self._instant = None
