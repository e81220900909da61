"""What the guard says to people: lines on stderr, given up rather than waited for."""

import os
import select

_STDERR = 2


def say(line: str) -> None:
    """Write one line, unless nobody takes it: a reader that stopped reading must not stop the guard."""
    ready = select.poll()
    ready.register(_STDERR, select.POLLOUT)
    try:
        if ready.poll(0):
            os.write(
                _STDERR, f"holdfast guard {line}\n".encode()[:4096]
            )  # a pipe takes this at once, or is not ready
    except OSError:
        return
