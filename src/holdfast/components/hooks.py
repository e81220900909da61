"""Running a hook: a program that is asked to change a component's role, and given a time for it.

What counts is that the hook itself exits. What it starts in the background may hold its output open for ever, or
go on by itself; it is marked as the component's and ends with it.
"""

import asyncio
import contextlib
import os
import signal

from holdfast.components import procfs
from holdfast.components.procfs import Identity


class Hook:
    """A hook that runs. `end` must be called, whatever happened."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        pidfd = procfs.open_pidfd(identity)
        assert pidfd is not None, "our own child is there until we reap it"
        self._pidfd = pidfd
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(pidfd, self._reap)

    async def wait(self, within: float) -> int | None:
        """Return its exit code (negative: a signal's number), None if `within` seconds were not enough."""
        await asyncio.wait([self._status], timeout=within)
        return self._status.result() if self._status.done() else None

    def end(self) -> None:
        """Kill it and its process group if it still runs."""
        if not self._status.done():
            procfs.send_signal(self._pidfd, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.identity.pid, signal.SIGKILL)
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        try:
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            status = None
        if status is None:
            self._status.set_result(255)  # not known to have worked
        else:
            exited = status.si_code == os.CLD_EXITED
            self._status.set_result(status.si_status if exited else -status.si_status)
