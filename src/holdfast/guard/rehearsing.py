"""A rehearsal before anything is armed: the guard ends a child of its own in the way it would end a component.

So it is known that it can, and every page of code that it takes is in memory, where it stays: memory is locked as it is
touched. In an emergency nothing has to be read from a disk that may hang.
"""

import os

from holdfast.guard import ending, kernel, processes
from holdfast.guard.armed import SECOND
from holdfast.guard.ending import Ending
from holdfast.guard.facts import Facts

_WITHIN = 10 * SECOND


def rehearse() -> str:
    """Start a child, end it; return what went wrong, if anything. Takes some milliseconds."""
    told, tells = os.pipe()
    held, holds = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(holds)
        os.write(tells, b"1")
        os.read(
            held, 1
        )  # until we end it; or until we are killed ourselves, such as an understudy: nobody else would
        os._exit(0)
    os.read(told, 1)
    for descriptor in (told, tells, held):
        os.close(descriptor)
    stat = processes.read_stat(pid)
    assert stat is not None, "our own child is there until we reap it"
    began = kernel.now()
    last = Ending(
        "rehearsal/child", Facts(pid, stat.ticks, kernel.boot_id(), ("HOLDFAST_REHEARSAL=1",)), began
    )
    last.strike()
    while not last.is_over and kernel.now() < began + _WITHIN:
        ending.look_for([last], kernel.now())
    if not last.is_over:
        return f"a child of its own survives SIGKILL (pid {pid}): it can end nothing on this host"
    os.waitpid(pid, 0)
    os.close(holds)
    return ""
