"""`python -m holdfast.guard --directory DIR [--watchdog DEVICE] [--watchdog-timeout SECONDS] [--unless-running]`.

For people there is `holdfast guard`, which becomes this. The arguments are read by hand: argparse would cost the guard
a twentieth of its memory for as long as it lives.
"""

import os
import signal
import sys

from holdfast.guard import kernel
from holdfast.guard.guard import Guard
from holdfast.guard.listening import Listening
from holdfast.guard.rehearsing import rehearse
from holdfast.guard.remembering import Memory
from holdfast.guard.saying import say
from holdfast.guard.watchdog import Watchdog

_USAGE = 2


def main(arguments: list[str]) -> int:
    """Read the arguments, become the guard, watch."""
    given = {"--directory": "", "--watchdog": "", "--watchdog-timeout": "0"}
    unless_running = "--unless-running" in arguments
    rest = [argument for argument in arguments if argument != "--unless-running"]
    pairs = dict(zip(rest[::2], rest[1::2], strict=False))
    given |= pairs
    if (
        len(rest) % 2
        or len(given) != 3
        or not given["--directory"]
        or not given["--watchdog-timeout"].isdecimal()
    ):
        print(__doc__, file=sys.stderr)
        return _USAGE
    watchdog = Watchdog(given["--watchdog"], int(given["--watchdog-timeout"]))
    try:
        return _watch(os.path.abspath(given["--directory"]), watchdog, is_patient=not unless_running)
    except OSError as error:
        say(f"cannot work: {error}")
        return 1


def _watch(directory: str, watchdog: Watchdog, *, is_patient: bool) -> int:
    memory = Memory.take(directory, is_patient=False)
    if memory is None:
        say(f"finds another guard on watch over {directory}" + (", and stands by" if is_patient else ""))
        memory = Memory.take(directory, is_patient=True) if is_patient else None
    if memory is None:
        return 0
    warnings = [kernel.lock_memory(), *kernel.come_first(), memory.warning]
    if error := rehearse():
        say(error)
        return 1
    guard = Guard(memory, Listening(directory), watchdog)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: guard.leave())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    say(f"watches over {directory}, pid {os.getpid()}")
    for warning in filter(None, warnings):
        say(f"warning: {warning}")
    guard.run()
    memory.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
