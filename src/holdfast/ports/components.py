"""Running components: start, stop, change role, look.

Contract (tests/contract/test_components_contract.py holds each adapter to it):
- A started process is not bound to the agent's life: it goes on when the agent is killed, and a new
  agent finds it again by pid, start time and boot id, even if the old one died at any instant of `start`.
- Two `start` of one component never leave two processes: leftovers of the last life are ended first.
- After `stop`, nothing that the component started is left, children and daemonised grandchildren included.
- What ends is reported through `on_exit` within milliseconds, what is stopped by a signal through `on_stopped`.
- No call raises for what the world does: it answers with a Result.
"""

from typing import Protocol

from holdfast.model.events import Ending, Exit, ProcessSeen
from holdfast.model.ids import ComponentId, Epoch, Incarnation
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import Instant
from holdfast.model.value import Value


class Result(Value, frozen=True):
    """How a call ended."""

    ending: Ending
    error: str = ""
    incarnation: Incarnation | None = None  # start: of the new process
    exit: Exit | None = None  # stop: how the process ended
    is_unbegun: bool = False  # FAILED: it was not permitted, and nothing was tried


class ComponentListener(Protocol):
    """Who is told when a process changes by itself. Called on the event loop's thread."""

    def on_exit(self, component: ComponentId, incarnation: Incarnation, how: Exit) -> None:
        """Learn that the process ended, whoever ended it."""

    def on_stopped(self, component: ComponentId, incarnation: Incarnation, is_stopped: bool) -> None:  # noqa: FBT001 - a callback's only flag
        """Learn that it was stopped by a signal, or continued."""

    def on_dying(self, component: ComponentId, incarnation: Incarnation) -> None:
        """Learn that it began to end (PF_EXITING): a large process keeps its ports for 0.1 s per GiB yet."""


class Components(Protocol):
    """The processes of this host."""

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,
        not_after: Instant | None = None,
    ) -> Result:
        """Start the process and return its incarnation.

        A start that did not come to running the program by `not_after` never does: by then the core has given it
        up, and may have started another member.
        """

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """End the process and all it left behind; DONE only when nothing is left."""

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Record the role beside the process, run the promote hook; DONE when it exited with 0."""

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Run the demote hook, clear the recorded role."""

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return every managed process that runs, adopting those not yet known."""

    def watch(self, listener: ComponentListener) -> None:
        """Report to `listener` from now on."""

    async def close(self) -> None:
        """Let go of everything; the processes go on running."""
