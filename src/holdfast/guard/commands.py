"""Commands at a deadline: they take back what a component holds that is no process, such as an address.

They run one after the other, the last one counts: 0 and 7 (nothing was there) mean that it is done. Anything else, and one that does
not end in its time, is tried again for as long as it takes. The guard never waits for them: it looks how they are when it looks.
"""

import os
import signal

from holdfast.guard.armed import SECOND

WITHIN = 10 * SECOND  # what takes longer is killed with its group
AGAIN_MIN, AGAIN_MAX = SECOND // 4, 4 * SECOND  # between two attempts; doubles
_DONE = (0, 7)
_NOTHING = [
    (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY, 0)
    for number in range(3)
]
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)


class Commands:
    """The commands of one component on its way out."""

    def __init__(self, commands: tuple[tuple[str, ...], ...], variables: tuple[str, ...]) -> None:
        self.trouble = ""  # why the newest attempt did not do
        self.is_over = not commands
        self._commands = commands
        self._variables = dict(variable.split("=", 1) for variable in variables)
        self._next = 0  # of the commands, in this attempt
        self._pid = 0  # of the one that runs; 0: none does
        self._since = 0
        self._not_before = 0
        self._pause = AGAIN_MIN

    def go_on(self, now: int) -> None:
        """Begin what is due, and take note of what ended."""
        if self._pid:
            self._look(now)
        while not self.is_over and not self._pid and now >= self._not_before:
            self._begin(now)

    def _begin(self, now: int) -> None:
        command = self._commands[self._next]
        try:
            # A session of its own, and no mark: it is not what the guard ends.
            self._pid = os.posix_spawn(
                command[0], command, self._variables, file_actions=_NOTHING, setsid=True, setsigdef=_SIGNALS
            )
        except OSError as error:
            self._conclude(f"{command[0]} cannot be run: {error.strerror}", now)
            return
        self._since = now

    def _look(self, now: int) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0 and now - self._since < WITHIN:
            return
        name = " ".join(self._commands[self._next])
        if pid == 0:
            os.killpg(self._pid, signal.SIGKILL)  # our child, not yet waited for: its number is its own
            if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                return  # it dies; the next look takes note
            status = signal.SIGKILL
        self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        self._conclude("" if code in _DONE else f"{name} ended with {code}", now)

    def _conclude(self, trouble: str, now: int) -> None:
        self._next += 1
        if self._next < len(self._commands):
            return
        self._next = 0
        self.trouble = trouble
        self.is_over = not trouble
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, AGAIN_MAX)
