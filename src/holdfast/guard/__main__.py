"""`python -m holdfast.guard --directory DIR [--watchdog DEVICE] [--watchdog-timeout SECONDS] [--unless-running]`.

For people there is `holdfast guard`, which becomes this. The arguments are read by hand: argparse would cost the guard
a twentieth of its memory for as long as it lives.
"""

import os
import signal
import sys

from holdfast.guard import kernel, understudy
from holdfast.guard.command import command
from holdfast.guard.guard import Guard
from holdfast.guard.listening import Listening
from holdfast.guard.rehearsing import rehearse
from holdfast.guard.remembering import Memory
from holdfast.guard.saying import say
from holdfast.guard.understudy import Understudy
from holdfast.guard.watchdog import Watchdog

_USAGE = 2
_BY_AGENT = "--unless-running"  # an agent started it: it is for that agent to end, and to start again


class _Call:
    """What the arguments say."""

    __slots__ = ("directory", "first", "is_of_agent", "watchdog", "watchdog_timeout")

    def __init__(self, given: dict[str, str], *, is_of_agent: bool) -> None:
        self.directory = os.path.abspath(given["--directory"])
        self.watchdog = given["--watchdog"]
        self.watchdog_timeout = int(given["--watchdog-timeout"])
        self.is_of_agent = is_of_agent
        self.first = int(given[understudy.OF])  # whose understudy it is; 0: nobody's


def main(arguments: list[str]) -> int:
    """Read the arguments, become the guard, watch."""
    given = {"--directory": "", "--watchdog": "", "--watchdog-timeout": "0", understudy.OF: "0"}
    rest = [argument for argument in arguments if argument != _BY_AGENT]
    pairs = dict(zip(rest[::2], rest[1::2], strict=False))
    given |= pairs
    if (
        len(rest) % 2
        or len(given) != 4
        or not given["--directory"]
        or not (given["--watchdog-timeout"].isdecimal() and given[understudy.OF].isdecimal())
    ):
        print(__doc__, file=sys.stderr)
        return _USAGE
    call = _Call(given, is_of_agent=_BY_AGENT in arguments)
    try:
        return _stand_by(call) if call.first else _watch(call)
    except OSError as error:
        say(f"cannot work: {error}")
        return 1


def _watch(call: _Call) -> int:
    memory = Memory.take(call.directory, is_patient=False)
    if memory is None:
        is_patient = not call.is_of_agent
        say(f"finds another guard on watch over {call.directory}" + (", and stands by" if is_patient else ""))
        memory = Memory.take(call.directory, is_patient=True) if is_patient else None
    if memory is None:
        return 0
    warnings = _prepare()
    return 1 if warnings is None else _become(call, memory, warnings)


def _stand_by(call: _Call) -> int:
    """Be ready in every way, and take over when the guard whose child we are dies or stands still."""
    warnings = _prepare()  # the first one has told them
    if warnings is None or (memory := understudy.stand_by(call.directory, call.first)) is None:
        return 0
    say(f"takes over from pid {call.first}, which died or stood still")
    return _become(call, memory, [])


def _prepare() -> list[str] | None:
    """Do what has to be done before anything is armed; return what is not as it should be, None if it cannot work."""
    warnings = [kernel.lock_memory(), *kernel.come_first()]
    if error := rehearse():
        say(error)
        return None
    return warnings


def _become(call: _Call, memory: Memory, warnings: list[str]) -> int:
    arguments, environment = command(
        call.directory,
        watchdog=call.watchdog,
        watchdog_timeout=call.watchdog_timeout,
        unless_running=call.is_of_agent,
    )
    watchdog = Watchdog(call.watchdog, call.watchdog_timeout)
    second = Understudy(arguments, environment)
    guard = Guard(memory, Listening(call.directory), watchdog, second, is_of_agent=call.is_of_agent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: guard.leave())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    say(f"watches over {call.directory}, pid {os.getpid()}")
    for warning in filter(None, [*warnings, memory.warning]):
        say(f"warning: {warning}")
    guard.run()
    memory.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
