"""The hardware watchdog: a device that resets the host unless it hears from us, for when even the guard is stopped.

It is open only while a component is armed: a host without a primary has nothing that another may not start, and must not be
reset because its guard was stopped. It is fed from the guard's own loop and only while no deadline is overdue, so what
cannot be killed is reset with its host. It is closed with the magic character that turns it off when the last component
is disarmed or ended; a guard that dies leaves it running, and its successor has the device's timeout to open it again.

Who asks for a watchdog gets one: where it cannot be opened nothing is armed, and so nothing is promoted.
"""

import array
import errno
import fcntl
import os

_SET_TIMEOUT = 0xC0045706  # WDIOC_SETTIMEOUT, in the kernel's include/uapi/linux/watchdog.h
_FEED, _TURN_OFF = b"\0", b"V"


class Watchdog:
    """The device at `path`; empty: there is none, and all of this does nothing."""

    def __init__(self, path: str, timeout: int) -> None:
        self.path = path
        self.warning = ""  # the newest
        self._timeout = timeout  # seconds; 0: the device's own
        self._descriptor = -1

    @property
    def is_open(self) -> bool:
        """Tell whether the host is reset unless we feed it."""
        return self._descriptor >= 0

    def open(self) -> str:
        """Begin; return why not, if so."""
        if not self.path or self.is_open:
            return ""
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return f"watchdog {self.path} cannot be opened: {error.strerror}"
        if self._timeout:
            self._set_timeout()
        self.feed()
        return ""

    def feed(self) -> None:
        """Put off the reset."""
        self._write(_FEED)

    def turn_off(self) -> None:
        """End in good order: nothing is armed any more."""
        if self.is_open:
            self._write(_TURN_OFF)
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, character: bytes) -> None:
        if not self.is_open:
            return
        try:
            os.write(self._descriptor, character)
        except OSError as error:
            self.warning = f"watchdog {self.path} cannot be written to: {error.strerror}"

    def _set_timeout(self) -> None:
        seconds = array.array("i", [self._timeout])
        try:
            fcntl.ioctl(self._descriptor, _SET_TIMEOUT, seconds)
        except OSError as error:
            why = "is no watchdog" if error.errno == errno.ENOTTY else (error.strerror or "refuses")
            self.warning = f"watchdog {self.path} {why}: its timeout stays as it is"
            return
        if seconds[0] != self._timeout:
            self.warning = f"watchdog {self.path} takes {seconds[0]}s for its timeout, not {self._timeout}s"
