"""The understudy: a second guard that takes over when the first one dies or stands still.

A guard that is killed is replaced by systemd or by the agent; where there is no systemd, and the agent is killed or frozen at the same
time, nobody would. So whoever is on watch keeps a child that does nothing but hear its ticks, through a pipe. When the pipe is closed the first is dead;
when it is silent the first is frozen, and killed, which is safe at any time. Then the child takes the place, with the same deadlines: they
stand in the memory. It is there only while something is armed, as the watchdog is: a host without a primary pays nothing for it.

Three have to be killed at one blow for a primary to have no bounds: agent, guard and understudy.
"""

import os
import select
import signal

from holdfast.guard.armed import SECOND
from holdfast.guard.remembering import Memory

OF = "--understudy-of"  # the pid of the first one: who has lost its parent has another, which must not be taken for it
_TICK = b"."
_SILENT_MAX_MS = (
    2000  # of a clock that stands still while the machine is suspended; ticks come four times a second
)
_AGAIN = SECOND  # between two starts: one that cannot start is not started again and again
_HEARD_BY = 0  # the child hears through its standard input


class Understudy:
    """The child of who is on watch; `command` is what starts one such as that."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.trouble = ""  # why there is none
        self._command = [*command, OF, str(os.getpid())]
        self._environment = environment
        self._pid = 0
        self._tells = -1
        self._not_before = 0

    def keep(self, now: int, *, is_wanted: bool) -> None:
        """Have one exactly if it is wanted, and let it know that we are alive. Waits for nobody."""
        if not is_wanted:
            self.end()
            return
        if self._pid and os.waitpid(self._pid, os.WNOHANG)[0]:
            self._forget()
        if self._pid:
            self._tick()
        elif now >= self._not_before:
            self._not_before = now + _AGAIN
            self._start()

    def end(self) -> None:
        """End it: while we leave in good order nobody has to take over."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)  # our child, not yet waited for: its number is its own
            os.waitpid(self._pid, 0)
            self._forget()

    def _start(self) -> None:
        hears, self._tells = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        actions = [(os.POSIX_SPAWN_DUP2, hears, _HEARD_BY)]
        default = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
        try:
            self._pid = os.posix_spawn(
                self._command[0],
                self._command,
                self._environment,
                file_actions=actions,
                setsid=True,
                setsigdef=default,
            )
        except OSError as error:
            self.trouble = f"no understudy can be started: {error.strerror}"
            self._forget()
        finally:
            os.close(hears)

    def _tick(self) -> None:
        try:
            os.write(self._tells, _TICK)
        except OSError:
            return  # the pipe is full: it has enough to hear; or it is dying

    def _forget(self) -> None:
        os.close(self._tells)
        self._pid, self._tells = 0, -1


def stand_by(directory: str, first: int) -> Memory | None:
    """Hear the ticks of the guard with the pid `first`, whose child we are, until it is over; then take its place.

    None: it is over, and another guard has the place already.
    """
    try:
        over = os.pidfd_open(first)
    except ProcessLookupError:
        return Memory.take(directory, is_patient=False)
    if os.getppid() == first:  # so what we have hold of is our parent, and no stranger of its number
        _hear(over)
        _kill(over)
        _await(over)
    os.close(over)
    return Memory.take(directory, is_patient=False)


def _hear(over: int) -> None:
    waiting = select.poll()
    waiting.register(_HEARD_BY, select.POLLIN)
    waiting.register(over, select.POLLIN)
    while ready := waiting.poll(_SILENT_MAX_MS):
        if any(descriptor == over for descriptor, _ in ready) or not os.read(_HEARD_BY, 4096):
            return


def _kill(over: int) -> None:
    try:
        signal.pidfd_send_signal(over, signal.SIGKILL)
    except ProcessLookupError:
        return


def _await(over: int) -> None:
    """Await its end: until then it has the place, which it may be too stuck to give up."""
    waiting = select.poll()
    waiting.register(over, select.POLLIN)
    waiting.poll()
